"""One database: read by anybody, written by who drives a job, waited for when it is away."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar

from sqlalchemy import ARRAY, Column, ColumnElement, Connection, Engine, Executable, String, Table, any_, literal, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from pipelines.store.away import passing, patiently
from pipelines.store.turn import Turn, driven

AT_ONCE = 500  # keys in one question; SQLite takes up to 32,766 variables
PLANNING = 0x756D62617502  # taken by who adds or removes parts of plans
T = TypeVar("T")


class Database:
    """What is done in it may be done twice: when an answer is lost, nobody knows whether it was."""

    def __init__(self, engine: Engine, name: str, locks: Path | None) -> None:
        """`locks`: the folder for locks of a database that keeps none."""
        self.engine, self._name, self._locks = engine, name, locks
        self._reads = engine if locks else engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writes = engine.execution_options(writes=True)
        self._turn: Turn | None = None
        self._one_at_a_time = RLock()

    def insert(self, table: Table) -> Any:
        """Begin an insert that can say `on conflict`, as both kinds of database do."""
        return sqlite.insert(table) if self._locks else postgresql.insert(table)

    def among(self, column: Column[Any], keys: Sequence[str]) -> ColumnElement[bool]:
        """Ask for the rows of some keys."""
        if self._locks:
            return column.in_(keys)
        return column == any_(literal(list(keys), ARRAY(String)))  # read once, however many there are

    def each(self, question: Any, column: Column[Any], keys: Sequence[str]) -> Iterator[Any]:
        """Yield the rows of a question that some keys have, a number of them at a time."""

        def ask(connection: Connection) -> Sequence[Any]:
            return connection.execute(question.where(self.among(column, some))).all()

        for at in range(0, len(keys), AT_ONCE):
            some = keys[at : at + AT_ONCE]
            yield from self.read(ask)

    def read(self, ask: Callable[[Connection], T]) -> T:
        def act() -> T:
            with self._reads.connect() as connection:
                return ask(connection)

        return patiently(act, self._name)

    def write(self, do: Callable[[Connection], T]) -> T:
        """Do it in one transaction. Raises Lost when the turn is not ours any more."""

        def act() -> T:
            with self._turn.writing() if self._turn else self._writes.begin() as connection:
                return do(connection)

        with self._one_at_a_time:
            return patiently(act, self._name)

    def does(self, statement: Executable) -> bool:
        """Say whether the database does what it may refuse. It is taken back."""

        def act() -> bool:
            with self._writes.connect() as connection, connection.begin() as tried:
                try:
                    connection.execute(statement)
                except DBAPIError as error:
                    if passing(error):
                        raise
                    return False
                finally:
                    tried.rollback()
            return True

        return patiently(act, self._name)

    def alone(self, connection: Connection, lock: int) -> None:
        """Keep others from what a number stands for until the transaction is over. SQLite has one writer anyway."""
        if not self._locks:
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": lock})

    def driven(self, job: str) -> bool:
        return self.read(lambda connection: driven(connection, job, self._locks))

    @contextmanager
    def driving(self, job: str) -> Iterator[None]:
        assert self._turn is None, "one job at a time"
        turn = Turn(self._writes, job, self._locks)
        try:
            patiently(turn.take, self._name)
            self._turn = turn
            yield
        finally:
            self._turn = None
            turn.end()
