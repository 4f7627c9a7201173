"""What planning and prompts want to know of a module."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from operators.source import split
from operators.syntax.excerpt import excerpt
from operators.syntax.outline import Lines, Unit, flat, innermost, outline


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
    headers = {header for unit in flat(found.units) for header in unit.headers if _within(unit, spans)}
    units = [Unit("", first, last, tuple(headers)) for first, last in spans]
    shown = excerpt(text, found, units)
    return {"lines": shown.lines, "numbers": shown.numbers, "free": sorted(shown.free)}


def _within(unit: Unit, spans: Sequence[Lines]) -> bool:
    return any(unit.first <= last and first <= unit.last for first, last in spans)


def around(text: str, lines: Sequence[int], most: int) -> str:
    """Return the functions and classes in which any of `lines` stands, with the imports: classes longer than `most`
    lines only as far as these. Raises Skip."""
    units = innermost(outline(text).units, lambda first, last: any(first <= one <= last for one in lines), most)
    spans = [(unit.first, unit.last) for unit in units]
    return "".join(part(text, spans)["lines"])
