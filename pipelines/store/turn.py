"""Who drives a job: whoever holds its lock. Each turn has a number, so that a process that lost the lock unawares, as
when it was frozen, finds out in its next write. No clock is looked at."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.exc import DBAPIError

from pipelines.errors import Refused
from pipelines.store.away import Away, gone
from pipelines.store.tables import TURNS

# https://www.postgresql.org/docs/current/view-pg-locks.html: a number of eight bytes stands there in two halves
_HOLDERS = text(
    "select count(*) from pg_locks where locktype = 'advisory' and objsubid = 1 and granted "
    "and database = (select oid from pg_database where datname = current_database()) "
    "and (classid::bigint << 32) | objid::bigint = :lock"
)


class Busy(Refused):
    """Another process drives this job."""


class Lost(Refused):
    """Another process drives this job meanwhile."""


class Turn:
    """A turn at one job, with a connection of its own, on which the job's writes are done: where it is broken, so is
    the lock that PostgreSQL keeps for it."""

    def __init__(self, engine: Engine, job: str, locks: Path | None) -> None:
        """`locks`: the folder for locks of a database that keeps none."""
        self.job = job
        self._engine, self._file = engine, locks / job if locks else None
        self._held: IO[str] | None = None
        self._connection: Connection | None = None
        self._epoch = 0

    def take(self) -> None:
        """Begin the turn. Raises Busy."""
        with self._begun() as connection:
            now = connection.scalar(_epoch(self.job)) or 0
            change = TURNS.update().where(TURNS.c.job == self.job) if now else TURNS.insert()
            connection.execute(change.values(job=self.job, epoch=now + 1))
        self._epoch = now + 1

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction, within which the turn is ours. Raises Lost, and Away when that cannot be known yet."""
        with self._begun() as connection:
            self._check(connection)
            yield connection

    def end(self) -> None:
        self._drop()
        if self._held:
            self._held.close()

    @contextmanager
    def _begun(self) -> Iterator[Connection]:
        try:
            connection = self._connected()
            with connection.begin():
                yield connection
        except DBAPIError as error:
            if gone(error):
                self._drop()
            raise

    def _check(self, connection: Connection) -> None:
        if connection.scalar(_epoch(self.job)) != self._epoch:
            raise Lost(f"another process drives {self.job} now; this one has stopped")

    def _connected(self) -> Connection:
        """Return the connection; where it was broken, a new one, if nobody else has taken the turn meanwhile."""
        if self._connection:
            return self._connection
        connection = self._engine.connect()
        try:
            connection.detach()  # closed, it is closed for real, and the lock is let go
            with connection.begin():
                locked = self._locked(connection)
                if not locked and self._epoch:
                    self._check(connection)
                    raise Away("its lock is held, maybe by a connection that this process had")
            if not locked:
                raise Busy(f"{self.job} is being run by another process: wait for it, or stop it")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _locked(self, connection: Connection) -> bool:
        if not self._file:
            return bool(connection.scalar(text("select pg_try_advisory_lock(:lock)"), {"lock": _lock(self.job)}))
        if self._held:
            return True
        self._file.parent.mkdir(parents=True, exist_ok=True)
        file = self._file.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._held = file
        return True

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection:
            connection.close()


def driven(connection: Connection, job: str, locks: Path | None) -> bool:
    """Say whether somebody holds the lock of a job, whose turn is not touched by that. `locks`: as above."""
    if locks is None:
        return bool(connection.scalar(_HOLDERS, {"lock": _lock(job)}))
    try:
        with (locks / job).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:  # nobody ever did
        return False
    except BlockingIOError:
        return True
    return False


def _lock(job: str) -> int:
    """Return the number of a job's lock in PostgreSQL."""
    return int.from_bytes(sha256(f"umbau job {job}".encode()).digest()[:8], signed=True)


def _epoch(job: str) -> Any:
    """Ask for the number of a job's turn, which stays as it is until the transaction is over."""
    return select(TURNS.c.epoch).where(TURNS.c.job == job).with_for_update(read=True)
