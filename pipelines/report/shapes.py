"""Shapes of edits: what is left of a changed line when all that only differs from place to place is taken out of it.

`self.assertEqual(a.b, 3)` that becomes `assert a.b == 3` has the shape `self.assertEqual(‹1›, ‹2›)`,
`assert ‹1› == ‹2›`: what stands on both sides is numbered, strings and numbers are `"…"` and `0`, and what one side
alone has, which is what the edit does, stays as it is. So thousands of like edits are one shape, and one edit that is
not like them stands out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from hashlib import sha256
from keyword import kwlist

from pipelines.report.changed import Block

TOKENS = 300  # of a block that are compared with each other
LETTERS = 8000  # of a block; of a longer one only its length counts
SHOWN = 400  # characters of a side
MOST = 20_000  # shapes that are told apart
LAYOUT = "only blanks, blank lines or line breaks"

_TOKEN = re.compile(
    r"""(?:\b[A-Za-z]{1,2})?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""  # a string
    r"|[^\W\d]\w*|\d[\w.]*|==|!=|<=|>=|->|=>|:=|\*\*|//|&&|\|\||[^\w\s]"  # a name, a number, a sign
)
_MARKS = [f"‹{number}›" for number in range(1, LETTERS)]
_WORDS = frozenset(kwlist) - {"True", "False", "None"}  # of Python, the language of most jobs; they are never numbered
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_CLOSE = frozenset(")]},;:.")
_OPEN = frozenset("([{.")
Side = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    before: str
    after: str


@dataclass(slots=True)
class Counted:
    """A shape and where it was seen."""

    number: int
    shape: Shape
    example: Block
    key: str
    """Of the shard that the example is of."""
    places: int = 0
    shards: int = 0
    repos: set[str] = field(default_factory=set)


class Shapes:
    """All shapes of a job, in memory that does not grow without end."""

    def __init__(self) -> None:
        self.found: dict[Shape, Counted] = {}
        self.others = 0
        """Places whose shape was not told apart any more."""

    def add(self, repo: str, key: str, blocks: Sequence[Block]) -> list[int]:
        """Count the shapes of one shard's edit; return their numbers."""
        seen: dict[int, Counted] = {}
        for block in blocks:
            for part in apart(block):
                shape = shape_of(part)
                counted = self.found.get(shape)
                if counted is None:
                    if len(self.found) >= MOST:
                        self.others += 1
                        continue
                    counted = self.found[shape] = Counted(len(self.found), shape, part, key)
                counted.places += 1
                seen[counted.number] = counted
        for counted in seen.values():
            counted.shards += 1
            counted.repos.add(repo)
        return sorted(seen)

    def sorted(self) -> list[Counted]:
        """Return them, the most frequent first."""
        return sorted(self.found.values(), key=lambda one: (-one.places, one.number))


def apart(block: Block) -> Iterator[Block]:
    """Yield line by line a block that has as many lines before as after, each line once; another block as it is."""
    if len(block.before) != len(block.after):
        yield block
        return
    for pair in zip(block.before, block.after, strict=True):
        if pair[0] != pair[1]:
            yield Block((pair[0],), (pair[1],))


@lru_cache(maxsize=20_000)
def shape_of(block: Block) -> Shape:
    """Return the shape of a block that changes something."""
    sides = ["\n".join(block.before), "\n".join(block.after)]
    if len(sides[0]) + len(sides[1]) > LETTERS:
        return Shape(f"{len(block.before)} lines", f"{len(block.after)} lines")
    before, after = map(_TOKEN.findall, sides)
    if before == after:
        return Shape("", LAYOUT)
    both = {word for word in {*before}.intersection(after) if word not in _WORDS and not _sign(word)}
    marks = dict(zip(dict.fromkeys(word for word in before if word in both), _MARKS, strict=False))
    pair = [tuple([marks[word] if word in marks else _abstract(word) for word in side]) for side in (before, after)]
    if pair[0] == pair[1]:  # strings or numbers are all that it changes
        pair = [tuple([marks.get(word, word) for word in side]) for side in (before, after)]
    return _runs(*pair)


