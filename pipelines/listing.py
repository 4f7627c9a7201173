"""What a forge says of all requests of a job at one moment, and what is known of those that it says nothing of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from operators.proc import GitError
from pipelines.data import Plan, Repo
from pipelines.discover import ARCHIVED
from pipelines.forge import Forge, ForgeError, Place, Request
from pipelines.group import AGAIN, prefix
from pipelines.job import Job
from pipelines.store import Store


@dataclass(frozen=True, slots=True)
class Listing:
    requests: Mapping[Place, Request]
    trouble: Mapping[str, str] = field(default_factory=dict)
    """Repository to the reason why nothing is known of its requests today."""
    last_known: tuple[Request, ...] = ()
    """Requests of repositories in trouble, as far as a limit needs to know them."""
    earlier: Mapping[str, Repo] = field(default_factory=dict)
    """Repositories with requests that are not in the plan."""


def listing(job: Job, plan: Plan, forge: Forge, store: Store, part: bool = False) -> Listing:
    """Ask the forge for the requests of all repositories that the plan has and, unless it is a part of one, of those
    that had any at the last tick."""
    known = {repo.name for repo in plan.repos}
    memory: Mapping[str, Any] = store.recall(_name(job)) or {}
    earlier = {} if part else {name: Repo(**one["repo"]) for name, one in memory.items() if name not in known}
    repos = [*plan.repos, *earlier.values()]
    try:
        found = list(forge.requests(prefix(job), repos))
        trouble: Mapping[str, str] = dict(getattr(forge, "trouble", {}))
    except (ForgeError, GitError) as why:
        found, trouble = [], dict.fromkeys((repo.name for repo in repos), str(why))
    requests = {(one.repo, one.branch): one for one in found if one.repo not in trouble}
    last = tuple(
        Request(name, branch, "", state, "", ci=ci, opened=opened)
        for name, one in memory.items()
        if name in trouble
        for branch, state, ci, opened in one["requests"]
    )
    return Listing(requests, trouble, last, earlier)


def keep(job: Job, plan: Plan, listed: Listing, begun: Iterable[Place], store: Store, part: bool = False) -> None:
    """Remember which repositories have requests, so that they are looked after when they leave the plan. `begun`:
    requests that are about to be opened, as far as their turn comes. `part`: the plan is a part of one, and the others
    stay remembered."""
    memory: dict[str, Any] = store.recall(_name(job)) or {}
    repos = {**listed.earlier, **{repo.name: repo for repo in plan.repos}}
    told: dict[str, Any] = {}
    for request in listed.requests.values():
        told.setdefault(request.repo, []).append([request.branch, request.state, request.ci, request.opened])
    for repo, branch in begun:
        if (repo, branch) not in listed.requests:
            told.setdefault(repo, []).append([branch, "branch", "none", 0.0])
    wanted = {name for name in repos if any(state in {"branch", "open"} for _, state, _, _ in told.get(name, ()))}
    now = {name: {"repo": asdict(repos[name]), "requests": told[name]} for name in sorted(wanted)}
    now |= {name: one for name, one in memory.items() if name in listed.trouble or (part and name not in repos)}
    if now != memory:
        store.remember(_name(job), now)


def living(job: Job, store: Store) -> set[Place]:
    """Return the requests that were open at the last tick, by the branch that their group had at first."""
    memory: Mapping[str, Any] = store.recall(_name(job)) or {}
    known = ((name, branch, state) for name, one in memory.items() for branch, state, _, _ in one["requests"])
    return {(name, AGAIN.sub("", branch)) for name, branch, state in known if state in {"branch", "open"}}


def gone(plan: Plan, listed: Listing) -> set[str]:
    """Return the repositories that left the job's list. Those in trouble have not; and as long as something cannot be
    looked at that never was before, it may be what would have found them."""
    if set(plan.trouble) - set(listed.earlier) - plan.kept.packed.keys():
        return set()
    return set(listed.earlier) - set(plan.trouble)


def archived(plan: Plan) -> set[str]:
    """Return the repositories of which nothing can be changed any more, their requests neither."""
    return {one.repo for one in plan.left_out if not one.path and one.reason == ARCHIVED}


def _name(job: Job) -> str:
    return f"listed {job.name}"
