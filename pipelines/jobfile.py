"""From a YAML file to a Job; what is wrong is told by line, with what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipelines.errors import Refused
from pipelines.job import Job

MAX_BYTES = 256 << 10
MAX_DEPTH = 40
Loc = tuple[str | int, ...]

# Scalars mean what they look like: no YAML 1.1 surprises such as `no` (False), 1:30 (90) or 2026-11-24 (a date).
_SCALARS: tuple[tuple[re.Pattern[str], Callable[[str], Any]], ...] = (
    (re.compile(r"true|false"), lambda text: text == "true"),
    (re.compile(r"-?[0-9]{1,18}"), int),
    (re.compile(r"-?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?"), float),
    (re.compile(r"~|null|"), lambda text: None),
)


@dataclass(frozen=True, slots=True)
class Problem:
    message: str
    line: int = 0
    """1-based; 0 when the file as a whole is meant."""
    column: int = 0
    text: str = ""
    """The line itself."""

    def told(self, file: str) -> str:
        """Return `file:line:column: message`, then the line and a mark below the place."""
        if not self.line:
            return f"{file}: {self.message}"
        mark = "      | " + " " * (self.column - 1) + "^"
        return f"{file}:{self.line}:{self.column}: {self.message}\n{self.line:>5} | {self.text}\n{mark}"


class BadJob(Refused):
    """The job cannot be used."""

    code = 64

    def __init__(self, file: str, problems: list[Problem]) -> None:
        super().__init__("\n\n".join(problem.told(file) for problem in problems))
        self.file, self.problems = file, problems


def load(path: Path) -> Job:
    """Read a job file. Raises BadJob."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadJob(str(path), [Problem(f"cannot be read: {error.strerror}")]) from None
    return parse(data, str(path))


def parse(data: bytes, file: str) -> Job:
    """Make a Job of YAML bytes. Raises BadJob."""
    reader = _Reader()
    try:
        return Job.model_validate(reader.read(data))
    except _Fault as fault:
        raise BadJob(file, [reader.problem(fault.message, fault.mark)]) from None
    except ValidationError as error:
        found = {(problem.line, problem.column): problem for problem in reversed(reader.problems(error))}
        raise BadJob(file, [found[place] for place in sorted(found)]) from None


class _Fault(Exception):
    def __init__(self, message: str, mark: Any = None) -> None:
        super().__init__(message)
        self.message, self.mark = message, mark


class _Reader:
    """Reads one file and remembers where each key and each value stood."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.keys: dict[Loc, yaml.Mark] = {}
        self.values: dict[Loc, yaml.Mark] = {}

    def read(self, data: bytes) -> Any:
        if len(data) > MAX_BYTES:
            raise _Fault(f"larger than {MAX_BYTES >> 10} kB: a job file holds settings, not data")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _Fault(f"not UTF-8 (byte {error.start})") from None
        self.lines = text.splitlines()
        try:
            _surveyed(text)
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            raise _Fault(f"not YAML: {error.problem}", error.problem_mark or error.context_mark) from None
        except yaml.YAMLError as error:
            raise _Fault(f"not YAML: {str(error).splitlines()[0]}") from None
        if root is None:
            raise _Fault("is empty: a job needs name, repos and steps; `umbau init` writes one to start from")
        if not isinstance(root, yaml.MappingNode):
            raise _Fault("a job is keys and values: name, repos, steps ...", root.start_mark)
        return self.value(root, ())

    def value(self, node: yaml.Node, loc: Loc) -> Any:
        self.values[loc] = node.start_mark
        if not node.tag.startswith("tag:yaml.org,2002:"):
            raise _Fault(f"the tag {node.tag} means nothing here: take it out", node.start_mark)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*loc, number)) for number, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, loc)
        return _scalar(node.value, plain=isinstance(node, yaml.ScalarNode) and node.style is None)

    def mapping(self, node: yaml.MappingNode, loc: Loc) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, item in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Fault("a key is one word", key.start_mark)
            if key.value in result:
                first = self.keys[*loc, key.value].line + 1
                raise _Fault(f"`{key.value}` stands here twice, first on line {first}: take one out", key.start_mark)
            self.keys[*loc, key.value] = key.start_mark
            result[key.value] = self.value(item, (*loc, key.value))
        return result

    def problems(self, error: ValidationError) -> list[Problem]:
        found = []
        for fault in error.errors(include_url=False):
            loc = self.known(fault["loc"])
            mark = self.values[loc]
            if fault["type"] == "unknown_key":
                mark = self.keys.get((*loc, fault["ctx"]["key"]), mark)
            found.append(self.problem(_told(fault), mark))
        return found

    def known(self, loc: Loc) -> Loc:
        """Return the nearest place in the file: pydantic also names what is missing, and branches of unions."""
        place: Loc = ()
        for part in loc:
            if (*place, part) in self.values:
                place = (*place, part)
        return place

    def problem(self, message: str, mark: yaml.Mark | None) -> Problem:
        if mark is None:
            return Problem(message)
        line = self.lines[mark.line] if mark.line < len(self.lines) else ""
        return Problem(message, mark.line + 1, mark.column + 1, line)


def _surveyed(text: str) -> None:
    """Refuse what a few bytes can make endless, before anything is built of it."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _Fault(f"the alias *{event.anchor} is not supported: write the value out", event.start_mark)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        if isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _Fault(f"nested more than {MAX_DEPTH} levels deep", event.start_mark)


def _scalar(text: str, *, plain: bool) -> Any:
    if plain:
        for pattern, made in _SCALARS:
            if pattern.fullmatch(text):
                return made(text)
    return text


def _told(fault: Mapping[str, Any]) -> str:
    """Say what is wrong and what to write instead."""
    kind, given, context = fault["type"], fault["input"], fault.get("ctx", {})
    last = fault["loc"][-1] if fault["loc"] else ""
    if kind == "missing":
        return f"`{last}` is missing"
    if kind == "string_type":
        simple = isinstance(given, bool | int | float)
        return f'text is needed here: write "{_yaml(given)}" in quotes' if simple else "text is needed here"
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", context.get("expected", ""))
        near = get_close_matches(str(given), allowed, n=1)
        return f"one of {', '.join(allowed)} is needed here" + (f"; did you mean {near[0]}?" if near else "")
    if kind == "string_pattern_mismatch":
        return f"`{given}` does not have the form {context['pattern']}"
    needed = {
        "list_type": "a list is needed here: begin each entry with `- `",
        "dict_type": "keys and values are needed here",
        "model_type": "keys and values are needed here",
        "model_attributes_type": "keys and values are needed here",
        "bool_type": "true or false is needed here",
        "int_type": "a whole number is needed here",
        "float_type": "a number is needed here",
        "too_short": "at least one entry is needed here",
        "string_too_short": "this must not be empty",
    }
    return needed.get(kind) or str(fault["msg"][:1].lower() + fault["msg"][1:])


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
