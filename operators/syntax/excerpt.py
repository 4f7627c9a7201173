"""A part of a file that still parses: its imports, the headers around some lines, and those lines.

A codemod that only needs to see one function costs a tenth on the excerpt, and a model reads a page instead of a file.
What comes back is put into the file again, as far as it stayed within the lines it was given.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from operators.hunks import Hunk, apply, diff, imports
from operators.source import split
from operators.syntax.outline import Lines, Outline, Unit, numbers


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`numbers[i]` is the 1-based line number, in the file, of the excerpt's line i."""

    lines: tuple[str, ...]
    numbers: tuple[int, ...]
    free: frozenset[int]
    """Numbers of the lines that may change; elsewhere only imports may be added."""

    @property
    def text(self) -> str:
        return "".join(self.lines)


def excerpt(text: str, outline: Outline, units: Iterable[Unit]) -> Excerpt:
    """Cut `units` out of `text`, with the module's head, all top-level imports and the class headers around each
    unit, and the blank lines above each of these."""
    units, lines = list(units), split(text)
    free = numbers((unit.first, unit.last) for unit in units)
    parts: set[Lines] = {outline.head, *outline.imports, *((unit.first, unit.last) for unit in units)}
    parts.update(header for unit in units for header in unit.headers)
    for unit in units:
        if unit.members and unit.last < unit.members[0].first:  # a class header, which does not parse alone
            parts.add((unit.members[0].first, unit.members[0].last))
    shown: set[int] = set()
    for first, last in parts:
        start = first
        while start > 1 and not lines[start - 2].strip():
            start -= 1
        shown.update(range(start, last + 1))
    return Excerpt(tuple(lines[number - 1] for number in sorted(shown)), tuple(sorted(shown)), free)


def whole(text: str) -> Excerpt:
    """Return the excerpt that shows everything, and lets everything change."""
    lines = tuple(split(text))
    every = tuple(range(1, len(lines) + 1))
    return Excerpt(lines, every, frozenset(every))


def carried(part: Excerpt, before: str, now: str) -> Excerpt:
    """Return the excerpt of `now` that shows what `part` shows of `before`, and what has been changed there since.

    `now` need not parse. What has been changed may be changed again, imports that were added too.
    """
    lines, known = split(now), frozenset(part.numbers)
    shown: list[int] = []
    free: set[int] = set()
    at, shift = 0, 0
    for hunk in [*diff(split(before), lines), None]:
        stop = hunk.first if hunk else max(known, default=0)
        kept = [number for number in range(at + 1, stop + 1) if number in known]
        shown += [number + shift for number in kept]
        free.update(number + shift for number in kept if number in part.free)
        if hunk:
            around = range(hunk.first + 1, hunk.last + 1) or (hunk.first, hunk.first + 1)
            if not known.isdisjoint(around):
                new = range(hunk.first + shift + 1, hunk.first + shift + 1 + len(hunk.lines))
                shown += new
                free.update(new)
            at, shift = hunk.last, shift + hunk.grows
    return Excerpt(tuple(lines[number - 1] for number in shown), tuple(shown), frozenset(free))


def put_back(text: str, part: Excerpt, hunks: Sequence[Hunk]) -> tuple[str, list[Lines]]:
    """Return `text` with the excerpt's new lines in it, `hunks` being what was changed in the excerpt, and the lines
    where a change was left out because it was neither within the free lines nor an added import."""
    lines = split(text)
    if len(part.free) == len(lines):
        return "".join(apply(lines, hunks)), []
    kept, left_out = [], []
    for hunk in hunks:
        if _may(part, hunk):
            kept.append(_moved(part, hunk))
        else:
            first = min(hunk.first, len(part.numbers) - 1)  # of what was put somewhere: the line that follows
            left_out.append((part.numbers[first], part.numbers[max(hunk.last - 1, first)]))
    return "".join(apply(lines, kept)), left_out


def _may(part: Excerpt, hunk: Hunk) -> bool:
    touched = part.numbers[hunk.first : hunk.last]
    if touched:
        whole = touched[-1] - touched[0] == len(touched) - 1
        return whole and part.free.issuperset(touched)
    around = part.numbers[max(hunk.first - 1, 0) : hunk.first + 1]
    return imports(hunk.lines) or bool(part.free.intersection(around))


def _moved(part: Excerpt, hunk: Hunk) -> Hunk:
    """Tell the hunk in the file's own lines. An insertion stands behind the line it followed, unless only the line
    before which it stands is free."""
    if hunk.last > hunk.first:
        first = part.numbers[hunk.first] - 1
        return Hunk(first, first + hunk.last - hunk.first, hunk.lines)
    behind = part.numbers[hunk.first - 1] if hunk.first else 0
    follows: Sequence[int] = part.numbers[hunk.first : hunk.first + 1]
    if behind not in part.free and follows and follows[0] in part.free and not imports(hunk.lines):
        return Hunk(follows[0] - 1, follows[0] - 1, hunk.lines)
    return Hunk(behind, behind, hunk.lines)
