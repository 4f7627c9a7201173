"""Cuts code into pieces that a small model can be asked for one at a time, and puts its answers in their places."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

from operators.codemods.imports import added
from operators.data import Skip
from operators.hunks import diff
from operators.source import ending, newline, split
from operators.syntax.excerpt import excerpt, put_back
from operators.syntax.module import module
from operators.syntax.outline import Lines, first_line, last_line, numbers, outline, parse

Piece = tuple[int, int, str]  # first and last line, and the code, at column 0; "" when it cannot be moved there
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_DEFINES = _FUNCTIONS | ast.ClassDef
_IMPORTS = ast.Import | ast.ImportFrom


def pieces(text: str, hits: str, spans: Sequence[Lines] = ()) -> list[Piece]:
    """Return the smallest statements in which the pattern `hits` matches a line, in order.

    A statement with a body is a piece as a whole when the match is in its header, or in a part of it that does not
    begin a line; headers and decorators of functions and classes are not looked at. A `with` in a function that binds a
    name takes the function along, in which the name is used. `spans`: lines to look at; empty: all. Raises Skip when
    the text does not parse.
    """
    lines = split(text)
    wanted = {number for number, line in enumerate(lines, 1) if re.search(hits, line.rstrip("\r\n"))}
    if spans:
        wanted &= numbers(spans)
    found = _smallest(_groups(parse(text).body, lines), wanted, lines)
    return [(first, last, alone(lines[first - 1 : last])) for first, last in found]


def _smallest(groups: Iterable[list[ast.stmt]], wanted: set[int], lines: Sequence[str]) -> Iterator[Lines]:
    for group in groups:
        node, whole = group[0], _lines(group, lines)
        inner = _groups(_inner(node), lines)
        standing = [one for one in inner if _stands(one[0], lines)]
        rest = wanted & numbers([whole]) - numbers(_lines(one, lines) for one in standing)
        if isinstance(node, _DEFINES):
            rest &= numbers(_lines(one, lines) for one in inner)
        if rest or (isinstance(node, _FUNCTIONS) and any(_binds(one, wanted) for one in _own(node))):
            yield whole
        else:
            yield from _smallest(standing, wanted, lines)


def _groups(body: Iterable[ast.stmt], lines: Sequence[str]) -> list[list[ast.stmt]]:
    """Put statements together that share a line, also one that a backslash continues."""
    groups: list[list[ast.stmt]] = []
    for node in body:
        end = last_line(groups[-1][-1]) if groups else 0
        if end and node.lineno in {end, end + lines[end - 1].rstrip().endswith("\\")}:
            groups[-1].append(node)
        else:
            groups.append([node])
    return groups


def _lines(group: Sequence[ast.stmt], lines: Sequence[str]) -> Lines:
    return first_line(group[0], lines), last_line(group[-1])


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


def _stands(node: ast.stmt, lines: Sequence[str]) -> bool:
    """Say whether a statement begins a line."""
    before = lines[node.lineno - 2].rstrip() if node.lineno > 1 else ""
    at_start = not lines[node.lineno - 1].encode()[: node.col_offset].strip()
    return at_start and not before.endswith("\\")


def _own(node: ast.stmt) -> Iterator[ast.stmt]:
    """Yield all statements in a function, but for those of functions and classes in it."""
    for inner in _inner(node):
        yield inner
        if not isinstance(inner, _DEFINES):
            yield from _own(inner)


def _binds(node: ast.stmt, wanted: set[int]) -> bool:
    if not isinstance(node, ast.With | ast.AsyncWith):
        return False
    named = [item.optional_vars for item in node.items if item.optional_vars]
    last = max(item.context_expr.end_lineno or node.lineno for item in node.items)
    return bool(named and wanted & numbers([(node.lineno, last)]))


def alone(lines: Sequence[str]) -> str:
    """Return a statement's lines as code at column 0, without a last line end; "" when they could not be moved back."""
    margin = _margin(lines[0])
    bare = [line.rstrip("\r\n") for line in lines]
    code = "\n".join(line.removeprefix(margin) for line in bare)
    return code if moved(code, margin) == bare else ""


def moved(code: str, margin: str) -> list[str]:
    """Return the lines of some code behind a margin; empty ones stay empty."""
    return [margin + line if line else "" for line in code.split("\n")]


def _margin(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


def replaced(text: str, changes: Sequence[Piece]) -> str:
    """Return `text` with lines `first` to `last` of each change (in order, none overlapping) replaced by other code.
    Imports above that code go to the module's own, unless it has them."""
    lines, usual = split(text), newline(text)
    wanted: dict[str, None] = {}
    for first, last, code in reversed(changes):
        old = lines[first - 1 : last]
        above, below = _parted(code.replace("\r\n", "\n").strip("\n"), alone(old))
        wanted |= dict.fromkeys(above)
        new = [line + usual for line in moved(below, _margin(old[0]))]
        new[-1] = new[-1].removesuffix(usual) + ending(old[-1])
        lines[first - 1 : last] = new
    return _importing("".join(lines), wanted, usual)


def _parted(code: str, before: str) -> tuple[list[str], str]:
    """Return the imports on top of some code, one name each, and the rest. What takes the place of an import
    (`before`), is nothing but imports or does not parse is left as it is."""
    body = _body(code)
    count = next((at for at, node in enumerate(body) if not isinstance(node, _IMPORTS)), 0)
    future = any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in body[:count])
    if not count or future or any(isinstance(node, _IMPORTS) for node in _body(before)):
        return [], code
    gone = numbers((node.lineno, last_line(node)) for node in body[:count])
    rest = [line for number, line in enumerate(code.split("\n"), 1) if number not in gone]
    return [name for node in body[:count] for name in _names(node)], "\n".join(rest).strip("\n")


def _body(code: str) -> list[ast.stmt]:
    try:
        return parse(code).body
    except Skip:
        return []


def _names(node: ast.AST) -> Iterator[str]:
    """Yield an import as import statements of one name."""
    match node:
        case ast.Import(names=aliases):
            yield from (ast.unparse(ast.Import([alias])) for alias in aliases)
        case ast.ImportFrom(module=name, names=aliases, level=level):
            yield from (ast.unparse(ast.ImportFrom(name, [alias], level)) for alias in aliases)


def _importing(text: str, wanted: Iterable[str], usual: str) -> str:
    try:
        body = parse(text).body if wanted else []
        # Also those under `try` and `if`: they bind the name, and may have a reason.
        inner = [one for node in body if not isinstance(node, _DEFINES) for one in (node, *_own(node))]
        for statement in sorted(set(wanted) - {name for node in inner for name in _names(node)}):
            text = _imported(text, statement, usual)
    except Skip:
        pass  # the checks say what is wrong with it
    return text


def _imported(text: str, statement: str, usual: str) -> str:
    found = outline(text)
    part = excerpt(text, found, ())
    code = added(module(part.text), statement).code
    code += "" if ending(code) else usual  # an excerpt of nothing has no line ends
    after, left_out = put_back(text, part, diff(part.lines, split(code)))
    if not left_out:
        return after
    lines = split(text)  # it would be put into a line that is there, and only lines of its own may be added
    lines.insert(found.imports[-1][1], statement + usual)
    return "".join(lines)
