"""What is still worked on, so that its code stays: requests that are open, and shards that wait to be gathered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.data import Plan, Planned, Repo
from pipelines.forge import Place
from pipelines.group import AGAIN
from pipelines.store import Store
from pipelines.tell import memories, requests_of

STATES = {"merged", "closed"}  # after which nothing is asked of a request's code any more


@dataclass(slots=True)
class Needed:
    """Of all jobs of a store."""

    keys: set[str] = field(default_factory=set)
    """Shards whose code is needed."""
    repos: set[str] = field(default_factory=set)
    """Repositories in which some are, by name: what was found of sums of edits is needed as well."""
    jobs: Counter[str] = field(default_factory=Counter)
    """Job to the number of those shards."""
    mirrors: set[str] = field(default_factory=set)
    """Repositories that are still worked with, by the name of their mirror."""
    busy: set[str] = field(default_factory=set)
    """Jobs that are driven right now."""
    repos_of: dict[str, Repo] = field(default_factory=dict)
    """The repositories of all latest plans, by name."""
    known: set[str] = field(default_factory=set)
    """Shards of all latest plans; what is none of them is a sum of edits, or of a plan long gone."""

    @property
    def planned(self) -> set[str]:
        """Mirrors of them."""
        return {Path(repo.mirror).stem for repo in self.repos_of.values()}


def needed(store: Store, before: float) -> Needed:
    """Look at all jobs. `before`: what was done until then, in seconds since 1970, is not looked after for its own
    sake."""
    found = Needed()
    for job, number in store.browse.jobs().items():
        outline = store.browse.outline(number)
        plan = store.plan(job)
        assert plan is not None
        if store.driven(job):
            found.busy.add(job)
        _look(store, job, plan, outline.at > before or job in found.busy, before, found)
    return found


def _look(store: Store, job: str, plan: Plan, young: bool, before: float, found: Needed) -> None:
    states = _states(store, job)
    for repo in plan.repos:
        mirror = Path(repo.mirror).stem
        found.repos_of[repo.name] = repo
        shards = plan.planned.of(repo.name)
        found.known.update(one.shard.key for one in shards)
        keys = _open(store, repo.name, shards, states)
        found.keys |= keys
        found.jobs[job] += len(keys)
        if keys:
            found.repos.add(repo.name)
        times = store.times([one.shard.key for one in shards])
        if young or keys or any(at > before for at in times.values()):
            found.mirrors.add(mirror)
    if not found.jobs[job]:
        del found.jobs[job]


def _states(store: Store, job: str) -> dict[Place, set[str]]:
    """Return the states of a group's requests, by the branch that it had at first, as the last tick left them."""
    states: dict[Place, set[str]] = {}
    for one in requests_of(store.recall(memories(job)[1]))[1]:
        states.setdefault((one.repo, AGAIN.sub("", one.branch)), set()).add(one.state)
    return states


def _open(store: Store, repo: str, shards: Sequence[Planned], states: dict[Place, set[str]]) -> set[str]:
    keys = [one.shard.key for one in shards]
    statuses, waiting = store.statuses(keys), store.missing(keys)
    open_ = set()
    for one in shards:
        key, known = one.shard.key, states.get((repo, one.branch), set())
        proposed = statuses.get(key) == "accepted" or (key in waiting and key in statuses)  # or has another go
        if known - STATES or (proposed and not known):
            open_.add(key)
    return open_
