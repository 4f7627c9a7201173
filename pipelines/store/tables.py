"""The tables of the store. What is changed here needs a migration."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    func,
)
from sqlalchemy import UniqueConstraint as Unique

VERSION = "0005"  # the newest migration; known here, so that opening a store need not load Alembic
META = MetaData()
_at = DateTime(timezone=True)
_number = BigInteger().with_variant(Integer, "sqlite")  # SQLite's own are as long, but have to be called so


def _table(name: str, *columns: Column[Any] | Unique | Index) -> Table:
    own = Column("id", _number, primary_key=True), Column("at", _at, server_default=func.now(), nullable=False)
    return Table(name, META, *own, *columns)


def _bare() -> Column[Any]:
    """How much was purged of a row: nothing, the words of models (1), code as well (2)."""
    return Column("bare", Integer, server_default="0", nullable=False)


PLANS = _table(
    "plans",
    Column("job", String, index=True),
    Column("digest", String),
    Column("body", LargeBinary),
    Column("parts", LargeBinary),  # those that were superseded before there were parts have none
)
PARTS = _table("parts", Column("name", String, unique=True), Column("body", LargeBinary))  # of plans, by repository
OUTCOMES = _table(
    "outcomes",
    Column("key", String),
    Column("go", Integer),
    Column("status", String),
    Column("body", LargeBinary),
    _bare(),
    Unique("key", "go"),
    Index("outcomes_bare", "bare"),
)
FAILURES = _table(
    "failures",
    Column("key", String, index=True),
    Column("go", Integer),
    Column("body", LargeBinary),
    Column("mark", String),  # tells a row that is written once more, since nobody knows whether it was, from another
    _bare(),
    Index("failures_mark", "mark", unique=True),
    Index("failures_bare", "bare"),
)
REOPENED = _table(
    "reopened",
    Column("key", String, index=True),
    Column("cause", String),
    Column("body", LargeBinary),
    Column("mark", String),  # likewise
    Unique("key", "cause"),
)
FACTS = _table("facts", Column("key", String, unique=True), Column("body", LargeBinary))
MEMORIES = _table("memories", Column("key", String, unique=True), Column("body", LargeBinary))
EVENTS = _table(  # what happened to a job, for its history
    "events",
    Column("job", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("repo", String, nullable=False),
    Column("mark", String, nullable=False),  # tells what is noted once more from something that happened again
    Column("body", LargeBinary),
    Unique("job", "kind", "mark"),
    Index("events_job", "job", "id"),
)
SPENT = _table(  # what was spent on a shard, also where no outcome came of it
    "spent",
    Column("job", String, nullable=False),
    Column("repo", String, nullable=False),
    Column("key", String, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("read", _number, nullable=False),
    Column("written", _number, nullable=False),
    Column("gpu_seconds", Float, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("mark", String, nullable=False, unique=True),
    Index("spent_job", "job"),
)
EVIDENCE = _table(  # signed statements about merge requests
    "evidence",
    Column("job", String, nullable=False),
    Column("kind", String, nullable=False),  # change, merged
    Column("repo", String, nullable=False),
    Column("branch", String, nullable=False),
    Column("head", String, nullable=False),  # the commit that it is about
    Column("digest", String, nullable=False, unique=True),  # of the statement, by which it is linked
    Column("body", LargeBinary),
    Index("evidence_branch", "repo", "branch"),
    Index("evidence_head", "head"),
)
AUDIT = _table(  # who did what, each row bound to the one before
    "audit",
    Column("number", _number, nullable=False, unique=True),  # 1, 2, 3 ...: no row is missing
    Column("moment", String, nullable=False),  # as it was hashed
    Column("who", String, nullable=False),
    Column("what", String, nullable=False),
    Column("job", String, nullable=False),
    Column("mark", String, nullable=False, unique=True),  # tells what is noted once more from what was done again
    Column("body", String, nullable=False),  # as it was hashed
    Column("before", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),
    Index("audit_job", "job", "number"),
)
TURNS = _table("turns", Column("job", String, unique=True), Column("epoch", Integer, nullable=False))
