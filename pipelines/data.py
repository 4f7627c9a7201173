"""The values that pass between planning, running, gathering and tending."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from operators.data import Base, Check, Covered, Edit, Finding, Operator, Outcome, Shard, Verdict
from operators.density import Chosen
from operators.evidence import Evidence


@dataclass(frozen=True, slots=True)
class Repo:
    """Where code comes from, resolved to one commit."""

    name: str
    mirror: str
    """Folder of Umbau's own bare repository."""
    commit: str
    branch: str
    """What a merge request is to be merged into."""
    source: str = ""
    """URL or path that it is fetched from; of a package its name."""

    @property
    def base(self) -> Base:
        return Base(self.name, self.commit, self.mirror)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file, or a whole repository, that was looked at and left out."""

    repo: str
    path: str
    """"" for the repository."""
    reason: str


@dataclass(frozen=True, slots=True)
class Planned:
    """A shard and the branch of the merge request that its edit will be part of."""

    shard: Shard
    branch: str
    group: str
    """What a person calls the group: a folder, a file, an owner, a symbol."""
    number: int = 1
    """Which merge request of the group, where it has more files than one may hold."""


@dataclass(frozen=True, slots=True)
class Plan:
    repos: tuple[Repo, ...]
    planned: tuple[Planned, ...]
    left_out: tuple[LeftOut, ...] = ()
    trouble: Mapping[str, str] = field(default_factory=dict)
    """Repository to the reason why nothing of it was planned."""
    notes: tuple[str, ...] = ()
    """What a person should know though it is no fault: a repository in which nothing matches."""
    kept: tuple[Planned, ...] = ()
    """What was planned last of repositories that could not be looked at this time: their files keep their groups."""
    fingerprint: str = ""
    """Of the recipe that it was made for."""
    cut: str = ""
    """Digest of how the job cuts files into shards."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a job does to each shard, ready to be sent to workers."""

    operator: Operator
    checks: tuple[Check, ...]
    final: tuple[Check, ...]
    attempts: int
    fingerprint: str
    """Digest of all of it, prompts and codemod sources included."""
    learns: bool = False
    """Whether a step of it does better when it is told what is wrong: a model that can be talked to."""
    reply: Chosen | None = None
    """How the model answers, if a step asks one."""
    teachers: int = 0
    """Shards, the first that the model works on, whose accepted edits are shown with the others."""
    evidence: Evidence | None = None
    """What is asked of a model where tests execute too little of an edit."""


@dataclass(frozen=True, slots=True)
class Task:
    """Work on one shard: propose and judge (`past`: what was tried before), or judge what is `offered`."""

    shard: Shard
    past: tuple[Verdict, ...] = ()
    offered: Edit | None = None
    merged: tuple[str, ...] = ()
    """Of an offered sum: files whose text comes from several shards, so that no check has seen it yet."""
    go: int = 0
    """How often the shard was opened again before this."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """Of an offered sum: path and text of the generated tests of its parts."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """An accepted edit that is not part of its merge request, because the sum does not hold with it."""

    part: Outcome
    findings: tuple[Finding, ...]
    """What is held against the sum with it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What one merge request should hold."""

    job: str
    repo: Repo
    branch: str
    group: str
    parts: tuple[Outcome, ...]
    whole: Mapping[str, str | None]
    """Path to new text: the sum of the parts; empty when nothing is left to be proposed."""
    proof: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    unfinished: int = 0
    """Shards that have failed or have not been done yet: they may add to it."""
    covered: tuple[Covered, ...] = ()
    """Which changed statements passing tests executed."""

    @property
    def digest(self) -> str:
        """Tells one content from another; where the base stands does not matter."""
        return digest(sorted(self.whole.items()))[:16]


def digest(value: object) -> str:
    """Return the hex digest of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()
