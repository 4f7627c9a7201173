"""Where a module's imports and symbols stand, from `ast`."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from operators.data import Skip
from operators.source import split

RECURSION = 1_000

_NAMED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Lines = tuple[int, int]  # first and last, 1-based, inclusive


@dataclass(frozen=True, slots=True)
class Unit:
    """A top-level statement, or a member of a class that is taken apart."""

    name: str
    """`Class.method`, `function`, or `line 12` for a statement without a name."""
    first: int
    """Decorators included."""
    last: int
    headers: tuple[Lines, ...] = ()
    """The `class ...:` lines around it, outermost first."""
    members: tuple[Unit, ...] = ()


@dataclass(frozen=True, slots=True)
class Outline:
    head: Lines
    """What stands before the first statement, the docstring included; (1, 0) when there is nothing."""
    imports: tuple[Lines, ...]
    """The top-level imports."""
    units: tuple[Unit, ...]
    """Everything else at the top level."""


def parse(text: str) -> ast.Module:
    """Parse as the Python that runs this does. Raises Skip with the reason."""
    tree: ast.Module = _read(text, ast.PyCF_ONLY_AST)
    return tree


def compiles(text: str) -> None:
    """Raise Skip with the reason unless the Python that runs this can make code of a module, which is not run: much
    that parses it still refuses, such as `return` outside of a function."""
    _read(text, 0)


def _read(text: str, flags: int) -> Any:
    """The recursion limit is Python's usual one meanwhile: whatever nests deeper takes LibCST gigabytes."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(min(limit, RECURSION))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compile(text, "<text>", "exec", flags, dont_inherit=True)
    except SyntaxError as error:
        place = f" on line {error.lineno}" if error.lineno else ""
        version = f"{sys.version_info.major}.{sys.version_info.minor}"  # newer syntax is no fault of the file
        raise Skip(f"syntax error{place} for Python {version}: {error.msg}") from None
    except (ValueError, LookupError, RecursionError, MemoryError) as error:
        raise Skip(f"cannot be parsed: {error or type(error).__name__}") from None
    finally:
        sys.setrecursionlimit(limit)


def numbers(ranges: Iterable[Lines]) -> frozenset[int]:
    """Return the numbers of all lines of `ranges`."""
    return frozenset(number for first, last in ranges for number in range(first, last + 1))


@lru_cache(maxsize=4)  # the checks of one edit ask for the same two texts in turn
def outline(text: str) -> Outline:
    """Cut a module into its imports and units. Raises Skip when it does not parse."""
    tree, lines = parse(text), split(text)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    others = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    if ast.get_docstring(tree, clean=False) is not None:
        head = (1, last_line(others.pop(0)))
    else:
        head = (1, first_line(tree.body[0], lines) - 1 if tree.body else 0)
    ranges = tuple((node.lineno, last_line(node)) for node in imports)
    return Outline(head, ranges, tuple(_units(others, "", (), lines)))


def flat(units: Iterable[Unit]) -> list[Unit]:
    """Return units with all their members, each before its own."""
    return [unit for one in units for unit in (one, *flat(one.members))]


def innermost(units: tuple[Unit, ...], wanted: Callable[[int, int], bool], most: int = 0) -> Iterator[Unit]:
    """Yield the units that `wanted(first, last)` picks; a class longer than `most` lines is taken apart, into its
    header and its members."""
    for unit in units:
        if not wanted(unit.first, unit.last):
            continue
        if not unit.members or unit.last - unit.first < most:
            yield unit
            continue
        header = replace(unit, last=unit.members[0].first - 1)
        if wanted(header.first, header.last):
            yield header
        yield from innermost(unit.members, wanted, most)


def _units(body: list[ast.stmt], prefix: str, headers: tuple[Lines, ...], lines: list[str]) -> Iterator[Unit]:
    units: list[Unit] = []
    for node in body:
        first, last = first_line(node, lines), last_line(node)
        if units and first <= units[-1].last:  # `a = 1; b = 2` cannot be told apart by lines
            units[-1] = replace(units[-1], last=last)
            continue
        name = prefix + (node.name if isinstance(node, _NAMED) else f"line {node.lineno}")
        members: tuple[Unit, ...] = ()
        if isinstance(node, ast.ClassDef) and _starts_line(node.body[0], lines):
            header = (first, first_line(node.body[0], lines) - 1)
            members = tuple(_units(node.body, f"{name}.", (*headers, header), lines))
        units.append(Unit(name, first, last, headers, members))
    yield from units


def _starts_line(node: ast.stmt, lines: list[str]) -> bool:
    line = lines[first_line(node, lines) - 1]
    return line.lstrip().startswith("@") or len(line) - len(line.lstrip()) == node.col_offset


def first_line(node: ast.stmt, lines: Sequence[str]) -> int:
    """Return the number of the line on which a statement begins, its decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    if not decorators:
        return node.lineno
    first = decorators[0].lineno
    while first > 1 and not lines[first - 1].lstrip().startswith("@"):  # `@(` on a line of its own
        first -= 1
    return first


def last_line(node: ast.stmt) -> int:
    """Return the number of the line on which a statement ends."""
    return node.end_lineno or node.lineno
