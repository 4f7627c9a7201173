"""What is left of the old in the code bases: what a job's detector finds on the heads of its repositories.

Noted as an event whenever it changes, so that it can be told over time. Merge requests that are open, approved or
merged do not enter into it: only what stands on a head counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operators.source import split
from pipelines.data import Plan, Repo, digest
from pipelines.job import Job
from pipelines.select import Hit
from pipelines.store import Store

KIND = "remaining"


@dataclass(frozen=True, slots=True)
class Left:
    """What is left in one repository."""

    commit: str
    files: int
    lines: int = 0
    """That the detector matches; 0 where it looks at names of files alone."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left in all repositories of a job of which that is known."""

    files: int
    total: int
    """Files at the first look at each repository."""
    lines: int
    total_lines: int
    repos: int
    """Repositories in which something is left."""
    known: int
    """Repositories of which it is known what is left."""
    unknown: int = 0
    """Those of which it is not."""

    def __str__(self) -> str:
        files = f"{self.files:,} of {self.total:,} files"
        if self.files > self.total:  # somebody has written more in the old way
            files = f"{self.files:,} files ({self.total:,} at first)"
        more = f", not known of {self.unknown:,}" if self.unknown else ""
        return f"{files} in {self.repos:,} of {self.known:,} repositories{more}"


def left(job: Job, repo: Repo, hits: Sequence[Hit]) -> Left:
    """Count what the detector has found on a head."""
    pattern = re.compile(job.select.contains) if job.select.contains else None
    lines = sum(bool(pattern.search(line.rstrip("\r\n"))) for hit in hits for line in split(hit.text)) if pattern else 0
    return Left(repo.commit, len(hits), lines)


def undone(plan: Plan, store: Store) -> dict[str, Left]:
    """Count, where the detector looks at names of files alone and so finds them for ever, the files of shards that are
    to be changed as they stand on the heads. Repositories with shards of which that is not known yet are left out."""
    found = {}
    for repo, part in ((one.repos[0], one.planned) for one in plan.parts()):
        paths = {one.shard.key: one.shard.paths for one in part}
        if store.missing(list(paths)):
            continue
        changing = [key for key, status in store.statuses(list(paths)).items() if status in {"accepted", "rejected"}]
        found[repo.name] = Left(repo.commit, len({path for key in changing for path in paths[key]}))
    return found


def note(job: Job, found: Mapping[str, Left], store: Store) -> dict[str, Mapping[str, Any]]:
    """Note what is left in repositories, as far as it is another than was noted last; return that. What another
    detector found before does not count."""
    detector, rows = digest(job.select.model_dump(mode="json"))[:16], []
    last = store.log.latest(job.name, KIND)
    for repo, now in found.items():
        event = last.get(repo)
        before = event.body if event and event.body["detector"] == detector else {}
        body = {
            "hits": now.files,
            "lines": now.lines,
            "total": before.get("total", now.files),
            "total_lines": before.get("total_lines", now.lines),
            "commit": now.commit,
            "detector": detector,
            "contains": bool(job.select.contains),
        }
        if _compared(body) != _compared(before):
            rows.append((repo, body, digest([event.number if event else 0, repo, body])))
    store.log.note_all(job.name, KIND, rows)
    return {repo: body for repo, body, _ in rows}


def remaining(job: str, plan: Plan, store: Store) -> Remaining | None:
    """Return what is left in the repositories of a plan, None when that is known of none."""
    last = _noted(job, store)
    heads = {repo.name: repo.commit for repo in plan.repos}
    names = dict.fromkeys((*heads, *(name for name in plan.trouble if name in last)))
    bodies = {name: last[name] for name in names if name in last}
    # What is known by its outcomes of one head says nothing of the next.
    bodies = {name: one for name, one in bodies.items() if one["contains"] or heads.get(name) == one["commit"]}
    if not bodies:
        return None
    files, total, lines, total_lines = (
        sum(body[key] for body in bodies.values()) for key in ("hits", "total", "lines", "total_lines")
    )
    repos = sum(body["hits"] > 0 for body in bodies.values())
    return Remaining(files, total, lines, total_lines, repos, len(bodies), len(names) - len(bodies))


def _noted(job: str, store: Store) -> dict[str, Mapping[str, Any]]:
    """Return what was noted last of each repository, by the detector that was the last of all."""
    found = store.log.latest(job, KIND)
    newest = max(found.values(), key=lambda one: one.number, default=None)
    return {repo: one.body for repo, one in found.items() if newest and one.body["detector"] == newest.body["detector"]}


def _compared(body: Mapping[str, Any]) -> list[Any]:
    """Return what of a note tells it from another."""
    return [body.get(key) for key in ("hits", "lines" if body.get("contains") else "commit")]
