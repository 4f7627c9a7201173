"""Line hunks that know whose they are.

`diff` makes one hunk of neighbouring lines that change, though each of them may be another symbol and another shard's;
and what it puts between two symbols could be either's.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from operators.data import Skip
from operators.hunks import Hunk, diff, imports
from operators.source import split
from operators.syntax.outline import Unit, outline

_Border = tuple[int, str, bool]  # how many lines stand above it, whose it is, whether it is where that begins
_IMPORT = "import"  # no symbol can have this name


def bordered(before: str, after: str) -> list[Hunk]:
    """Return the hunks, in order, that turn `before` into `after`: those of `diff`, but

    - parted between symbols, where both texts have the same ones, in the same order, in the hunk's place;
    - with a line of the symbol to which it belongs, where code is put at the border of one: of the one below if that
      begins with it now, else of the one above.
    """
    old, new = split(before), split(after)
    found = diff(old, new)
    try:
        here, there = _borders(before), _borders(after)
    except Skip:
        return found
    hunks: list[Hunk] = []
    shift = 0
    for part in _parted(old, new, found, here, there):
        hunk, at = part, part.first + shift
        shift += part.grows
        if part.first == part.last and not imports(part.lines):
            hunk = _owned(part, old, _at(here, part.first), _at(there, at))
        if hunks and hunk.first < hunks[-1].last:  # both hold the last line of the symbol above
            above = hunks.pop()
            hunk = Hunk(above.first, hunk.last, above.lines + hunk.lines[1:])
        hunks.append(hunk)
    return hunks


def _parted(
    old: Sequence[str], new: Sequence[str], hunks: Sequence[Hunk], here: Sequence[_Border], there: Sequence[_Border]
) -> Iterator[Hunk]:
    shift = 0
    for hunk in hunks:
        first, last = hunk.first + shift, hunk.last + shift + hunk.grows
        shift += hunk.grows
        ours, theirs = _between(here, hunk.first, hunk.last), _between(there, first, last)
        if [border[1:] for border in ours] != [border[1:] for border in theirs]:
            yield hunk
            continue
        cuts = [
            (hunk.first, first),
            *((a, c) for (a, *_), (c, *_) in zip(ours, theirs, strict=True)),
            (hunk.last, last),
        ]
        for (a, c), (b, d) in pairwise(cuts):
            yield from (Hunk(a + part.first, a + part.last, part.lines) for part in diff(old[a:b], new[c:d]))


def _owned(hunk: Hunk, old: Sequence[str], here: set[tuple[str, bool]], there: set[tuple[str, bool]]) -> Hunk:
    at = hunk.first
    if any(begins for _, begins in here & there):
        return Hunk(at, at + 1, (*hunk.lines, old[at]))
    if any(not begins for _, begins in here):
        return Hunk(at - 1, at, (old[at - 1], *hunk.lines))
    return hunk


def _at(borders: Sequence[_Border], line: int) -> set[tuple[str, bool]]:
    return {(name, begins) for _, name, begins in _between(borders, line, line) if name != _IMPORT}


def _between(borders: Sequence[_Border], first: int, last: int) -> Sequence[_Border]:
    return borders[bisect_left(borders, first, key=_line) : bisect_right(borders, last, key=_line)]


def _line(border: _Border) -> int:
    return border[0]


def _borders(text: str) -> list[_Border]:
    found = outline(text)
    imports = [Unit(_IMPORT, first, last) for first, last in found.imports]
    return sorted((border for unit in (*imports, *found.units) for border in _around(unit)), key=_line)


def _around(unit: Unit) -> Iterator[_Border]:
    place, _, name = unit.name.rpartition(".")
    known = place if " " in name else unit.name  # `line 12` may have become `line 13`
    yield unit.first - 1, known, True
    for member in unit.members:
        yield from _around(member)
    yield unit.last, known, False
