"""Which shards share a merge request, and the branch it is known by."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import PurePosixPath

from operators.data import Shard
from pipelines.data import Planned
from pipelines.job import Job
from pipelines.owners import Owners
from pipelines.text import render

_BRANCH = re.compile(r"(?!.*(\.\.|//|/\.|\.lock(/|$)))[A-Za-z0-9][A-Za-z0-9._/+-]*[A-Za-z0-9_+-]")

AGAIN = re.compile(r"\.again\d*$")  # how the branch of a group's later requests ends; no group is spelt with a dot


class BadBranch(ValueError):
    """`merge_request.branch` does not give a branch name."""


class Boxes:
    """Numbered boxes of files, so many at most in each. A file that has a box keeps it, whatever comes and goes beside
    it; new ones fill up the last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._boxes: dict[str, dict[int, set[str]]] = {}

    def put(self, group: str, number: int, paths: Iterable[str]) -> None:
        self._boxes.setdefault(group, {}).setdefault(number, set()).update(paths)

    def number(self, group: str, paths: Collection[str]) -> int:
        """Return the box, from 1 on, that these files of a group are in from now on: the one that has most of them,
        else the last one if it has room for them."""
        boxes = self._boxes.setdefault(group, {})
        found = max(boxes, key=lambda number: len(boxes[number].intersection(paths)), default=0)
        if not found or boxes[found].isdisjoint(paths):
            last = max(boxes, default=0)
            found = last if last and len(boxes[last].union(paths)) <= self._most else last + 1
        self.put(group, found, paths)
        return found


def grouped(job: Job, shards: Iterable[Shard], owned: Owners, before: Iterable[Planned]) -> Iterator[Planned]:
    """Give each shard of a repository its merge request; files keep the ones that they had `before`."""
    settings = job.merge_request.group
    boxes = Boxes(settings.max_files)
    for one in before:
        boxes.put(one.group, one.number, one.shard.paths)
    for shard in shards:
        group = _group(shard, settings.by, owned)
        number = boxes.number(group, shard.paths)
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
