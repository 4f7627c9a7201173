"""Line hunks: what an edit changes, where a line went, and how edits of one file are added up."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

from operators.source import split

STEPS = 30_000_000  # that SequenceMatcher may take to look at frequent lines as well: about a second


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
    hunks: list[Hunk] = []
    a, c = 0, 0
    # From one line that both texts hold once to the next: SequenceMatcher takes a minute for 50 edits in 30,000 lines.
    for b, d in [*_rising(_anchors(before, after)), (len(before), len(after))]:
        if before[a:b] != after[c:d]:
            hunks += _between(before[a:b], after[c:d], a)
        a, c = b + 1, d + 1
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
    """Return `before` with every edit in it. The same hunk twice is once, the same import at one place too; insertions
    at one place stand in the order of `afters`. Raises Conflict when two edits change the same lines."""
    lines = split(before)
    hunks: list[Hunk] = []
    for after in afters:
        new = [hunk for hunk in diff(lines, split(after)) if hunk not in hunks]
        hunks += [_fresh(hunk, hunks) for hunk in new]
    hunks.sort(key=lambda hunk: (hunk.first, hunk.last))  # stable: insertions keep their order
    for one, other in pairwise(hunks):
        if other.first < one.last or (one.first == other.first and one.last != one.first):
            raise Conflict(f"lines {other.first + 1} to {max(one.last, other.last)} are changed in two ways")
    return "".join(apply(lines, hunks))


def moved(hunks: Sequence[Hunk], first: int, last: int) -> tuple[int, int]:
    """Say where lines `first` to `last` (1-based, inclusive) stand once `hunks` are applied.

    What was inserted right before or after them belongs to them, imports excepted; so does the whole of a hunk that
    reaches over their first or last line.
    """
    begin, end = first - 1, last
    own = [hunk for hunk in hunks if _touches(hunk, begin, end)]
    shift = sum(hunk.grows for hunk in hunks if hunk.last <= begin and hunk not in own)
    start, stop = min([begin, *(hunk.first for hunk in own)]), max([end, *(hunk.last for hunk in own)])
    return start + shift + 1, stop + shift + sum(hunk.grows for hunk in own)


def imports(lines: Sequence[str]) -> bool:
    """Say whether these lines are top-level imports and, apart from blank lines and comments, nothing else."""
    found, bracket, joined = False, False, False
    for line in lines:
        code = line.partition("#")[0].strip()
        if not code:
            continue
        if ";" in code or not (bracket or joined or line.startswith(("import ", "from "))):
            return False
        found = True
        bracket = ("(" in code or bracket) and ")" not in code
        joined = code.endswith("\\")
    return found and not bracket and not joined


def _fresh(hunk: Hunk, hunks: Sequence[Hunk]) -> Hunk:
    """Return `hunk`, if it puts nothing but imports somewhere, without those that one of `hunks` puts there."""
    if hunk.first < hunk.last or not all(imports([line]) for line in hunk.lines):
        return hunk
    there = {line for other in hunks if (other.first, other.last) == (hunk.first, hunk.last) for line in other.lines}
    return Hunk(hunk.first, hunk.last, tuple(line for line in hunk.lines if line not in there))


def _touches(hunk: Hunk, begin: int, end: int) -> bool:
    if hunk.first == hunk.last == begin and imports(hunk.lines):
        return False
    inside = begin <= hunk.first and hunk.last <= end
    return inside or (hunk.first < end and begin < hunk.last)


def _anchors(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Return where the lines stand that both texts hold exactly once, in the order of `before`."""
    here, there = Counter(before), Counter(after)
    places = {line: at for at, line in enumerate(after) if there[line] == 1}
    return [(at, places[line]) for at, line in enumerate(before) if here[line] == 1 and line in places]


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest choice of `pairs` whose second members rise as the first ones do."""
    seconds = [second for _, second in pairs]
    if seconds == sorted(seconds):  # as nearly always: nothing was moved
        return [*pairs]
    ends: list[int] = []  # for each length, the least second member that a choice so long can end with
    tops: list[int] = []  # and the number of its pair
    behind: list[int] = []  # for each pair, the number of the one before it, -1 for none
    for number, (_, at) in enumerate(pairs):
        length = bisect_left(ends, at)
        behind.append(tops[length - 1] if length else -1)
        ends[length : length + 1], tops[length : length + 1] = [at], [number]
    chosen, number = [], tops[-1] if tops else -1
    while number >= 0:
        chosen.append(pairs[number])
        number = behind[number]
    return chosen[::-1]


def _between(old: Sequence[str], new: Sequence[str], start: int) -> list[Hunk]:
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    old, new = old[head : len(old) - tail], new[head : len(new) - tail]
    at = start + head
    if set(old).isdisjoint(new):  # most often: SequenceMatcher would find the same, and take ten times as long
        return [Hunk(at, at + len(old), tuple(new))] if old or new else []
    codes = SequenceMatcher(None, old, new, autojunk=_steps(old, new) > STEPS).get_opcodes()
    return [Hunk(at + a, at + b, tuple(new[c:d])) for tag, a, b, c, d in codes if tag != "equal"]


def _steps(old: Sequence[str], new: Sequence[str]) -> int:
    """Return how many steps SequenceMatcher takes at most: for each match it looks at all pairs of equal lines."""
    here, there = Counter(old), Counter(new)
    common = here.keys() & there.keys()
    return sum(here[line] * there[line] for line in common) * sum(min(here[line], there[line]) for line in common)


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
