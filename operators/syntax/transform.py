"""Applies a LibCST codemod to a file, or to as little of it as the codemod needs to see."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from types import ModuleType
from typing import Any

from libcst import Module
from libcst.codemod import Codemod, CodemodContext, SkipFile

from operators.data import Skip, told
from operators.hunks import diff
from operators.source import split
from operators.syntax.borders import bordered
from operators.syntax.excerpt import Excerpt, excerpt, put_back
from operators.syntax.module import accepted, module
from operators.syntax.outline import Lines, innermost, numbers, outline
from operators.syntax.quicker import parsed
from operators.syntax.within import alone, notes, within

HOMES = ("", "operators.codemods.", "libcst.codemod.commands.")


def transform(
    name: str,
    arguments: Mapping[str, Any],
    path: str,
    text: str,
    *,
    reach: str = "module",
    hits: str = "",
    spans: Sequence[Lines] = (),
    python: str = "",
    home: str = "",
) -> tuple[str, list[str]]:
    """Return the new text and what there is to say of it: the codemod's warnings, and changes that were left out.

    `reach` "symbol": the codemod sees only the innermost functions (or top-level statements) in which the pattern
    `hits` matches, with imports and class headers around them. `spans`: lines that may change, imports excepted;
    empty: all. `home`: folder in which codemods are looked for as well. Raises Skip when the file cannot be parsed.
    """
    accepted(text, python)
    apply = _codemod(load(name, home), arguments, path, text)
    if reach == "symbol" and (found := _part(text, hits, spans)):
        part, tree = found
        new, warnings = apply(tree)
        hunks = bordered(part.text, new) if spans else diff(part.lines, split(new))
        after, left_out = put_back(text, part, hunks)
        if not (notes(path, left_out, spans) if spans else left_out):
            return alone(text, after, new) if spans else after, warnings
        # It changed an import or the header of a class, and only the whole module shows who else needs that.
    new, warnings = apply(module(text))
    if not spans:
        return new, warnings
    after, left_out = within(text, new, spans)
    return after, [*warnings, *notes(path, left_out, spans)]


def load(name: str, home: str = "") -> type[Codemod]:
    """Import a codemod class by dotted path: as it is, or below Umbau's or LibCST's own codemods.

    Raises ValueError when there is none.
    """
    module_name, _, attribute = name.rpartition(".")
    for own in _modules(module_name, home):
        found = getattr(own, attribute, None)
        if isinstance(found, type) and issubclass(found, Codemod):
            return found
    raise ValueError(f"no LibCST codemod is called {name}")


def refused(name: str, arguments: Mapping[str, Any], home: str = "") -> str:
    """Return why a job cannot use this codemod with these arguments, or ""."""
    try:
        inspect.signature(load(name, home)).bind(CodemodContext(), **arguments)
    except (ValueError, TypeError) as error:
        return str(error)
    return ""


def examples(name: str, home: str = "") -> list[tuple[str, str]]:
    """Return the EXAMPLES, pairs of before and after, of a module by dotted path. Raises Skip when it has none."""
    try:
        for own in _modules(name, home):
            if hasattr(own, "EXAMPLES"):
                return [(before, after) for before, after in own.EXAMPLES]
    except ValueError as error:
        raise Skip(str(error)) from None
    raise Skip(f"no module {name} with EXAMPLES")


def _modules(name: str, home: str) -> Iterator[ModuleType]:
    """Yield the modules that `name` may stand for. Raises ValueError when one of them is there but broken."""
    if home and home not in sys.path:
        sys.path.append(home)
        sys.dont_write_bytecode = True  # a file that is edited twice within a second would be taken for the first
    for path in (prefix + name for prefix in HOMES if name):
        try:
            yield importlib.import_module(path)
        except Exception as error:
            missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
            if not missing or not f"{path}.".startswith(f"{missing}."):
                raise ValueError(f"{name} cannot be imported: {told(error)}") from None


def _codemod(
    command: type[Codemod], arguments: Mapping[str, Any], path: str, text: str
) -> Callable[[Module], tuple[str, list[str]]]:
    def apply(tree: Module) -> tuple[str, list[str]]:
        context = _context(path)
        context.scratch["text"] = text  # all of it: the tree may be an excerpt
        try:
            return command(context, **arguments).transform_module(parsed(tree)).code, list(context.warnings)
        except SkipFile as error:
            raise Skip(f"the codemod leaves this file out: {error}") from None

    return apply


def _context(path: str) -> CodemodContext:
    names = list(PurePosixPath(path).with_suffix("").parts)
    if names and names[-1] == "__init__":
        names.pop()
        package = ".".join(names)
    else:
        package = ".".join(names[:-1])
    return CodemodContext(filename=path, full_module_name=".".join(names) or None, full_package_name=package or None)


def _part(text: str, hits: str, spans: Sequence[Lines]) -> tuple[Excerpt, Module] | None:
    """Return the excerpt a codemod of reach "symbol" sees; None when only the whole file will do."""
    if not hits and not spans:
        return None
    hit = {number for number, line in enumerate(split(text), 1) if not hits or re.search(hits, line)}
    if spans:
        hit &= numbers(spans)

    def wanted(first: int, last: int) -> bool:
        return any(first <= number <= last for number in hit)

    try:
        found = outline(text)
        part = excerpt(text, found, innermost(found.units, wanted))
        return part, module(part.text)
    except Skip:
        return None  # newer syntax than this Python's, which the environment's Python has accepted
