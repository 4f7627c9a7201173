"""What pages ask of a store: a job in outline, one repository's shards, how they stand, and what has come since. No
question takes longer for a job being large than its answer is long."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Table, case, func, select

from operators.data import Outcome
from pipelines.data import Packed, Plan, Planned, Shards
from pipelines.store.database import Database
from pipelines.store.log import AMOUNTS, Spent, amount, since
from pipelines.store.packing import ANY, OUTCOME, PLAN, unpacked, unzipped
from pipelines.store.tables import FAILURES, MEMORIES, OUTCOMES, PARTS, PLANS, REOPENED, SPENT

OVERLAP = 1000  # rows that are looked at again: of PostgreSQL, a transaction with smaller numbers may end later
Marks = tuple[int, ...]
"""How far each table was read."""
_GROWING = (OUTCOMES, FAILURES, REOPENED)


@dataclass(frozen=True, slots=True)
class Part:
    """The shards of one repository."""

    repo: str
    name: str
    """Under which they are kept."""
    size: int


@dataclass(frozen=True, slots=True)
class Outline:
    """A job's plan, its shards left where they are."""

    number: int
    """Grows with each plan of the store."""
    at: float
    """When it was made, in seconds since 1970 by the database's clock."""
    plan: Plan
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class End:
    """How a shard stands."""

    status: str
    """`waiting` as long as it has no outcome of its latest go."""
    at: float = 0.0
    """When that outcome was kept, in seconds since 1970 by the database's clock."""
    outcome: Outcome | None = None
    """Of a shard that is rejected, skipped or failed."""


class Browse:
    """The part of a store that is read by pages."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._part = lru_cache(maxsize=64)(self._unpacked)

    def jobs(self) -> dict[str, int]:
        """Return all jobs, each with the number of its latest plan."""
        wanted = select(PLANS.c.job, func.max(PLANS.c.id)).group_by(PLANS.c.job).order_by(PLANS.c.job)
        rows = self._database.read(lambda one: one.execute(wanted).all())
        return {job: number for job, number in rows}  # noqa: C416  # mypy: rows are no pairs

    def outline(self, number: int) -> Outline:
        """Return the plan of that number."""
        wanted = select(PLANS.c.at, PLANS.c.body, PLANS.c.parts).where(PLANS.c.id == number)
        row = self._database.read(lambda one: one.execute(wanted).one())
        parts = tuple(Part(*part) for part in unpacked(ANY, row.parts))
        return Outline(number, since(row.at), unpacked(PLAN, row.body), parts)

    def shards(self, part: Part) -> tuple[Planned, ...]:
        """Return the shards of one repository."""
        return self._part(part.repo, part.name, part.size)

    def mentions(self, part: Part, words: Sequence[str]) -> bool:
        """Say whether all of these words, in small letters, stand somewhere in the shards of a repository: much faster
        than looking at each of them."""
        said = unzipped(self._packed(part).body).lower()
        return all(word in said for word in words)

    def keys(self, parts: Sequence[Part]) -> Iterator[tuple[Part, list[str]]]:
        """Yield the keys of each repository's shards, without reading more of them than that."""
        wanted = select(PARTS.c.name, PARTS.c.body)
        bodies = dict(self._database.each(wanted, PARTS.c.name, [part.name for part in parts]))
        for part in parts:
            yield part, [one["shard"]["key"] for one in json.loads(zlib.decompress(bodies[part.name]))]

    def ends(self, keys: Sequence[str]) -> dict[str, End]:
        """Return how each of these shards stands."""
        goes: dict[str, int] = {}
        counted = select(REOPENED.c.key, func.count()).group_by(REOPENED.c.key)
        goes.update(self._database.each(counted, REOPENED.c.key, keys))
        done: dict[str, Any] = {}
        body = case((OUTCOMES.c.status.in_(("rejected", "skipped")), OUTCOMES.c.body), else_=None).label("body")
        wanted = select(OUTCOMES.c.key, OUTCOMES.c.go, OUTCOMES.c.status, OUTCOMES.c.at, body).order_by(OUTCOMES.c.go)
        for row in self._database.each(wanted, OUTCOMES.c.key, keys):
            done[row.key] = row
        found = {
            key: End(row.status, since(row.at), unpacked(OUTCOME, row.body) if row.body else None)
            for key, row in done.items()
            if row.go >= goes.get(key, 0)
        }
        failed = select(FAILURES.c.key, FAILURES.c.go, FAILURES.c.at, FAILURES.c.body).order_by(FAILURES.c.id)
        for row in self._database.each(failed, FAILURES.c.key, [key for key in keys if key not in found]):
            if row.go >= goes.get(row.key, 0):
                found[row.key] = End("failed", since(row.at), unpacked(OUTCOME, row.body))
        return {key: found.get(key, End("waiting")) for key in keys}

    def marks(self) -> Marks:
        """Return how far the tables go that tell how shards stand."""
        wanted = select(*(select(func.max(table.c.id)).scalar_subquery() for table in _GROWING))
        return tuple(mark or 0 for mark in self._database.read(lambda one: one.execute(wanted).one()))

    def touched(self, marks: Marks) -> set[str]:
        """Return the keys of which something was written since; some of before are among them."""

        def ask(table: Table, mark: int) -> list[str]:
            wanted = select(table.c.key).where(table.c.id > mark - OVERLAP)
            return list(self._database.read(lambda one: one.scalars(wanted).all()))

        return {key for table, mark in zip(_GROWING, marks, strict=True) for key in ask(table, mark)}

    def spent(self, job: str, after: int) -> tuple[Mapping[str, Spent], int]:
        """Return what was spent on each repository by rows with a number beyond `after`, and the last number."""
        sums = [func.sum(column) for column in AMOUNTS]
        wanted = select(SPENT.c.repo, func.max(SPENT.c.id), *sums).where(SPENT.c.job == job, SPENT.c.id > after)
        rows = self._database.read(lambda one: one.execute(wanted.group_by(SPENT.c.repo)).all())
        found = {repo: Spent(*map(amount, amounts)) for repo, _, *amounts in rows}
        return found, max([after, *(last for _, last, *_ in rows)])

    def memory(self, key: str) -> bytes:
        """Return what was remembered last under `key`, packed, b"" when nothing was: to be compared with what is known
        already. `opened` unpacks it."""
        wanted = select(MEMORIES.c.body).where(MEMORIES.c.key == key)
        return self._database.read(lambda one: one.scalar(wanted)) or b""

    def opened(self, memory: bytes) -> Any:
        return unpacked(ANY, memory) if memory else None

    def _unpacked(self, repo: str, name: str, size: int) -> tuple[Planned, ...]:
        return Shards.of_packed({repo: self._packed(Part(repo, name, size))}).of(repo)

    def _packed(self, part: Part) -> Packed:
        body = self._database.read(lambda one: one.scalar(select(PARTS.c.body).where(PARTS.c.name == part.name)))
        assert body is not None, part
        return Packed(part.name, part.size, body)
