"""Imports that the edit of one symbol needs, and what they must not do to the rest of the file."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from symtable import symtable

from operators.data import Skip
from operators.hunks import Hunk, apply, diff, imports
from operators.source import newline, split
from operators.syntax.outline import Lines, flat, outline, parse

_Import = tuple[str, str, str]  # module with its leading dots ("" for `import name`), name, what it is called here


def only(before: str, after: str) -> bool:
    """Say whether nothing but imports was added."""
    hunks = diff(split(before), split(after))
    return all(hunk.first == hunk.last and imports(hunk.lines) for hunk in hunks)


def gained(text: str, wanted: str) -> str:
    """Return `text` with the top-level imports that `wanted` has and it has not.

    Each stands on a line of its own: codemods add names to a line that is there, and then the edits of two symbols
    would be in conflict.
    """
    try:
        have, found = _imports(parse(text).body), outline(text)
        more = [one for one in _imports(parse(wanted).body) if one not in have]
    except Skip:
        return text  # which the checks will find out
    start = min((unit.first for unit in found.units), default=1)
    last = max((last for first, last in found.imports if first < start), default=found.head[1])
    head = found.head[1] if any(module == "__future__" for module, _, _ in more) else last
    lines = tuple(_told(one) + newline(text) for one in more)
    return "".join(apply(split(text), [Hunk(head, head, lines)]))


def harmful(before: str, after: str, spans: Sequence[Lines]) -> Iterator[str]:
    """Yield what top-level imports that were added do to code of `before` outside of `spans`, in words for whoever must
    repair it. Raises Skip when a text does not parse."""
    old, new = parse(before), parse(after)
    have, known = _imports(old.body), _imports(_top(old))
    more = [one for one in _imports(new.body) if one not in have]
    if ast.get_docstring(old, clean=False) not in {None, ast.get_docstring(new, clean=False)}:
        yield "The module's docstring must stay its first statement. Imports stand below it."
    if more and _late(new) and not _late(old):
        yield "`from __future__` imports must stay above all others."
    taken = _taken(before, spans) if more else set()
    for one in more:
        line, name = _told(one), _bound(one)
        if name == "*":
            yield f"`{line}` must not be added: import by name what is needed."
        elif name in taken and not any(_alike(one, other) for other in known):
            yield f"`{line}` must not be added: the rest of the file has another `{name}`. Call it something else."


def _late(tree: ast.Module) -> bool:
    """Say whether another import stands above one `from __future__`."""
    order = [module == "__future__" for module, _, _ in _imports(tree.body)]
    return order != sorted(order, reverse=True)


def _taken(text: str, spans: Sequence[Lines]) -> set[str]:
    """Return the names that the code outside of `spans` binds at the top level, or uses and has from elsewhere."""
    lines = split(text)
    ends = {unit.first: unit.last for unit in flat(outline(text).units)}
    for first, last in spans:
        if last >= ends.get(first, last):  # not only the header of a class, without which its members do not parse
            line = lines[first - 1]
            lines[first - 1 : last] = [f"{line[: len(line) - len(line.lstrip())]}pass\n", *["\n"] * (last - first)]
    bound, used = _names("".join(lines))
    return bound | (used - _names(text)[0])


def _names(text: str) -> tuple[set[str], set[str]]:
    """Return the names that a module binds at its top level, and those of the top level (or built in) that it uses."""
    bound: set[str] = set()
    used: set[str] = set()
    try:
        tables = [top := symtable(text, "<text>", "exec")]
    except SyntaxError:  # of the kind that only the compiler finds
        return bound, used
    while tables:
        table = tables.pop()
        symbols = [symbol for symbol in table.get_symbols() if table is top or symbol.is_global()]
        bound.update(symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported())
        used.update(symbol.get_name() for symbol in symbols if symbol.is_referenced())
        tables += table.get_children()
    return bound, used


def _top(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements of a module that are in none of its functions and classes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            yield child
            if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _top(child)


def _imports(nodes: Iterable[ast.AST]) -> dict[_Import, None]:
    found: dict[_Import, None] = {}
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = "." * node.level + (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            found.update(((module, alias.name, alias.asname or ""), None) for alias in node.names)
    return found


def _bound(one: _Import) -> str:
    module, name, own = one
    return own or (name if module else name.partition(".")[0])


def _alike(one: _Import, other: _Import) -> bool:
    """Say whether two imports bind the same name to the same thing."""
    plain = not (one[0] or one[2] or other[0] or other[2])  # `import a.b` binds `a`
    return one == other or (plain and _bound(one) == _bound(other))


def _told(one: _Import) -> str:
    module, name, own = one
    line = f"from {module} import {name}" if module else f"import {name}"
    return f"{line} as {own}" if own else line
