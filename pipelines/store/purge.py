"""What a purge does to the store: rows lose their words or go, and the database forgets what they held."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Connection, Table, bindparam, delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from pipelines.store.away import passing, words
from pipelines.store.database import AT_ONCE, PLANNING, Database
from pipelines.store.evidence import STATED
from pipelines.store.packing import ANY, FINDING, OUTCOME, packed, unpacked
from pipelines.store.tables import EVENTS, FACTS, FAILURES, MEMORIES, META, OUTCOMES, PARTS, PLANS, REOPENED

PAGE = 500
_NOTHING = packed(FINDING, None)


@dataclass(frozen=True, slots=True)
class Held:
    """A row that may hold words or code."""

    table: str
    number: int
    key: str
    size: int
    """Bytes, as it is kept."""
    value: Any


class Purge:
    """The part of a store that removes. Times are in seconds since 1970, by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def outcomes(self, much: int, before: float) -> Iterator[Held]:
        """Yield outcomes and failures, written before, from which less than `much` was purged."""
        for table in (OUTCOMES, FAILURES):
            wanted = select(table.c.id, table.c.key, table.c.body).where(table.c.bare < much)
            yield from self._held(table, wanted, before, OUTCOME)

    def reopened(self, before: float) -> Iterator[Held]:
        """Yield what was held against shards when they were opened again: comments, logs of pipelines, rules."""
        wanted = select(REOPENED.c.id, REOPENED.c.key, REOPENED.c.body).where(REOPENED.c.body != _NOTHING)
        yield from self._held(REOPENED, wanted, before, FINDING)

    def facts(self, before: float) -> Iterator[Held]:
        """Yield facts that hold more than names, digests and numbers: what the first shards taught, as pairs of code,
        what checks saw on untouched commits, and jobs of which something was stated."""
        named = (func.length(FACTS.c.key) == 64) | FACTS.c.key.startswith(STATED)
        for one in self._held(FACTS, select(FACTS.c.id, FACTS.c.key, FACTS.c.body).where(named), before, ANY):
            if re.fullmatch(f"({STATED})?[0-9a-f]{{64}}", one.key) and one.value and isinstance(one.value, list | dict):
                yield one

    def events(self, kind: str, before: float) -> Iterator[Held]:
        """Yield the events of a kind."""
        wanted = select(EVENTS.c.id, EVENTS.c.job.label("key"), EVENTS.c.body).where(EVENTS.c.kind == kind)
        yield from self._held(EVENTS, wanted, before, ANY)

    def memories(self, keys: Sequence[str]) -> Iterator[Held]:
        """Yield what is remembered under some keys."""
        wanted = select(MEMORIES.c.id, MEMORIES.c.key, MEMORIES.c.body)
        for row in self._database.each(wanted, MEMORIES.c.key, keys):
            yield Held(MEMORIES.name, row.id, row.key, len(row.body), unpacked(ANY, row.body))

    def remembered(self, like: str) -> list[str]:
        """Return the keys like this, `%` being anything, under which something is remembered."""
        wanted = select(MEMORIES.c.key).where(MEMORIES.c.key.like(like)).order_by(MEMORIES.c.key)
        return list(self._database.read(lambda one: one.scalars(wanted).all()))

    def superseded(self, jobs: Collection[str], before: float) -> list[Held]:
        """Return the plans of some jobs that are not the latest."""
        latest = select(func.max(PLANS.c.id)).group_by(PLANS.c.job)
        wanted = select(PLANS.c.id, PLANS.c.job, func.length(PLANS.c.body) + func.length(PLANS.c.parts))
        wanted = wanted.where(PLANS.c.id.not_in(latest), PLANS.c.at <= _moment(before))
        rows = self._database.read(lambda one: one.execute(wanted).all())
        return [Held(PLANS.name, row[0], row[1], row[2] or 0, None) for row in rows if row[1] in jobs]

    def parts(self, job: str) -> set[str]:
        """Return the names of the parts of all plans of a job, "": of all jobs."""
        wanted = select(PLANS.c.parts).where(PLANS.c.job == job) if job else select(PLANS.c.parts)
        return _names(self._database.read(lambda one: one.scalars(wanted).all()))

    def keys(self, parts: Collection[str]) -> tuple[set[str], set[str]]:
        """Return the keys of the shards in some parts of plans, and their repositories."""
        keys, repos = set(), set()
        wanted = select(PARTS.c.name, PARTS.c.body)
        for _, body in self._database.each(wanted, PARTS.c.name, sorted(parts)):
            for one in unpacked(ANY, body):
                keys.add(one["shard"]["key"])
                repos.add(one["shard"]["repo"])
        return keys, repos

    def drop_loose(self) -> list[Held]:
        """Remove the parts that no plan has, and return them. No plan can be saved meanwhile."""
        found: list[Held] = []

        def act(connection: Connection) -> None:
            self._database.alone(connection, PLANNING)
            used = _names(connection.scalars(select(PLANS.c.parts)))
            wanted = select(PARTS.c.id, PARTS.c.name, func.length(PARTS.c.body))
            found[:] = [Held(PARTS.name, *row, None) for row in connection.execute(wanted) if row[1] not in used]
            for numbers in _some(found):
                connection.execute(delete(PARTS).where(PARTS.c.id.in_(numbers)))

        self._write(act)
        return found

    def put(self, rows: Sequence[tuple[Held, Any]], much: int = 0) -> None:
        """Write other values in the place of these. `much`: how much was purged of outcomes by that."""
        kinds: Mapping[str, TypeAdapter[Any]] = {OUTCOMES.name: OUTCOME, FAILURES.name: OUTCOME, REOPENED.name: FINDING}
        for name in dict.fromkeys(held.table for held, _ in rows):
            table, kind = META.tables[name], kinds.get(name, ANY)
            own = [{"row": held.number, "text": packed(kind, value)} for held, value in rows if held.table == name]
            change = update(table).where(table.c.id == bindparam("row")).values(body=bindparam("text"))
            change = change.values(bare=much) if "bare" in table.c else change
            self._write(lambda one, change=change, own=own: one.execute(change, own))

    def remove(self, rows: Sequence[Held]) -> None:
        for name in dict.fromkeys(held.table for held in rows):
            table = META.tables[name]
            for numbers in _some([held for held in rows if held.table == name]):
                gone = delete(table).where(table.c.id.in_(numbers))
                self._write(lambda one, gone=gone: one.execute(gone))

    def overdue(self, much: int, before: float) -> int:
        """Count the outcomes and failures, written before, from which less than `much` was purged."""

        def ask(connection: Connection) -> int:
            old = [
                select(func.count()).where(table.c.bare < much, table.c.at <= _moment(before))
                for table in (OUTCOMES, FAILURES)
            ]
            return sum(connection.scalar(one) or 0 for one in old)

        return self._database.read(ask)

    def forget(self) -> list[str]:
        """Have the database give up what rows held before, in its files as well; return what it could not do."""
        return self._forget_rows() if self._database.engine.dialect.name == "postgresql" else self._forget_pages()

    def _forget_pages(self) -> list[str]:
        """SQLite: the file is written anew, and the journal is emptied. https://sqlite.org/lang_vacuum.html,
        https://sqlite.org/pragma.html#pragma_secure_delete"""
        with self._database.engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            try:
                raw.execute("PRAGMA secure_delete=ON")
                raw.execute("VACUUM")
                busy = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.Error as why:
                return [f"the file of the store could not be written anew ({why}): purge again when nobody uses it"]
            finally:
                raw.execute("PRAGMA secure_delete=OFF")
        told = "somebody reads the store, whose journal keeps old pages until then: purge again when nobody does"
        return [told] if busy else []

    def _forget_rows(self) -> list[str]:
        """PostgreSQL: the tables are written anew, and old files go with the next checkpoint. Its WAL and backups are
        its administrator's: https://www.postgresql.org/docs/current/sql-vacuum.html"""
        left = []
        for table in (OUTCOMES, FAILURES, REOPENED, FACTS, MEMORIES, EVENTS, PLANS, PARTS):
            left += self._database.read(partial(_rewritten, table=table.name))  # in no transaction, as it has to be
        return left + self._database.read(_checkpointed)

    def _held(self, table: Table, wanted: Any, before: float, kind: TypeAdapter[Any]) -> Iterator[Held]:
        wanted, after = wanted.where(table.c.at <= _moment(before)).order_by(table.c.id).limit(PAGE), 0
        while True:
            now = wanted.where(table.c.id > after)
            page = self._database.read(lambda one, now=now: one.execute(now).all())  # type: ignore[misc]
            for row in page:
                yield Held(table.name, row.id, row.key, len(row.body), unpacked(kind, row.body))
            if len(page) < PAGE:
                return
            after = page[-1].id

    def _write(self, do: Any) -> None:
        def act(connection: Connection) -> None:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete=ON")
            do(connection)

        self._database.write(act)


def _names(bodies: Iterable[bytes | None]) -> set[str]:
    """Return the names of the parts that plans have."""
    return {name for body in bodies if body for _, name, _ in unpacked(ANY, body)}


def _some(rows: Sequence[Held]) -> Iterator[list[int]]:
    """Yield their numbers, some at a time."""
    for at in range(0, len(rows), AT_ONCE):
        yield [held.number for held in rows[at : at + AT_ONCE]]


def _rewritten(connection: Connection, table: str) -> list[str]:
    file = text(f"select pg_relation_filenode('{table}')")
    before, why = connection.scalar(file), "we may not do that, its owner may: vacuum full"
    try:
        connection.execute(text(f"vacuum full {table}"))  # without the right to, it only warns
    except DBAPIError as error:
        if passing(error):
            raise
        why = words(error)
    return [f"the table {table} could not be written anew: {why}"] if connection.scalar(file) == before else []


def _checkpointed(connection: Connection) -> list[str]:
    try:
        connection.execute(text("checkpoint"))
    except DBAPIError as error:
        if passing(error):
            raise
        return ["old files of the tables go with the server's next checkpoint, for which we have no right"]
    return []


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
