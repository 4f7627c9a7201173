"""Which lines of a module a model is shown of a definition, and of a place that uses something, from `ast`."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from operators.source import split
from operators.syntax.outline import Lines, first_line, last_line, parse
from operators.syntax.uses import Dotted, bound

SHORT = 30  # lines: what is not longer is shown whole
MOST = 60  # lines of a class that is longer
AROUND = 3  # lines above and below a use in a long function
DOCSTRING = 3  # lines of it, in what is longer

_NAMED = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(text: str, names: Sequence[str]) -> dict[str, Any]:
    """Return under "lines" each of the names that the module defines at its top level to the lines that show it, and
    under "imported" each that it imports to where from (as operators.syntax.uses has it).

    Shown is all of a short definition; of a longer function its head, of a longer class its head, those of its methods
    and its short statements. Raises Skip when the text does not parse.
    """
    tree, lines = parse(text), split(text)
    found: dict[str, list[Lines]] = {}
    imported: dict[str, list[Dotted]] = {}
    for node in _flat(tree.body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name, dotted in bound(node):
                if name in names:
                    imported.setdefault(name, []).append(dotted)
        for name in _defined(node):
            if name in names:
                found.setdefault(name, []).extend(_definition(node, lines))
    return {"lines": {name: _joined(some) for name, some in found.items()}, "imported": imported}


def callers(text: str, parts: Sequence[Sequence[int]]) -> list[list[tuple[str, list[Lines]]]]:
    """Return for each part, told as line numbers, name and lines of each function around these lines, or of each
    statement that is in none; imports are left out. Of a long one the head is shown, and what stands around the line.
    Raises Skip when the text does not parse."""
    tree, lines = parse(text), split(text)
    return [_callers(tree.body, lines, numbers) for numbers in parts]


def _callers(body: Sequence[ast.stmt], lines: Sequence[str], numbers: Sequence[int]) -> list[tuple[str, list[Lines]]]:
    found: dict[str, list[Lines]] = {}
    for number in numbers:
        for name, node in _around(body, number, lines, ""):
            first, last = first_line(node, lines), last_line(node)
            shown = found.setdefault(name, [])
            if isinstance(node, _NAMED):
                shown.append(_head(node, lines))
            if last - first < SHORT and not isinstance(node, ast.ClassDef):
                shown.append((first, last))
            else:
                shown.append((max(first, number - AROUND), min(last, number + AROUND)))
    return [(name, _joined(shown)) for name, shown in found.items()]


def _flat(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements, of `if`, `try`, `with` and loops those within."""
    for node in body:
        if isinstance(node, _NAMED):
            yield node
            continue
        inner = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
        handlers = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.ExceptHandler)]
        inner += [child for handler in handlers for child in handler.body]
        yield from _flat(inner) if inner else [node]


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, _NAMED):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    target = getattr(node, "name" if type(node).__name__ == "TypeAlias" else "target", None)  # new in Python 3.12
    return [target.id] if isinstance(target, ast.Name) else []


def _definition(node: ast.stmt, lines: Sequence[str]) -> list[Lines]:
    first, last = first_line(node, lines), last_line(node)
    if last - first < SHORT:
        return [(first, last)]
    if not isinstance(node, _NAMED):
        return [(first, first + AROUND)]
    shown = [_head(node, lines)]
    for member in node.body if isinstance(node, ast.ClassDef) else []:
        if isinstance(member, _NAMED):
            shown.append(_head(member, lines, docstring=0))
        elif member.lineno == last_line(member) and not isinstance(member, ast.Pass):
            shown.append((member.lineno, member.lineno))
        if sum(end - begin + 1 for begin, end in shown) > MOST:
            break
    return _joined(shown)


def _head(node: ast.stmt, lines: Sequence[str], docstring: int = DOCSTRING) -> Lines:
    """Return decorators, signature and the first lines of the docstring."""
    assert isinstance(node, _NAMED)
    first, body = first_line(node, lines), node.body[0]
    if docstring and ast.get_docstring(node, clean=False) is not None:
        return first, min(last_line(body), body.lineno + docstring - 1)
    return first, max(node.lineno, first_line(body, lines) - 1)


def _around(body: Sequence[ast.stmt], number: int, lines: Sequence[str], prefix: str) -> Iterator[tuple[str, ast.stmt]]:
    """Yield name and node of the function or method that line `number` is in, or of the statement."""
    for node in _flat(body):
        if not first_line(node, lines) <= number <= last_line(node) or isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.ClassDef) and number >= first_line(node.body[0], lines):
            yield from _around(node.body, number, lines, f"{prefix}{node.name}.")
        else:
            yield prefix + (node.name if isinstance(node, _NAMED) else f"line {node.lineno}"), node


def _joined(ranges: Iterable[Lines]) -> list[Lines]:
    """Return ranges in order, those that touch or overlap as one."""
    joined: list[Lines] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined
