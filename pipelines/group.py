"""Which shards share a merge request, and the branch it is known by."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from operators.data import Shard
from pipelines.data import Planned
from pipelines.job import Job
from pipelines.owners import Owners
from pipelines.text import render

Grouping = Mapping[tuple[str, str, str], int]
"""(repository, group, path) to the number of the merge request within the group, of earlier plans."""

_BRANCH = re.compile(r"(?!.*(\.\.|//|/\.|\.lock(/|$)))[A-Za-z0-9][A-Za-z0-9._/+-]*[A-Za-z0-9_+-]")


class BadBranch(ValueError):
    """`merge_request.branch` does not give a branch name."""


def grouped(job: Job, shards: Sequence[Shard], owned: Owners, before: Grouping) -> Iterator[Planned]:
    """Give each shard its merge request. A file that has one keeps it; new files fill up the last one."""
    settings = job.merge_request.group
    files: dict[str, dict[int, set[str]]] = {}
    for (repo, group, path), number in before.items():
        if any(shard.repo == repo for shard in shards[:1]):
            files.setdefault(group, {}).setdefault(number, set()).add(path)
    for shard in shards:
        group = _group(shard, settings.by, owned)
        members = files.setdefault(group, {})
        number = _number(members, set(shard.paths), settings.max_files)
        members.setdefault(number, set()).update(shard.paths)
        yield Planned(shard, branch(job, group, number), group, number)


def branch(job: Job, group: str, number: int = 1) -> str:
    """Return the branch of a group's merge request. Raises BadBranch."""
    name = render(job.merge_request.branch, job=job.name, group=slug(group, number))
    if not _BRANCH.fullmatch(name):
        raise BadBranch(f"merge_request.branch gives {name!r}, which is no branch name")
    return name


def distinct(job: Job) -> None:
    """Raise BadBranch unless each merge request of each job has a branch of its own, by which it is found again."""
    one, begins = branch(job, "a"), prefix(job)
    if f"{job.name}/" not in begins or not one.startswith(begins) or one in {branch(job, "b"), branch(job, "a", 2)}:
        raise BadBranch(
            f"merge_request.branch {job.merge_request.branch!r} must hold {{{{ job }}}}/ and then {{{{ group }}}}: "
            "by that a merge request is found again"
        )


def prefix(job: Job) -> str:
    """Return what the branches of all merge requests of the job begin with."""
    return render(job.merge_request.branch, job=job.name, group="\0").partition("\0")[0]


def slug(group: str, number: int) -> str:
    """Return the group as part of a branch name; what had to be spelt otherwise is told apart by a digest."""
    word = re.sub(r"[^A-Za-z0-9_]+", "-", group)[-60:].strip("-") or "x"
    if word != group:
        word = f"{word}-{hashlib.sha256(group.encode()).hexdigest()[:8]}"
    return word if number == 1 else f"{word}.{number}"  # no word has a dot


def _number(members: Mapping[int, set[str]], paths: set[str], most: int) -> int:
    """Return the merge request that has most of these files already, else the last one if it has room for them."""
    known = max(members, key=lambda number: len(members[number] & paths), default=0)
    if known and members[known] & paths:
        return known
    last = max(members, default=0)
    return last if last and len(members[last] | paths) <= most else last + 1


def _group(shard: Shard, by: str, owned: Owners) -> str:
    path = shard.paths[0]
    if by == "repository":
        return shard.repo
    if by == "directory":
        return str(PurePosixPath(path).parent) if "/" in path else shard.repo
    if by == "owner":
        return owned.of(path)
    if by == "symbol" and shard.spans:
        return f"{path}::{shard.spans[0].symbol.partition('.')[0]}"
    return path
