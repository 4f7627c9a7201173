"""Cuts code into pieces that a small model can be asked for one at a time."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

from libcst import ParserSyntaxError

from operators.codemods.imports import added
from operators.data import Skip
from operators.hunks import diff, imports
from operators.source import ending, newline, split
from operators.syntax.excerpt import excerpt, put_back
from operators.syntax.module import module
from operators.syntax.outline import Lines, numbers, outline, parse

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_DEFINES = _FUNCTIONS | ast.ClassDef


def pieces(text: str, hits: str, spans: Sequence[Lines] = ()) -> list[Lines]:
    """Return the lines of the smallest statements in which the pattern `hits` matches, in order.

    A match in the header of a statement takes its body along, except for functions and classes, whose headers are not
    looked at; a `with` that binds a name takes the function along in which the name is used. `spans`: lines to look
    at; empty: all. Raises Skip when the text does not parse.
    """
    wanted = {number for number, line in enumerate(split(text), 1) if re.search(hits, line)}
    if spans:
        wanted &= numbers(spans)
    return _joined(_smallest(parse(text).body, wanted))


def _smallest(body: Iterable[ast.stmt], wanted: set[int]) -> Iterator[Lines]:
    for node in body:
        own, inner = _lines(node), list(_inner(node))
        hit = wanted & numbers([own])
        if isinstance(node, _FUNCTIONS) and any(_binds(one, hit) for one in ast.walk(node)):
            yield min([own[0], *(one.lineno for one in node.decorator_list)]), own[1]
        elif isinstance(node, _DEFINES) or hit <= numbers(map(_lines, inner)):
            yield from _smallest(inner, hit)
        else:
            yield own


def _binds(node: ast.AST, hit: set[int]) -> bool:
    match node:
        case ast.With(items=items) | ast.AsyncWith(items=items):
            header = (node.lineno, node.body[0].lineno - 1)
            return bool(hit & numbers([header])) and any(item.optional_vars for item in items)
    return False


def _inner(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield the statements in a statement's body, and in its other branches. An `elif` cannot stand alone: it counts as
    part of the statement."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(node, ast.If) and child.col_offset == node.col_offset:
            yield from _inner(child)
        elif isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from child.body


def _lines(node: ast.stmt) -> Lines:
    return node.lineno, node.end_lineno or node.lineno


def _joined(found: Iterable[Lines]) -> list[Lines]:
    """Make one piece of statements that share a line."""
    joined: list[Lines] = []
    for first, last in found:
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def replaced(text: str, changes: Sequence[tuple[int, int, str]]) -> str:
    """Return `text` with lines `first` to `last` of each change (in order, none overlapping) replaced by other code,
    which stands at column 0. Imports above that code go to the module's own, unless it has them."""
    lines, usual = split(text), newline(text)
    wanted: dict[str, None] = {}
    for first, last, code in reversed(changes):
        margin = _margin(lines[first - 1])
        above, body = _above(code.rstrip().split("\n"), lines[first - 1])
        wanted |= dict.fromkeys(above)
        end = ending(lines[last - 1])
        new = [f"{margin}{line}{usual}" if line.strip() else usual for line in body]
        if new:
            new[-1] = new[-1].rstrip("\r\n") + end
        lines[first - 1 : last] = new
    after = "".join(lines)
    try:
        found = outline(after)
        part = excerpt(after, found, ())
        tree = module(part.text)
        missing = sorted(set(wanted) - {line.strip() for line in part.lines})
        for statement in missing:
            tree = added(tree, statement)
        code = tree.code if ending(tree.code) or not missing else tree.code + usual  # what was empty has no line ends
        return put_back(after, part, diff(part.lines, split(code)))[0]
    except (Skip, ParserSyntaxError):
        return after  # the checks say what is wrong with it


def _above(code: list[str], before: str) -> tuple[list[str], list[str]]:
    """Return the imports on top of some code, unless such a line was asked for, and the rest."""
    if imports([before.strip()]):
        return [], code
    count = next((at for at, line in enumerate(code) if not imports([line])), len(code))
    return code[:count], code[count:]


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]