@lru_cache(maxsize=20_000)
def _sign(word: str) -> bool:
    return not (word[0].isalnum() or word[0] == "_" or (len(word) > 1 and word[-1] in "\"'"))


@lru_cache(maxsize=20_000)
def _abstract(word: str) -> str:
    """Return what a token that stands on one side alone counts as."""
    if len(word) > 1 and word[-1] in "\"'":
        return '"…"'
    return "0" if word[0].isdigit() else word


@lru_cache(maxsize=50_000)
def _runs(before: Side, after: Side) -> Shape:
    """Take runs that both sides have for one thing: `a.b(c)` is as good as `a`."""
    if len(before) + len(after) > TOKENS:
        return Shape(_joined(before), _joined(after))
    runs: dict[Side, str] = {}
    sides: tuple[list[str], list[str]] = ([], [])
    at = [0, 0]
    for a, b, size in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks():
        sides[0].extend(before[at[0] : a])
        sides[1].extend(after[at[1] : b])
        told = _told(before[a : a + size], runs, any(side and _named(side[-1]) for side in sides))
        for side in sides:
            side.extend(told)
        at = [a + size, b + size]
    return _renumbered(*sides)


def _told(run: Side, runs: dict[Side, str], held: bool) -> list[str]:
    """Return a run with one mark for each part of it that is whole: no bracket opens or closes it without the other,
    and no sign begins or ends it. `held`: brackets that it begins with belong to the name before it."""
    told: list[str] = []
    start = 0
    for at in [*_lonely(run), len(run)]:
        told += _marked(run[start:at], runs, held and not start)
        told += run[at : at + 1]
        start = at + 1
    return told


def _lonely(run: Side) -> list[int]:
    """Return where brackets stand whose other half is not in the run."""
    opened: list[int] = []
    closed: list[int] = []
    for at, word in enumerate(run):
        if word in _BRACKETS.values():
            opened.append(at)
        elif word in _BRACKETS:
            if opened and run[opened[-1]] == _BRACKETS[word]:
                opened.pop()
            else:
                closed.append(at)
    return sorted([*opened, *closed])


def _marked(part: Side, runs: dict[Side, str], held: bool) -> list[str]:
    first, last = 0, len(part)
    while first < last and not _begins(part[first]):
        first += 1
    while last > first and not _ends(part[last - 1]):
        last -= 1
    if first == last:
        return list(part)
    core = part[first:last]
    if held and not first and core[0] in _BRACKETS.values() and core[-1] in _BRACKETS and not _lonely(core[1:-1]):
        told = [core[0], *_marked(core[1:-1], runs, False), core[-1]]
    elif any(word[0] == "‹" for word in core):
        told = [runs.setdefault(core, f"‹r{len(runs)}›")]
    else:
        told = list(core)
    return [*part[:first], *told, *part[last:]]


def _named(word: str) -> bool:
    return (word[0].isalnum() or word[0] == "_") and word not in _WORDS


def _begins(word: str) -> bool:
    return word[0] in '‹"([{' or word[0].isalnum()


def _ends(word: str) -> bool:
    return word[0] in '‹")]}' or word[0].isalnum()


def _renumbered(before: Sequence[str], after: Sequence[str]) -> Shape:
    """Number what is left, from 1 on."""
    numbers: dict[str, str] = {}
    for word in (*before, *after):
        if word[0] == "‹":
            numbers.setdefault(word, f"‹{len(numbers) + 1}›")
    return Shape(*(_joined([numbers.get(word, word) for word in side]) for side in (before, after)))


def _joined(words: Sequence[str]) -> str:
    """Write tokens as a line of code: no blank inside brackets, nor before what closes something."""
    line = last = ""
    for word in words:
        called = word in "([" and last not in _WORDS and (last[-1:].isalnum() or last[-1:] in ("_", "›", ")", "]"))
        tight = not line or called or word in _CLOSE or line[-1] in _OPEN
        line += word if tight else f" {word}"
        last = word
        if len(line) > SHOWN:
            rest = sha256(" ".join(words).encode(errors="replace")).hexdigest()[:6]
            return f"{line[:SHOWN]} … {rest}"
    return line
