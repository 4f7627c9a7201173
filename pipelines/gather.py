"""outcomes -> changes: the sum of accepted edits is judged as one; what does not hold is halved until the culprit is
out.

Each round asks for every sum that can be asked for now, over all groups, so that they are judged in parallel; then all
is thought through again with what is known.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from operators.data import Outcome
from operators.workspace import Workspace
from pipelines.data import Change, Dropped, Plan, Planned, Recipe, Repo, Task
from pipelines.forge import Place
from pipelines.sums import Parts, Sums

Judge = Callable[[Sequence[Task]], Mapping[str, Outcome]]
"""Has sums judged; returns outcomes by shard key, and leaves out those it has none for."""


@dataclass(frozen=True, slots=True)
class Brief:
    """A change without its texts."""

    place: Place
    digest: str
    wanted: bool
    """It changes something."""
    unfinished: bool
    """It has shards that have failed or have not been done yet."""


@dataclass(frozen=True, slots=True)
class Gathered:
    changes: Iterable[Change]
    """Repository by repository; of a whole job put together as they are gone through (pipelines.gathering)."""
    trouble: Mapping[Place, str]
    """Repository and branch to the reason why the sum could not be judged."""
    waiting: tuple[Place, ...] = ()
    """Repositories and branches whose sum nobody has judged yet."""
    dropped: tuple[Dropped, ...] = ()
    """Of all changes."""
    briefs: tuple[Brief, ...] = ()
    """Of all changes."""


def gather(
    job: str,
    recipe: Recipe,
    plan: Plan,
    accepted: Mapping[str, Outcome],
    judge: Judge,
    unfinished: Collection[str] = (),
    goes: Mapping[str, int] = MappingProxyType({}),
) -> Gathered:
    """Return a change for each merge request of the plan.

    `accepted`: outcomes by shard key. `unfinished`: keys of the shards that have failed or have not been done yet.
    `goes`: how often a shard was opened again; with another go its sums are judged again.
    """
    repos = {repo.name: repo for repo in plan.repos}
    groups: dict[Place, list[Planned]] = defaultdict(list)
    for planned in plan.planned:
        groups[planned.shard.repo, planned.branch].append(planned)
    sums = Sums(recipe, {one.shard.key: number for number, one in enumerate(plan.planned)}, goes)
    parts = {
        place: tuple(accepted[one.shard.key] for one in members if one.shard.key in accepted)
        for place, members in groups.items()
    }
    while True:
        held = {place: sums.most(repos[place[0]], parts[place]) for place in groups}
        asked = sums.take()
        if not asked:
            break
        sums.learn(asked, judge(asked))
    changes = [
        replace(
            _change(job, repos[place[0]], groups[place][0], parts[place], found, sums),
            unfinished=sum(one.shard.key in unfinished for one in groups[place]),
        )
        for place, found in held.items()
        if found is not None
    ]
    errors = {place: sums.error(parts[place]) for place, found in held.items() if found is None}
    trouble = {place: error for place, error in errors.items() if error}
    waiting = tuple(place for place, error in errors.items() if not error)
    dropped = tuple(one for change in changes for one in change.dropped)
    return Gathered(tuple(changes), trouble, waiting, dropped, tuple(map(_brief, changes)))


def _brief(change: Change) -> Brief:
    place = change.repo.name, change.branch
    return Brief(place, change.digest, bool(change.whole), change.unfinished > 0)


def _change(job: str, repo: Repo, first: Planned, parts: Parts, held: Parts, sums: Sums) -> Change:
    task = sums.task(repo, held) if held else None
    whole = task.offered.files if isinstance(task, Task) and task.offered else {}
    if isinstance(task, Task) and sums.recipe.evidence and sums.recipe.evidence.keep:
        there = Workspace(repo.base).paths()
        whole = {**whole, **{path: text for path, text in task.evidence.items() if _free(path, there)}}
    kept = {part.shard.key for part in held}
    dropped = tuple(Dropped(part, sums.against.get(part.shard.key, ())) for part in parts if part.shard.key not in kept)
    held = tuple(part for part in parts if part.shard.key in kept)
    group = first.group if first.number == 1 else f"{first.group} ({first.number})"
    return Change(
        job, repo, first.branch, group, held, whole, sums.proof(repo, held), dropped, covered=sums.covered(repo, held)
    )


def _free(path: str, there: Collection[str]) -> bool:
    """Say whether there is no file at a path, nor one where it needs a folder."""
    parts = path.split("/")
    return not any("/".join(parts[:count]) in there for count in range(1, len(parts) + 1))
