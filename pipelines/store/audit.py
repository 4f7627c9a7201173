"""The audit log: who did what, for good. Every row is bound to the one before (pipelines.audit.chain).

It is no second history: the events (pipelines.store.log) are what a job's progress and reports are told from, they hold
words and may be noted by whoever drives the job; a row here is for whoever has to answer for what was done. It covers
all jobs of the store, holds no code and no words of models, outlives a purge, and cannot be changed unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, func, insert, select, text

from pipelines.audit.chain import START, Followed, Link, Row, bound, followed
from pipelines.data import canonical
from pipelines.masking import masked_all
from pipelines.store.database import Database
from pipelines.store.tables import AUDIT

_LOCK = 0x756D62617501  # one writer at a time, of all that PostgreSQL serves; SQLite has no more than one anyway
PAGE = 5000  # rows in memory
_COLUMNS = [AUDIT.c[name] for name in Row.__dataclass_fields__]


class Audit:
    """The part of a store that tells who did what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, who: str, what: str, job: str = "", facts: Any = None, mark: str = "", again: bool = False) -> None:
        """Append what somebody did, unless a row has its mark; without a mark it is always another thing. `again`: it
        may happen more than once, and the mark is for the first time. Facts are what JSON can hold, and no code; they
        are masked, since nothing can be taken out of them later."""
        body = canonical({} if facts is None else masked_all(facts))
        moment = datetime.now(UTC).isoformat(timespec="microseconds")
        own = uuid4().hex
        names = [mark, f"{mark} {own}"] if mark and again else [mark or own]

        def append(connection: Connection) -> None:
            if self._postgres:
                connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            there = select(AUDIT.c.mark, AUDIT.c.moment, AUDIT.c.who).where(AUDIT.c.mark.in_(names))
            known = {row.mark: (row.moment, row.who) for row in connection.execute(there)}
            free = [name for name in names if name not in known]
            if not free or (moment, who) in known.values():  # its answer was lost, and it is done once more
                return
            last = connection.execute(_from_last(AUDIT.c.number, AUDIT.c.hash).limit(1)).first()
            link = Link(*last) if last else Link()
            row = bound(Row(link.number + 1, moment, who, what, job, free[0], body, link.hash))
            connection.execute(insert(AUDIT).values(asdict(row)))

        if not (mark and not again and self.has([mark])):
            self._database.write(append)

    def has(self, marks: list[str]) -> set[str]:
        """Return those of the marks that a row has."""
        return {row.mark for row in self._database.each(select(AUDIT.c.mark), AUDIT.c.mark, marks)}

    def head(self) -> Link:
        """Return number and hash of the last row."""
        last = self._database.read(lambda one: one.execute(_from_last(AUDIT.c.number, AUDIT.c.hash).limit(1)).first())
        return Link(*last) if last else Link()

    def rows(self, job: str = "", after: int = 0) -> Iterator[Row]:
        """Yield rows with a number beyond `after`, in that order, a page of them in memory; of one job or, as is, all
        of them."""
        while True:
            wanted = select(*_COLUMNS).where(AUDIT.c.number > after).order_by(AUDIT.c.number).limit(PAGE)
            wanted = wanted.where(AUDIT.c.job == job) if job else wanted
            page = self._database.read(lambda one, wanted=wanted: one.execute(wanted).all())  # type: ignore[misc]
            yield from (Row(*row) for row in page)
            if len(page) < PAGE:
                return
            after = page[-1].number

    def last(self, job: str, *whats: str) -> Row | None:
        """Return the last row of a job ("": of the site) that is about one of these."""
        wanted = _from_last(*_COLUMNS).where(AUDIT.c.job == job, AUDIT.c.what.in_(whats)).limit(1)
        found = self._database.read(lambda one: one.execute(wanted).first())
        return Row(*found) if found else None

    def verify(self, last: int = 0) -> Followed:
        """Follow the whole chain, or its last rows alone."""
        first = max(0, self.head().number - last) if last else 0
        if not first:
            return followed(self.rows())
        there = select(AUDIT.c.hash).where(AUDIT.c.number == first)
        hash_ = self._database.read(lambda one: one.scalar(there))
        if hash_ is None:
            return Followed(Link(first - 1, ""), f"row {first} is missing")
        return followed(self.rows(after=first), Link(first, hash_))

    def at(self, number: int) -> str:
        """Return the hash of a row, "" when there is none; of 0 what the first is bound to."""
        if number == 0:
            return START
        wanted = select(AUDIT.c.hash).where(AUDIT.c.number == number)
        return self._database.read(lambda one: one.scalar(wanted)) or ""

    def count(self) -> int:
        return self._database.read(lambda one: one.scalar(select(func.count()).select_from(AUDIT))) or 0

    @property
    def _postgres(self) -> bool:
        return self._database.engine.dialect.name == "postgresql"


def _from_last(*columns: Any) -> Any:
    return select(*columns).order_by(AUDIT.c.number.desc())
