"""Operator: several steps, one edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from operators.data import Edit, Operator, Pair, Shard, Skip, TooLong, Verdict
from operators.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Chain:
    """Each step sees what the steps before it made of the code. Only a step that waits for a model learns from
    `past`; the others do the same again, so that the model's conversation starts from the same code each time."""

    steps: tuple[Operator, ...]

    @property
    def waits(self) -> bool:
        return any(step.waits for step in self.steps)

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        """Raise Skip when the first step that has anything to say cannot work on the shard's files, or when a model
        cannot see as much."""
        now, told = ws, False
        said, trouble, tokens_in, tokens_out, cached = "", "", 0, 0, 0
        notes: list[str] = []
        pairs: tuple[Pair, ...] = ()
        for step in self.steps:
            try:
                edit = step.propose(now, shard, past if step.waits else ())
            except Skip as why:
                if now is ws or isinstance(why, TooLong):
                    raise
                edit = Edit({}, trouble=f"What the steps before made cannot be worked on: {why}.")
            if edit is None:
                continue
            told = told or step.waits or not past
            now = now.over(edit)
            said, trouble = said or edit.said, edit.trouble
            notes += edit.notes
            tokens_in, tokens_out = tokens_in + edit.tokens_in, tokens_out + edit.tokens_out
            cached, pairs = cached + edit.cached, pairs + edit.pairs
            if trouble:
                break
        if not told:
            return None
        return Edit(now.edit(ws), said, tuple(notes), tokens_in, tokens_out, trouble, cached, pairs)
