"""Repositories that are set aside because they kill workers: until they have another commit, the job does something
else, or somebody asks for another go."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pipelines.data import Plan, digest
from pipelines.store import Store


def aside(plan: Plan, job: str, store: Store) -> dict[str, str]:
    """Return the repositories of a plan that are set aside, with the reasons."""
    known, commits = _known(plan, job, store), {repo.name: repo.commit for repo in plan.repos}
    return {repo: why for repo, (commit, why) in known.items() if commits.get(repo) == commit}


def put_aside(found: Mapping[str, str], plan: Plan, job: str, store: Store) -> None:
    """Remember that these are set aside, and why."""
    if not found:
        return
    known = _known(plan, job, store)
    new = {repo.name: [repo.commit, found[repo.name]] for repo in plan.repos if repo.name in found}
    if known != known | new:
        store.remember(_name(plan, job), known | new)


def lift(repos: Collection[str], plan: Plan, job: str, store: Store) -> set[str]:
    """Let repositories be tried again; return those of them that were set aside."""
    known = _known(plan, job, store)
    if lifted := known.keys() & {*repos}:
        store.remember(_name(plan, job), {repo: known[repo] for repo in known.keys() - lifted})
    return lifted


def _known(plan: Plan, job: str, store: Store) -> dict[str, Any]:
    return store.recall(_name(plan, job)) or {}


def _name(plan: Plan, job: str) -> str:
    return digest(["aside", job, plan.fingerprint])
