"""The values that pass between planning, running, gathering and tending."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from pydantic_core import CoreSchema, core_schema

from operators.data import Base, Check, Covered, Edit, Finding, Operator, Outcome, Shard, Verdict
from operators.density import Chosen
from operators.evidence import Evidence
from operators.veil import Rules


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


class Packed(NamedTuple):
    """The shards of one repository, in little memory."""

    name: str
    """Digest of them."""
    size: int
    body: bytes
    """Compressed JSON of a list of them."""


class Shards(Collection[Planned]):
    """The shards of a plan, repository by repository. Packed: a million of them would take a gigabyte as they are used.
    Whoever goes through them holds those of one repository at a time."""

    def __init__(self, planned: Iterable[Planned] = ()) -> None:
        found: dict[str, list[Planned]] = {}
        for one in planned:
            found.setdefault(one.shard.repo, []).append(one)
        self.packed = {repo: _packed(own) for repo, own in found.items()}

    @classmethod
    def of_packed(cls, packed: Mapping[str, Packed]) -> Shards:
        made = cls()
        made.packed = dict(packed)
        return made

    def of(self, repo: str) -> tuple[Planned, ...]:
        """Return the shards of one repository."""
        return _PLANNED.validate_json(zlib.decompress(self.packed[repo].body)) if repo in self.packed else ()

    def by_repo(self) -> Iterator[tuple[str, tuple[Planned, ...]]]:
        for repo in self.packed:
            yield repo, self.of(repo)

    def part(self, repo: str) -> Shards:
        """Return those of one repository, packed as they are."""
        return self.of_packed({repo: self.packed[repo]} if repo in self.packed else {})

    def only(self, wanted: Callable[[str], bool]) -> Shards:
        """Return those of the repositories that are wanted."""
        return self.of_packed({repo: own for repo, own in self.packed.items() if wanted(repo)})

    def __add__(self, other: Shards) -> Shards:
        """Return both; of a repository that both have, those of the other."""
        return self.of_packed({**self.packed, **other.packed})

    def __len__(self) -> int:
        return sum(own.size for own in self.packed.values())

    def __iter__(self) -> Iterator[Planned]:
        return chain.from_iterable(map(self.of, self.packed))

    def __contains__(self, one: object) -> bool:
        return isinstance(one, Planned) and one in self.of(one.shard.repo)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shards) and self._names() == other._names()

    __hash__ = None  # type: ignore[assignment]

    def _names(self) -> list[str]:
        return [own.name for own in self.packed.values()]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        listed = core_schema.plain_serializer_function_ser_schema(tuple, return_schema=handler(tuple[Planned, ...]))
        return core_schema.no_info_after_validator_function(cls, handler(tuple[Planned, ...]), serialization=listed)


_PLANNED = TypeAdapter(tuple[Planned, ...])


def _packed(shards: Sequence[Planned]) -> Packed:
    body = _PLANNED.dump_json(tuple(shards))
    return Packed(hashlib.sha256(body).hexdigest(), len(shards), zlib.compress(body, 1))


@dataclass(frozen=True, slots=True)
class Plan:
    repos: tuple[Repo, ...]
    planned: Shards = field(default_factory=Shards)
    left_out: tuple[LeftOut, ...] = ()
    trouble: Mapping[str, str] = field(default_factory=dict)
    """Repository to the reason why nothing of it was planned."""
    notes: tuple[str, ...] = ()
    """What a person should know though it is no fault: a repository in which nothing matches."""
    kept: Shards = field(default_factory=Shards)
    """What was planned last of repositories that could not be looked at this time: their files keep their groups."""
    fingerprint: str = ""
    """Of the recipe that it was made for."""
    cut: str = ""
    """Digest of how the job cuts files into shards."""

    def parts(self) -> Iterator[Plan]:
        """Yield what is planned of each repository, as a plan of its own."""
        for repo in self.repos:
            yield Plan((repo,), self.planned.part(repo.name))


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
    rules: Rules = field(default_factory=Rules)
    """What is kept out of prompts and of all that leaves a worker."""


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
    title: str = ""
    """Of a change that no shard is part of: the request's title."""
    about: str = ""
    """Likewise: what it says of itself, in Markdown."""

    @property
    def digest(self) -> str:
        """Tells one content from another; where the base stands does not matter."""
        return digest(sorted(self.whole.items()))[:16]


def digest(value: object) -> str:
    """Return the hex digest of anything that JSON can hold."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def canonical(value: object) -> str:
    """Return anything that JSON can hold as it is signed and chained: one way, without spaces, in ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
