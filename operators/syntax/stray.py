"""What `inside` wants to know: whether an edit of some symbols left the rest of the file as it was."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from operators.hunks import diff
from operators.source import split
from operators.syntax.imports import harmful
from operators.syntax.outline import Lines, Unit, flat, numbers, outline, parse


def stray(before: str, after: str, spans: Sequence[Lines], whose: str) -> list[str]:
    """Return what an edit of `spans`, lines of `before`, did to the rest of the file, in words for whoever must repair
    it. Top-level imports may be added. `whose`: what the spans are called. Raises Skip when a text does not parse."""
    lines = [f"Line {line} is outside of {whose}." for line in _lines(before, after, spans)]
    units = [
        f"`{head}` on line {line} is outside of {whose}, but what was added takes it in, decorates it or adds to it."
        for line, head in ([] if lines else _units(before, after, spans))
    ]
    return [*lines, *units, *harmful(before, after, spans)]


def _lines(before: str, after: str, spans: Sequence[Lines]) -> Iterator[int]:
    """Yield the lines of `before` at which something was changed that is neither within the spans nor an import."""
    added, free, shift = _imported(after), _joined(spans), 0
    for hunk in diff(split(before), split(after)):
        at = hunk.first + shift
        new = [number for number, line in enumerate(hunk.lines, at + 1) if line.strip()[:1] not in {"", "#"}]
        shift += hunk.grows
        inside = any(first - 1 <= hunk.first and hunk.last <= last for first, last in free)
        if not inside and not (hunk.first == hunk.last and new and added.issuperset(new)):
            yield hunk.first + 1


def _imported(text: str) -> set[int]:
    """Return the lines on which top-level imports stand and nothing else."""
    imports: set[int] = set()
    others: set[int] = set()
    for node in parse(text).body:
        lines = imports if isinstance(node, ast.Import | ast.ImportFrom) else others
        lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return imports - others


def _joined(spans: Sequence[Lines]) -> list[Lines]:
    """Take spans that touch as one: what changes in both is one hunk."""
    joined: list[Lines] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined


def _units(before: str, after: str, spans: Sequence[Lines]) -> Iterator[tuple[int, str]]:
    """Yield line and text of the symbols outside of the spans that are not there any more, in their order, as they
    were: the lines alone do not tell to what they belong."""
    now, at, free = [known for _, known in _known(after)], 0, numbers(spans)
    for unit, known in _known(before):
        if unit.first in free:
            continue
        try:
            at = now.index(known, at) + 1
        except ValueError:
            yield unit.first, known[1].lstrip().partition("\n")[0].rstrip()[:60]


def _known(text: str) -> Iterator[tuple[Unit, tuple[str, str]]]:
    """Yield each symbol with the name of the class it stands in and its text, which of a class is its header."""
    lines = split(text)
    for unit in flat(outline(text).units):
        last = unit.members[0].first - 1 if unit.members else unit.last
        while lines[last - 1].strip()[:1] in {"", "#"}:  # below a header, which may be the first member's
            last -= 1
        yield unit, (unit.name.rpartition(".")[0], "".join(lines[unit.first - 1 : last]))
