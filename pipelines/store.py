"""Facts of all jobs, appended and never changed; one outcome per shard key and go. Statuses are computed from them.

SQLite by default; the same SQLAlchemy Core code runs on PostgreSQL.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError
from sqlalchemy import (
    URL,
    Column,
    DateTime,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from operators.data import Finding, Outcome
from operators.folders import alone
from pipelines.data import Plan, Planned, Repo, digest
from pipelines.errors import Refused

AT_ONCE = 500  # keys in one question; SQLite takes up to 32,766 variables

_meta = MetaData()
_at = DateTime(timezone=True)


def _table(name: str, *columns: Column[Any] | UniqueConstraint) -> Table:
    own = Column("id", Integer, primary_key=True), Column("at", _at, server_default=func.now(), nullable=False)
    return Table(name, _meta, *own, *columns)


_plans = _table("plans", Column("job", String, index=True), Column("digest", String), Column("body", LargeBinary))
_planned = _table("planned", Column("plan", Integer, index=True), Column("body", LargeBinary))
_outcomes = _table(
    "outcomes",
    Column("key", String),
    Column("go", Integer),
    Column("status", String),
    Column("body", LargeBinary),
    UniqueConstraint("key", "go"),
)
_failures = _table("failures", Column("key", String, index=True), Column("go", Integer), Column("body", LargeBinary))
_reopened = _table(
    "reopened",
    Column("key", String, index=True),
    Column("cause", String),
    Column("body", LargeBinary),
    UniqueConstraint("key", "cause"),
)
_facts = _table("facts", Column("key", String, unique=True), Column("body", LargeBinary))
_memories = _table("memories", Column("key", String, unique=True), Column("body", LargeBinary))


class Store:
    """All jobs' facts in one database. One process writes for a job (its lock is the command line's business)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._engine = create_engine(URL.create("sqlite", database=str(path)))  # whatever signs the path has
        _tell(self._engine, path)
        _durable(self._engine)
        with alone(path.with_suffix(".lock")):  # SQLite waits for nobody where it changes how it keeps its journal
            _meta.create_all(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    def save_plan(self, job: str, plan: Plan) -> None:
        """Append the plan unless the latest is the same."""
        rows = [_packed(_PLANNED, planned) for planned in plan.planned]
        head = _packed(_PLAN, replace(plan, planned=()))
        told = digest([_unzipped(part) for part in (head, *rows)])
        with self._engine.begin() as connection:
            last = select(_plans.c.digest).where(_plans.c.job == job).order_by(_plans.c.id.desc()).limit(1)
            if connection.scalar(last) == told:
                return
            row = connection.execute(insert(_plans).values(job=job, digest=told, body=head).returning(_plans.c.id))
            number = row.scalar_one()
            if rows:
                connection.execute(insert(_planned), [{"plan": number, "body": body} for body in rows])

    def plan(self, job: str) -> Plan | None:
        """Return the latest plan of a job."""
        with self._engine.connect() as connection:
            wanted = select(_plans.c.id, _plans.c.body).where(_plans.c.job == job).order_by(_plans.c.id.desc()).limit(1)
            found = connection.execute(wanted).first()
            if found is None:
                return None
            head: Plan = _unpacked(_PLAN, found.body)
            bodies = connection.scalars(
                select(_planned.c.body).where(_planned.c.plan == found.id).order_by(_planned.c.id)
            )
            planned = tuple(_unpacked(_PLANNED, body) for body in bodies)
        return replace(head, planned=planned)

    def find(self, name: str) -> list[tuple[Repo, str]]:
        """Return repository and key of the shards, in any job's latest plan, whose name is this or whose key begins
        with it."""
        with self._engine.connect() as connection:
            jobs = sorted(connection.scalars(select(_plans.c.job).distinct()))
        plans = [plan for job in jobs if (plan := self.plan(job))]
        found = {
            one.shard.key: repo
            for plan in plans
            for repo in plan.repos
            for one in plan.planned
            if one.shard.repo == repo.name and (one.shard.key.startswith(name) or one.shard.name == name)
        }
        return [(repo, key) for key, repo in found.items()]

    def save(self, outcomes: Iterable[tuple[Outcome, int]]) -> None:
        """Append outcomes, each with its go. A failed one is kept as a failure, so that it is done again; what has
        its outcome already keeps it."""
        done, failed = [], []
        for outcome, go in outcomes:
            row = {"key": outcome.shard.key, "go": go, "body": _packed(_OUTCOME, outcome)}
            if outcome.error:
                failed.append(row)
            else:
                done.append({**row, "status": outcome.status})
        with self._engine.begin() as connection:
            if failed:
                connection.execute(insert(_failures), failed)
        try:
            with self._engine.begin() as connection:
                if done:
                    connection.execute(insert(_outcomes), done)
        except IntegrityError:  # another job with the same steps was faster with some of them
            for row in done:
                self._append(_outcomes, row)

    def goes(self, keys: Sequence[str]) -> dict[str, int]:
        """Return how often each key was opened again; keys that never were are left out."""
        counted = select(_reopened.c.key, func.count()).group_by(_reopened.c.key)
        return dict(self._each(counted, _reopened.c.key, keys))

    def outcomes(self, keys: Sequence[str]) -> dict[str, list[Outcome]]:
        """Return each key's outcomes in the order of their goes; a failure comes last when it is the latest word."""
        found: dict[str, list[Outcome]] = {}
        goes = self.goes(keys)
        done: dict[str, int] = {}
        wanted = select(_outcomes.c.key, _outcomes.c.go, _outcomes.c.body).order_by(_outcomes.c.go)
        for key, go, body in self._each(wanted, _outcomes.c.key, keys):
            found.setdefault(key, []).append(_unpacked(_OUTCOME, body))
            done[key] = go
        latest = {
            key: body
            for key, go, body in self._each(
                select(_failures.c.key, _failures.c.go, _failures.c.body).order_by(_failures.c.id),
                _failures.c.key,
                keys,
            )
            if done.get(key, -1) < goes.get(key, 0) <= go
        }
        for key, body in latest.items():
            found.setdefault(key, []).append(_unpacked(_OUTCOME, body))
        return found

    def missing(self, keys: Sequence[str]) -> dict[str, int]:
        """Return the keys that have no outcome of their latest go, with that go."""
        goes = self.goes(keys)
        latest = select(_outcomes.c.key, func.max(_outcomes.c.go)).group_by(_outcomes.c.key)
        done = dict(self._each(latest, _outcomes.c.key, keys))
        return {key: goes.get(key, 0) for key in keys if done.get(key, -1) < goes.get(key, 0)}

    def statuses(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the status of each key's latest outcome, without reading it; keys without one are left out."""
        wanted = select(_outcomes.c.key, _outcomes.c.status).order_by(_outcomes.c.go)
        return dict(self._each(wanted, _outcomes.c.key, keys))

    def reopen(self, key: str, cause: str, finding: Finding | None = None) -> bool:
        """Ask for another go at a shard, `finding` being what is held against its last edit. The same cause counts
        once: then False is returned."""
        return self._append(_reopened, {"key": key, "cause": cause, "body": _packed(_FINDING, finding)})

    def reopenings(self, keys: Sequence[str]) -> dict[str, list[tuple[str, Finding | None]]]:
        """Return cause and finding of each time a key was opened again, in that order; keys that never were are left
        out."""
        found: dict[str, list[tuple[str, Finding | None]]] = {}
        wanted = select(_reopened.c.key, _reopened.c.cause, _reopened.c.body).order_by(_reopened.c.id)
        for key, cause, body in self._each(wanted, _reopened.c.key, keys):
            found.setdefault(key, []).append((cause, _unpacked(_FINDING, body)))
        return found

    def fact(self, key: str) -> Any:
        """Return what was kept under `key`, None when nothing was."""
        with self._engine.connect() as connection:
            body = connection.scalar(select(_facts.c.body).where(_facts.c.key == key))
        return None if body is None else _unpacked(_ANY, body)

    def keep(self, key: str, value: Any) -> None:
        """Keep something that JSON can hold; the first value stays."""
        self._append(_facts, {"key": key, "body": _packed(_ANY, value)})

    def recall(self, key: str) -> Any:
        """Return what was remembered last under `key`, None when nothing was."""
        with self._engine.connect() as connection:
            body = connection.scalar(select(_memories.c.body).where(_memories.c.key == key))
        return None if body is None else _unpacked(_ANY, body)

    def remember(self, key: str, value: Any) -> None:
        """Remember something that JSON can hold instead of what was remembered before: no fact, but what can be asked
        for again."""
        body = _packed(_ANY, value)
        if not self._append(_memories, {"key": key, "body": body}):
            with self._engine.begin() as connection:
                connection.execute(update(_memories).where(_memories.c.key == key).values(body=body))

    def _append(self, table: Table, row: dict[str, Any]) -> bool:
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(table).values(**row))
        except IntegrityError:
            return False
        return True

    def _each(self, question: Any, column: Column[Any], keys: Sequence[str]) -> Iterator[Any]:
        with self._engine.connect() as connection:
            for at in range(0, len(keys), AT_ONCE):
                yield from connection.execute(question.where(column.in_(keys[at : at + AT_ONCE])))


_PLAN, _PLANNED = TypeAdapter(Plan), TypeAdapter(Planned)
_OUTCOME, _FINDING = TypeAdapter(Outcome), TypeAdapter(Finding | None)
_ANY: TypeAdapter[Any] = TypeAdapter(Any)


def _packed(kind: TypeAdapter[Any], value: Any) -> bytes:
    try:
        body = kind.dump_json(value)
    except PydanticSerializationError:
        body = kind.dump_json(kind.validate_python(_whole(kind.dump_python(value))))
    return zlib.compress(body, 1)


def _whole(value: Any) -> Any:
    """Return a value without halves of characters: a model can write them in JSON, but no database can keep them."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list | tuple) else value


def _unpacked(kind: TypeAdapter[Any], body: bytes) -> Any:
    return kind.validate_json(zlib.decompress(body))


def _unzipped(body: bytes) -> str:
    return zlib.decompress(body).decode()


def _tell(engine: Engine, path: Path) -> None:
    """Say in words what is wrong with the database; that a row is there already is for who asked to know."""

    @event.listens_for(engine, "handle_error")
    def _told(context: Any) -> None:
        if not isinstance(context.sqlalchemy_exception, IntegrityError):
            raise Refused(f"the store {path} cannot be used: {context.original_exception}") from None


def _durable(engine: Engine) -> None:
    """Make SQLite survive a killed process and let others read meanwhile."""

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")
