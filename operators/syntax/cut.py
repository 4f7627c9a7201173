"""What planning, prompts and `inside` want to know of a module."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from operators.hunks import diff
from operators.source import split
from operators.syntax.excerpt import excerpt
from operators.syntax.outline import Lines, Unit, innermost, outline, parse


def cut(text: str, hits: str, most: int) -> list[tuple[str, int, int]]:
    """Return (name, first line, last line) of the symbols in which `hits` matches: top-level statements, and the
    members of classes longer than `most` lines."""
    numbers = [number for number, line in enumerate(split(text), 1) if re.search(hits, line)]

    def wanted(first: int, last: int) -> bool:
        return any(first <= number <= last for number in numbers)

    return [(unit.name, unit.first, unit.last) for unit in innermost(outline(text).units, wanted, most)]


def part(text: str, spans: Sequence[Lines]) -> dict[str, Any]:
    """Return the excerpt, as Excerpt's fields, that shows the lines of `spans` and lets them change."""
    found = outline(text)
    headers = {header for unit in _flat(found.units) for header in unit.headers if _within(unit, spans)}
    units = [Unit("", first, last, tuple(headers)) for first, last in spans]
    shown = excerpt(text, found, units)
    return {"lines": shown.lines, "numbers": shown.numbers, "free": sorted(shown.free)}


def stray(before: str, after: str, spans: Sequence[Lines]) -> list[int]:
    """Return the lines of `before` at which something was changed that is neither within `spans` nor a top-level
    import that was added."""
    imported = _imported(parse(after))
    shift, found = 0, []
    for hunk in diff(split(before), split(after)):
        at = hunk.first + shift
        added = [number for number, line in enumerate(hunk.lines, at + 1) if line.strip()]
        shift += hunk.grows
        inside = any(first - 1 <= hunk.first and hunk.last <= last for first, last in spans)
        if not inside and not (hunk.first == hunk.last and added and imported.issuperset(added)):
            found.append(hunk.first + 1)
    return found


def _imported(tree: ast.Module) -> set[int]:
    """Return the lines on which top-level imports stand and nothing else."""
    imports: set[int] = set()
    others: set[int] = set()
    for node in tree.body:
        lines = imports if isinstance(node, ast.Import | ast.ImportFrom) else others
        lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return imports - others


def _within(unit: Unit, spans: Sequence[Lines]) -> bool:
    return any(unit.first <= last and first <= unit.last for first, last in spans)


def _flat(units: Sequence[Unit]) -> list[Unit]:
    return [unit for one in units for unit in (one, *_flat(one.members))]
