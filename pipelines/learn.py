"""The accepted edits of a job's first shards become examples for the others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

from operators.chain import changed
from operators.data import Operator, Outcome, Pair
from operators.rewrite import Rewrite
from pipelines.data import Planned, Recipe, Task, digest
from pipelines.store import Store


def rounds(
    recipe: Recipe, planned: Collection[Planned], todo: Iterable[Task], store: Store
) -> Iterator[tuple[Recipe, Iterable[Task]]]:
    """Yield what of `todo`, which is in the plan's order, can be done next, and by what recipe; its outcomes are to be
    in the store before the next is drawn.

    First come the shards that the others learn from: of the plan's beginning as many as it takes for the model to have
    worked on `recipe.teachers` of them, twice as many each time. What they taught is kept: it stays the same whatever
    becomes of them. A run that was killed, or has a new store, asks the same questions.
    """
    left = iter(todo)
    name, size = _name(recipe), recipe.teachers
    while size and store.fact(name) is None:
        keys = [one.shard.key for one in islice(planned, size)]
        now, left = _split(left, keys)
        if now:
            yield recipe, now
        first = {key: found[0] for key, found in store.outcomes(keys).items()}
        if size >= len(planned) or len(first) < len(keys):
            break  # nobody is left who could learn, or not all of these were to be done
        worked = [first[key] for key in keys if _worked(first[key])]
        if len(worked) >= recipe.teachers:
            store.keep(name, _pool(worked[: recipe.teachers]))
        size *= 2
    for one in left:
        yield learnt(recipe, store), chain([one], left)


def learnt(recipe: Recipe, store: Store) -> Recipe:
    """Return the recipe for shards that learn from the first ones."""
    pool = tuple((repo, (before, after)) for repo, before, after in store.fact(_name(recipe)) or ())
    return replace(recipe, operator=_taught(recipe.operator, pool))


def teaching(recipe: Recipe, planned: Collection[Planned], most: int, store: Store) -> Iterator[list[Planned]]:
    """Yield the shards of each round that is left, for whoever does not do all shards: each is to be done before the
    next is drawn. None that takes more than `most` shards, if more than the fewest."""
    size = recipe.teachers
    while size and size <= max(most, recipe.teachers) and size < len(planned) and store.fact(_name(recipe)) is None:
        yield [*islice(planned, size)]
        size *= 2


def _name(recipe: Recipe) -> str:
    """Return what is kept under it: what the first shards taught."""
    return digest(["accepted", recipe.fingerprint])


def _split(tasks: Iterator[Task], keys: Collection[str]) -> tuple[list[Task], Iterator[Task]]:
    """Return the tasks of these shards, which come first, and the rest."""
    first: list[Task] = []
    for task in tasks:
        if task.shard.key not in keys:
            return first, chain([task], tasks)
        first.append(task)
    return first, tasks


def _worked(outcome: Outcome) -> bool:
    """Say whether the model was asked, and no fault of ours came between."""
    return not outcome.error and any(verdict.edit.said for verdict in outcome.verdicts)


def _pool(outcomes: Sequence[Outcome]) -> list[tuple[str, str, str]]:
    """Return repository, code before and code after of each edit."""
    return list(dict.fromkeys((one.shard.repo, *pair) for one in outcomes if one.edit for pair in one.edit.pairs))


def _taught(operator: Operator, pool: tuple[tuple[str, Pair], ...]) -> Operator:
    def step(one: Operator) -> Operator:
        return replace(one, accepted=pool, teaches=False) if isinstance(one, Rewrite) else one

    return changed(operator, step)
