"""From a YAML file to a Job, or to other settings; what is wrong is told by line, with what to write instead."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipelines.errors import Refused
from pipelines.job import Job
from pipelines.marked import MAX_BYTES, Fault, Loc, Marked, Place
from pipelines.strict import Short

Shape = TypeVar("Shape", bound=BaseModel)
WIDTH = 120  # characters of a line that are shown

_NEEDED = {
    "list_type": "a list is needed here: begin each entry with `- `",
    "dict_type": "keys and values are needed here",
    "model_type": "keys and values are needed here",
    "bool_type": "true or false is needed here",
    "int_type": "a whole number is needed here",
    "float_type": "a number is needed here",
    "too_short": "at least one entry is needed here",
    "string_too_short": "this must not be empty",
    "greater_than_equal": "{ge:g} or more is needed here",
    "greater_than": "more than {gt:g} is needed here",
    "less_than_equal": "{le:g} or less is needed here",
}
_FORMS = {
    "name": "lower-case letters, digits, `.`, `_` and `-` are needed here, at most 80",
    "url": "an http or https URL is needed here",
    "key_from": "the name of an environment variable is needed here, such as `UMBAU_MODEL_KEY`",
    "token_from": "the name of an environment variable is needed here, such as `GITLAB_TOKEN`",
    "sign_from": "the name of an environment variable is needed here, such as `SIGNING_KEY`",
    "rule": "a rule of ruff is needed here, such as `ruff:UP031`",
    "path": "a dotted path is needed here, such as `package.module.Class`",
    "python": 'a version of Python 3 is needed here, such as "3.11"',
    "windows": "days and times are needed here, such as `mon-fri 09:00-17:00`",
    "author": "`Name <address>` is needed here",
    "named": "the name of a user on the forge is needed here, without `@`",
    "assignees": "the name of a user on the forge is needed here, without `@`",
    "maintainers": "the name of a user on the forge is needed here, without `@`",
    "currency": "three capital letters are needed here, such as `EUR`",
    "image": "the name of an image is needed here, such as `python:3.13`",
    "runs_on": "the label of a runner is needed here, such as `ubuntu-latest`",
}


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
        begin = max(0, self.column - WIDTH // 2) if len(self.text) > WIDTH else 0
        shown = _printable(self.text[begin : begin + WIDTH])
        mark = re.sub(r"[^\t]", " ", shown[: self.column - 1 - begin]) + "^"
        return f"{file}:{self.line}:{self.column}: {self.message}\n{self.line:>5} | {shown}\n      | {mark}"


class BadJob(Refused):
    """The job, or another file of settings, cannot be used."""

    code = 64

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        super().__init__("\n\n".join(problem.told(file) for problem in problems))
        self.file, self.problems = file, problems


def load(path: Path) -> Job:
    """Read a job file. Raises BadJob."""
    return parse(content(path), str(path))


def parse(data: bytes, file: str) -> Job:
    """Make a Job of YAML bytes. Raises BadJob."""
    needs = "a job needs name, repos and steps; `umbau init` writes one to start from"
    return settings(data, file, Job, needs, "a job is keys and values: name, repos, steps ...")


def content(path: Path) -> bytes:
    """Read a file, no further than to see that it is too long. Raises BadJob."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadJob(str(path), [Problem(f"cannot be read: {error.strerror}")]) from None


def settings(data: bytes, file: str, shape: type[Shape], needs: str, other: str) -> Shape:
    """Make a `shape` of YAML bytes; `needs` is said of an empty file, `other` of what is no mapping. Raises BadJob."""
    marked = Marked()
    try:
        value = marked.read(data)
        if value is None:
            raise Fault(f"is empty: {needs}")
        if not isinstance(value, dict):
            raise Fault(other, marked.values[()])
        return shape.model_validate(value)
    except Fault as fault:
        raise BadJob(file, [_problem(marked, fault.message, fault.place)]) from None
    except ValidationError as error:
        raise BadJob(file, _problems(marked, error)) from None


def problem(file: Path, loc: Loc, message: str) -> Problem:
    """Return what is wrong at a place of a job file that could be read; without the place if it cannot be any more."""
    return problems(file, [(loc, message)])[0]


def problems(file: Path, found: Sequence[tuple[Loc, str]]) -> list[Problem]:
    """Likewise of several places."""
    marked = Marked()
    try:
        marked.read(file.read_bytes())
    except (OSError, Fault):
        return [Problem(message) for _, message in found]
    # A pipe is empty the second time, and has no place.
    return [_problem(marked, message, marked.values.get(_known(marked, loc))) for loc, message in found]


def lines(file: Path, locs: Sequence[Loc]) -> dict[Loc, int]:
    """Return on which lines keys of a file stand, 1-based; those that are not there are left out."""
    marked = Marked()
    try:
        marked.read(file.read_bytes())
    except (OSError, Fault):
        return {}
    return {loc: marked.keys[loc][0] + 1 for loc in locs if loc in marked.keys}


def _problems(marked: Marked, error: ValidationError) -> list[Problem]:
    """Return what is wrong, in the order of the file."""
    found = []
    for fault in error.errors(include_url=False):
        loc = _known(marked, fault["loc"])
        place = marked.values[loc]
        if fault["type"] == "unknown_key":
            place = marked.keys.get((*loc, fault["ctx"]["key"]), place)
        found.append(_problem(marked, _told(fault, marked.texts.get(loc, "")), place))
    return sorted(dict.fromkeys(found), key=lambda problem: (problem.line, problem.column))


def _known(marked: Marked, loc: Loc) -> Loc:
    """Return the nearest place in the file: pydantic also names what is missing, and branches of unions."""
    place: Loc = ()
    for part in loc:
        if (*place, part) in marked.values:
            place = (*place, part)
    return place


def _problem(marked: Marked, message: str, place: Place | None) -> Problem:
    if place is None:
        return Problem(message)
    line, column = place
    text = marked.lines[line] if line < len(marked.lines) else ""
    return Problem(_printable(message), line + 1, column + 1, text)


def _told(fault: Mapping[str, Any], written: str) -> str:
    """Say what is wrong and what to write instead; `written`: the scalar as it stands in the file."""
    kind, given, context = fault["type"], fault["input"], fault.get("ctx", {})
    last = next((part for part in reversed(fault["loc"]) if isinstance(part, str)), "")  # the key, also of an item
    plain = isinstance(given, bool | int | float)
    if kind == "missing":
        return f"`{last}` is missing"
    if kind == "string_type" or (kind == "model_type" and plain and context["class_name"] in _short()):
        return f'text is needed here: write "{written}" in quotes' if plain else "text is needed here"
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", context.get("expected", ""))
        near = get_close_matches(str(given), allowed, n=1)
        return f"one of {', '.join(allowed)} is needed here" + (f"; did you mean {near[0]}?" if near else "")
    if kind == "string_pattern_mismatch" and last in _FORMS:
        return _FORMS[last]
    if kind in _NEEDED:
        return _NEEDED[kind].format(**context)
    return str(fault["msg"][:1].lower() + fault["msg"][1:])


def _short() -> set[str]:
    return {cls.__name__ for cls in Short.__subclasses__()}


def _printable(text: str) -> str:
    """Return text as one line of it can be shown, character for character."""
    shown = "".join(character if character.isprintable() or character == "\t" else "\ufffd" for character in text)
    return shown if len(shown) <= 4 * WIDTH else f"{shown[: 4 * WIDTH]} ..."
