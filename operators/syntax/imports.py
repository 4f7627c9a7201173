"""Imports that the edit of one symbol needs."""

from __future__ import annotations

import ast

from operators.data import Skip
from operators.hunks import Hunk, apply, diff, imports
from operators.source import newline, split
from operators.syntax.outline import outline, parse

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
        have, found = _imports(parse(text)), outline(text)
        more = [one for one in _imports(parse(wanted)) if one not in have]
    except Skip:
        return text  # which the checks will find out
    start = min((unit.first for unit in found.units), default=1)
    last = max((last for first, last in found.imports if first < start), default=found.head[1])
    head = found.head[1] if any(module == "__future__" for module, _, _ in more) else last
    lines = tuple(_told(one) + newline(text) for one in more)
    return "".join(apply(split(text), [Hunk(head, head, lines)]))


def _imports(tree: ast.Module) -> dict[_Import, None]:
    found: dict[_Import, None] = {}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = "." * node.level + (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            found.update(((module, alias.name, alias.asname or ""), None) for alias in node.names)
    return found


def _told(one: _Import) -> str:
    module, name, own = one
    line = f"from {module} import {name}" if module else f"import {name}"
    return f"{line} as {own}" if own else line
