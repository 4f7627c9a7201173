"""What the next attempt at a shard begins with: the conversation so far, nothing, or nothing and another model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from operators.data import Verdict

KINDS = {
    "reply": "reply",
    "parses": "syntax",
    "inside": "scope",
    "scope": "scope",
    "honest": "scope",
    "api": "scope",
    "keeps": "scope",
    "idempotent": "scope",
    "original": "scope",
    "gone": "command",
    "rule": "command",
    "complaints": "command",
    "command": "command",
    "step": "command",
    "tests": "tests",
}
BUDGETS = {"reply": 2, "syntax": 2, "scope": 2, "command": 2, "tests": 4}
"""Faults of one kind in a row after which talking on is of no use. Those of a job's own checks have none."""
ASKED = frozenset({"review", "ci"})
"""What comes from outside, after an edit was accepted: each is a new task."""


@dataclass(frozen=True, slots=True)
class Turn:
    """How to ask next."""

    shown: tuple[Verdict, ...] = ()
    """The attempts that the model is reminded of."""
    other: bool = False
    """Ask the job's other model."""


def kind_of(verdict: Verdict) -> str:
    """Return the kind of fault that was found, by its judge; "" when there is none. What was asked for comes first."""
    judges = [finding.judge for finding in verdict.findings]
    judge = next((one for one in judges if one in ASKED), judges[0] if judges else "")
    return KINDS.get(judge, judge)


def plan(past: Sequence[Verdict], *, other: bool) -> Turn | None:
    """Return how to ask after `past`, None when enough was tried. `other`: the job names a second model.

    When the budget of a kind is used up there is a fresh start, then one with the other model, then an end. What a
    reviewer asked for, or a failed pipeline, is a new task: it has budgets of its own, and a fresh start keeps it.
    """
    begin: tuple[Verdict, ...] = ()
    shown, last, row, starts = begin, "", 0, 0
    for verdict in past:
        kind = kind_of(verdict)
        shown, last, row = (*shown, verdict), kind, row + 1 if kind == last else 1
        if kind in ASKED:
            begin, starts = (verdict,), 0
        elif row >= BUDGETS.get(kind, math.inf):
            shown, last, starts = begin, "", starts + 1
    return Turn(shown, other=starts == 2) if starts <= 1 + other else None
