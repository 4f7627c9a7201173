"""Applies a LibCST codemod to a file, or to as little of it as the codemod needs to see."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from libcst import Module
from libcst.codemod import Codemod, CodemodContext, SkipFile

from operators.data import Skip
from operators.source import split
from operators.syntax.excerpt import Excerpt, excerpt, put_back
from operators.syntax.module import accepted, module
from operators.syntax.outline import Lines, Outline, innermost, outline

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
    """Return the new text and the codemod's warnings.

    `reach` "symbol": the codemod sees only the innermost functions (or top-level statements) in which the pattern
    `hits` matches, with imports and class headers around them. `spans`: lines that may change, imports excepted;
    empty: all. `home`: folder in which codemods are looked for as well. Raises Skip when the file cannot be parsed.
    """
    accepted(text, python)
    apply = _codemod(load(name, home), arguments, path)
    if reach == "symbol" and (found := _part(text, hits, spans)):
        part, tree = found
        after, warnings = apply(tree)
        return put_back(text, part, after)[0], warnings
    after, warnings = apply(module(text))
    if spans:
        everything = Excerpt(tuple(split(text)), tuple(range(1, len(split(text)) + 1)), _numbers(spans))
        after = put_back(text, everything, after)[0]
    return after, warnings


def load(name: str, home: str = "") -> type[Codemod]:
    """Import a codemod class by dotted path: as it is, or below Umbau's or LibCST's own codemods.

    Raises ValueError when there is none.
    """
    if home and home not in sys.path:
        sys.path.append(home)
    module_name, _, attribute = name.rpartition(".")
    for prefix in HOMES:
        try:
            found = getattr(importlib.import_module(prefix + module_name), attribute)
        except (ImportError, AttributeError, ValueError):
            continue
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
    if home and home not in sys.path:
        sys.path.append(home)
    for prefix in HOMES:
        try:
            found = importlib.import_module(prefix + name).EXAMPLES
        except (ImportError, AttributeError):
            continue
        return [(before, after) for before, after in found]
    raise Skip(f"no module {name} with EXAMPLES")


def _codemod(
    command: type[Codemod], arguments: Mapping[str, Any], path: str
) -> Callable[[Module], tuple[str, list[str]]]:
    def apply(tree: Module) -> tuple[str, list[str]]:
        context = _context(path)
        try:
            return command(context, **arguments).transform_module(tree).code, list(context.warnings)
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
    try:
        found = outline(text)
    except Skip:
        return None  # newer syntax than this Python's, which the environment's Python has accepted
    if not hits and not spans:
        return None
    lines = split(text)
    numbers = [number for number, line in enumerate(lines, 1) if not hits or re.search(hits, line)]
    if spans:
        free = _numbers(spans)
        numbers = [number for number in numbers if number in free]
    part = _cut(text, found, numbers)
    try:
        return part, module(part.text)
    except Skip:
        return None  # a class header alone does not parse


def _cut(text: str, found: Outline, numbers: Sequence[int]) -> Excerpt:
    def wanted(first: int, last: int) -> bool:
        return any(first <= number <= last for number in numbers)

    return excerpt(text, found, innermost(found.units, wanted))


def _numbers(spans: Sequence[Lines]) -> frozenset[int]:
    return frozenset(number for first, last in spans for number in range(first, last + 1))
