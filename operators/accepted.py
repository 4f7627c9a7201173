"""Accepted edits as examples: what of an edit is worth showing, and which edits help with a given shard."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache

from operators.conversation import prompt
from operators.data import Pair
from operators.hunks import Hunk, apply, diff
from operators.likeness import likeness, words
from operators.source import split
from operators.tokens import tokens

AROUND = 3  # lines that stay which are shown on either side of a change, as in a unified diff
BUDGET = 2000  # tokens of accepted edits in one prompt


def pairs(before: str, after: str) -> Iterator[Pair]:
    """Yield each place that changes, with the lines around it, as it was and as it became."""
    lines = split(before)
    near: list[Hunk] = []
    for hunk in diff(lines, split(after)):
        if near and hunk.first - near[-1].last > 2 * AROUND:
            yield _pair(lines, near)
            near = []
        near.append(hunk)
    if near:
        yield _pair(lines, near)


def closest(pool: Sequence[Pair], code: Mapping[str, str]) -> tuple[str, ...]:
    """Return what a model is shown of the edits that are most like `code` (path to text), in BUDGET tokens, the most
    like last: next to the code. One with no word in common is not shown."""
    about = words("".join(code.values()))
    ranked = sorted(((likeness(_known(pair[0]), about), pair) for pair in pool), key=lambda one: -one[0])
    chosen: list[str] = []
    left = BUDGET
    for like, pair in ranked:
        text, size = _shown(pair)
        if like and size <= left:
            chosen.append(text)
            left -= size
    return tuple(reversed(chosen))


def _pair(lines: Sequence[str], near: Sequence[Hunk]) -> Pair:
    first, last = max(0, near[0].first - AROUND), near[-1].last + AROUND
    own = [Hunk(hunk.first - first, hunk.last - first, hunk.lines) for hunk in near]
    return "".join(lines[first:last]), "".join(apply(lines[first:last], own))


# The pool is the same for all shards.
@lru_cache(maxsize=4096)
def _known(text: str) -> frozenset[str]:
    return words(text)


@lru_cache(maxsize=4096)
def _shown(pair: Pair) -> tuple[str, int]:
    """Return how an edit is shown, and how many tokens that takes."""
    text = prompt("accepted.j2", before=pair[0], after=pair[1])
    return text, tokens(text)
