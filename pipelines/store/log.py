"""What happened to jobs and what they have cost: appended, and never changed but by a purge, which takes words out.

Progress, histories and reports are told from it. What somebody has to answer for is noted for good in the audit log
(pipelines.store.audit), in whose chain nothing can be changed unseen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import func, literal, select

from pipelines.store.database import Database
from pipelines.store.packing import ANY, packed, unpacked
from pipelines.store.tables import EVENTS, SPENT


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job."""

    number: int
    """Grows with each event of the store."""
    at: float
    """Seconds since 1970, by the database's clock."""
    job: str
    kind: str
    repo: str
    """"" when it is about all of the job."""
    body: Any
    """What JSON can hold."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What models have cost."""

    calls: int = 0
    read: int = 0
    """Tokens."""
    written: int = 0
    gpu_seconds: float = 0.0
    seconds: float = 0.0
    """In which a model was asked; of calls at the same time each counts."""

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.calls + other.calls,
            self.read + other.read,
            self.written + other.written,
            self.gpu_seconds + other.gpu_seconds,
            self.seconds + other.seconds,
        )


class Log:
    """The part of a store that tells how things went."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, job: str, kind: str, repo: str = "", body: Any = None, mark: str = "") -> None:
        """Append an event. `mark`: what was noted with the same one before is not noted again; without, it always
        is."""
        self.note_all(job, kind, [(repo, body, mark or uuid4().hex)])

    def note_all(self, job: str, kind: str, happened: Iterable[tuple[str, Any, str]]) -> None:
        """Append many events of a kind in one go, each told as repository, body and mark."""
        rows = [
            {"job": job, "kind": kind, "repo": repo, "mark": mark, "body": packed(ANY, body)}
            for repo, body, mark in happened
        ]
        if rows:
            new = self._database.insert(EVENTS).on_conflict_do_nothing()
            self._database.write(lambda connection: connection.execute(new, rows))

    def events(self, job: str, kinds: Collection[str] = (), after: int = 0) -> list[Event]:
        """Return what happened, in that order: of these kinds, or all, with a number beyond `after`."""
        wanted = select(EVENTS).where(EVENTS.c.job == job, EVENTS.c.id > after).order_by(EVENTS.c.id)
        if kinds:
            wanted = wanted.where(EVENTS.c.kind.in_(kinds))
        rows = self._database.read(lambda connection: connection.execute(wanted).all())
        return [_event(row) for row in rows]

    def latest(self, job: str, kind: str) -> Mapping[str, Event]:
        """Return the last event of a kind of each repository that has one."""
        of_kind = (EVENTS.c.job == job, EVENTS.c.kind == kind)
        last = select(func.max(EVENTS.c.id)).where(*of_kind).group_by(EVENTS.c.repo)
        wanted = select(EVENTS).where(EVENTS.c.id.in_(last))
        rows = self._database.read(lambda connection: connection.execute(wanted).all())
        return {row.repo: _event(row) for row in rows}

    def spend(self, job: str, spent: Iterable[tuple[str, str, Spent]]) -> None:
        """Append what was spent since the last time, by repository and shard's key."""
        rows = [
            {
                "job": job,
                "repo": repo,
                "key": key,
                "calls": one.calls,
                "read": one.read,
                "written": one.written,
                "gpu_seconds": one.gpu_seconds,
                "seconds": one.seconds,
                "mark": uuid4().hex,
            }
            for repo, key, one in spent
        ]
        if rows:
            new = self._database.insert(SPENT).on_conflict_do_nothing()
            self._database.write(lambda connection: connection.execute(new, rows))

    def spent(self, job: str, *, by_shard: bool = True) -> Mapping[tuple[str, str], Spent]:
        """Return what was spent on a job, by repository and shard's key; not `by_shard`, each repository's under the
        key ""."""
        sums = [func.sum(column) for column in AMOUNTS]
        key = SPENT.c.key if by_shard else literal("")
        wanted = select(SPENT.c.repo, key, *sums).where(SPENT.c.job == job)
        wanted = wanted.group_by(SPENT.c.repo, *([key] if by_shard else []))
        rows = self._database.read(lambda connection: connection.execute(wanted).all())
        return {(repo, key): Spent(*map(amount, amounts)) for repo, key, *amounts in rows}


def _event(row: Any) -> Event:
    return Event(row.id, since(row.at), row.job, row.kind, row.repo, unpacked(ANY, row.body))


AMOUNTS = (SPENT.c.calls, SPENT.c.read, SPENT.c.written, SPENT.c.gpu_seconds, SPENT.c.seconds)


def amount(value: Any) -> Any:
    """PostgreSQL adds integers up to its decimals."""
    return value if isinstance(value, float) else int(value)


def since(at: datetime) -> float:
    """Return seconds since 1970; SQLite tells times without their zone, which is UTC."""
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
