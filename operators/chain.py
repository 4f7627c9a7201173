"""Operator: several steps, one edit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from operators.data import Asked, Completion, Edit, Operator, Pair, Passage, Shard, Skip, TooLong, Verdict
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
        waited, gpu_seconds = 0.0, 0.0
        replies: tuple[Completion, ...] = ()
        asked: tuple[Asked, ...] = ()
        notes: list[str] = []
        pairs: tuple[Pair, ...] = ()
        models: tuple[str, ...] | None = None
        foreign: tuple[Passage, ...] = ()
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
            waited, gpu_seconds = waited + edit.waited, gpu_seconds + edit.gpu_seconds
            asked += edit.asked
            replies, foreign = replies + edit.replies, foreign + edit.foreign
            if edit.models is not None:
                models = (*(models or ()), *edit.models)
            if trouble:
                break
        if not told:
            return None
        return Edit(
            now.edit(ws),
            said,
            tuple(notes),
            tokens_in,
            tokens_out,
            trouble,
            cached,
            pairs,
            waited,
            gpu_seconds,
            replies,
            asked,
            models,
            foreign,
        )


def changed(operator: Operator, change: Callable[[Operator], Operator]) -> Operator:
    """Return an operator with each of its steps changed."""
    if isinstance(operator, Chain):
        return Chain(tuple(changed(step, change) for step in operator.steps))
    return change(operator)
