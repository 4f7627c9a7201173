"""The accepted edits of a job's first shards become examples for the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from operators.chain import Chain
from operators.data import Operator, Outcome, Pair
from operators.rewrite import Rewrite
from pipelines.data import Planned, Recipe, digest
from pipelines.store import Store


def rounds(
    recipe: Recipe, planned: Sequence[Planned], todo: Sequence[Planned], store: Store
) -> Iterator[tuple[Recipe, list[Planned]]]:
    """Yield what of `todo` can be done next, and by what recipe; its outcomes are to be in the store before the next is
    drawn.

    First come the shards that the others learn from: of the plan's beginning as many as it takes for the model to have
    worked on `recipe.teachers` of them, twice as many each time. What they taught is kept: it stays the same whatever
    becomes of them. A run that was killed, or has a new store, asks the same questions.
    """
    left = {one.shard.key: one for one in todo}
    name, size = digest(["accepted", recipe.fingerprint]), recipe.teachers
    while size and store.fact(name) is None:
        keys = [one.shard.key for one in planned[:size]]
        if now := [left.pop(key) for key in keys if key in left]:
            yield recipe, now
        first = {key: found[0] for key, found in store.outcomes(keys).items()}
        if size >= len(planned) or len(first) < len(keys):
            break  # nobody is left who could learn, or not all of these were to be done
        worked = [first[key] for key in keys if _worked(first[key])]
        if len(worked) >= recipe.teachers:
            store.keep(name, _pool(worked[: recipe.teachers]))
        size *= 2
    if left:
        pool = tuple((before, after) for before, after in store.fact(name) or ())
        yield replace(recipe, operator=_taught(recipe.operator, pool)), list(left.values())


def _worked(outcome: Outcome) -> bool:
    """Say whether the model was asked, and no fault of ours came between."""
    return not outcome.error and any(verdict.edit.said for verdict in outcome.verdicts)


def _pool(outcomes: Sequence[Outcome]) -> list[Pair]:
    return list(dict.fromkeys(pair for one in outcomes if one.edit for pair in one.edit.pairs))


def _taught(operator: Operator, pool: tuple[Pair, ...]) -> Operator:
    if isinstance(operator, Chain):
        return Chain(tuple(_taught(step, pool) for step in operator.steps))
    return replace(operator, accepted=pool, teaches=False) if isinstance(operator, Rewrite) else operator
