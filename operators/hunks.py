"""Line hunks: what an edit changes, where a line went, and how edits of one file are added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from operators.source import split


@dataclass(frozen=True, slots=True, order=True)
class Hunk:
    """Lines `first` to `last` (0-based, `last` excluded) of the text before become `lines`."""

    first: int
    last: int
    lines: tuple[str, ...]

    @property
    def grows(self) -> int:
        return len(self.lines) - (self.last - self.first)


class Conflict(Exception):
    """Two edits change the same lines in different ways."""


def diff(before: Sequence[str], after: Sequence[str]) -> list[Hunk]:
    """Return the hunks, in order, that turn `before` into `after`."""
    head = _common(before, after)
    tail = _common(before[head:][::-1], after[head:][::-1])
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    codes = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    hunks = [Hunk(head + a, head + b, tuple(new[c:d])) for tag, a, b, c, d in codes if tag != "equal"]
    floors = [0, *(hunk.last for hunk in hunks)]
    return [_raised(before, hunk, floor) for hunk, floor in zip(hunks, floors, strict=False)]


def apply(before: Sequence[str], hunks: Sequence[Hunk]) -> list[str]:
    """Return the lines of `before` with `hunks` (in order, apart from each other) applied."""
    after: list[str] = []
    at = 0
    for hunk in hunks:
        after += before[at : hunk.first]
        after += hunk.lines
        at = hunk.last
    return [*after, *before[at:]]


def add(before: str, afters: Sequence[str]) -> str:
    """Return `before` with every edit in it. The same hunk twice is once; insertions at one place stand in the order
    of `afters`. Raises Conflict when two edits change the same lines."""
    lines = split(before)
    hunks: list[Hunk] = []
    for after in afters:
        hunks += [hunk for hunk in diff(lines, split(after)) if hunk not in hunks]
    hunks.sort(key=lambda hunk: (hunk.first, hunk.last))  # stable: insertions keep their order
    for one, other in pairwise(hunks):
        if other.first < one.last or (one.first == other.first and one.last != one.first):
            raise Conflict(f"lines {other.first + 1} to {max(one.last, other.last)} are changed in two ways")
    return "".join(apply(lines, hunks))


def moved(hunks: Sequence[Hunk], first: int, last: int) -> tuple[int, int]:
    """Say where lines `first` to `last` (1-based, inclusive) stand once `hunks` are applied.

    What was inserted right before or after them belongs to them, imports excepted.
    """
    begin, end = first - 1, last
    shift = sum(hunk.grows for hunk in hunks if hunk.last <= begin and not _inside(hunk, begin, end))
    grown = sum(hunk.grows for hunk in hunks if _inside(hunk, begin, end))
    return first + shift, last + shift + grown


def imports(lines: Sequence[str]) -> bool:
    """Say whether the first line that is not blank imports something."""
    return next((line.startswith(("import ", "from ")) for line in lines if line.strip()), False)


def _inside(hunk: Hunk, begin: int, end: int) -> bool:
    if hunk.first == hunk.last == begin and imports(hunk.lines):
        return False
    return begin <= hunk.first and hunk.last <= end


def _raised(before: Sequence[str], hunk: Hunk, floor: int) -> Hunk:
    """Move a pure insertion as far up as it can stand: a blank line after it may as well be the one before it, and
    only one of the two places lies within the symbol that grew."""
    first, lines = hunk.first, hunk.lines
    if hunk.last != first:
        return hunk
    while first > floor and before[first - 1] == lines[-1]:
        first, lines = first - 1, (lines[-1], *lines[:-1])
    return Hunk(first, first, lines)


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
