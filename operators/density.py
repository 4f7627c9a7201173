"""Edit density: the share of lines that a change touches, by which the form of a model's replies is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from operators.data import Pair
from operators.hunks import diff
from operators.revise import contents

Protocol = Literal["blocks", "whole", "piece"]
DENSE = 0.4  # from here on search/replace blocks, which say what changes twice, save little or nothing


@dataclass(frozen=True, slots=True)
class Chosen:
    """The form of a job's replies, and the reason."""

    protocol: Protocol
    why: str


def chosen(said: Protocol | None, examples: Sequence[Pair]) -> Chosen:
    """Return what the job says, else whole units where its examples change so many lines, else blocks."""
    if said:
        return Chosen(said, "the job says so")
    changed, lines = density(examples)
    if not lines:
        return Chosen("blocks", "no examples show how much changes")
    why = f"the examples change {changed} of {lines} lines, {changed / lines:.0%}"
    return Chosen("whole" if changed >= DENSE * lines else "blocks", f"{why}; whole from {DENSE:.0%}")


def density(pairs: Sequence[Pair]) -> tuple[int, int]:
    """Return how many of the lines before change, and how many there are. What is only put between them changes
    none."""
    before = [contents(one) for one, _ in pairs]
    hunks = [hunk for lines, (_, after) in zip(before, pairs, strict=True) for hunk in diff(lines, contents(after))]
    return sum(hunk.last - hunk.first for hunk in hunks), sum(map(len, before))
