"""Facts of all jobs, appended and never changed; one outcome per shard key and go. Statuses are computed from them.

Outcomes come hidden from workers (operators.veiled); what else is kept is masked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Table, func, insert, select

from operators.data import Finding, Outcome
from pipelines.data import Packed, Plan, Repo, Shards, digest
from pipelines.masking import masked, masked_all
from pipelines.store.audit import Audit
from pipelines.store.browse import Browse
from pipelines.store.database import AT_ONCE, PLANNING, Database
from pipelines.store.evidence import Statements
from pipelines.store.log import Log, since
from pipelines.store.packing import ANY, FINDING, OUTCOME, PLAN, packed, unpacked, unzipped
from pipelines.store.place import database, file
from pipelines.store.purge import Purge
from pipelines.store.tables import AUDIT, FACTS, FAILURES, MEMORIES, OUTCOMES, PARTS, PLANS, REOPENED


class Store:
    """All jobs' facts in one database. One process drives a job; any may read. When the database is away, each waits
    for it; Refused is raised when that takes too long or something is wrong with it."""

    def __init__(self, place: Path | str, *, upgrade: bool = True) -> None:
        """`place`: a file for SQLite, or the URL of a PostgreSQL database. Without `upgrade` its tables are taken as
        they are. Raises Refused."""
        if isinstance(place, Path):
            self._database = Database(file(place, upgrade=upgrade), str(place), place.parent / "locks")
        else:
            self._database = Database(*database(place, upgrade=upgrade), None)
        self.log = Log(self._database)
        self.audit = Audit(self._database)
        self.browse = Browse(self._database)
        self.evidence = Statements(self._database)
        self.purge = Purge(self._database)

    def close(self) -> None:
        self._database.engine.dispose()

    def driving(self, job: str) -> AbstractContextManager[None]:
        """Be the only one to drive this job. Raises Busy. A process that dies lets go; one that has lost its turn
        unawares gets Lost from whatever it would write."""
        return self._database.driving(job)

    def driven(self, job: str) -> bool:
        """Say whether a process drives this job right now, without having a turn at it."""
        return self._database.driven(job)

    def confirm(self) -> None:
        """Raise Lost when another process drives the job meanwhile that this one was to drive. Asked before what
        cannot be taken back."""
        self._database.write(lambda connection: None)

    def unguarded(self) -> str:
        """Return what the database does to the last row of the audit log though it should refuse to: `update`, `delete`
        or, as it should be, "". It is tried, and taken back."""
        last = AUDIT.c.id == select(func.max(AUDIT.c.id)).scalar_subquery()
        tries = {"update": AUDIT.update().where(last).values(body=AUDIT.c.body), "delete": AUDIT.delete().where(last)}
        return next((name for name, act in tries.items() if self._database.does(act)), "")

    def save_plan(self, job: str, plan: Plan) -> None:
        """Append the plan unless the latest is the same. What it has of a repository is kept once, however many plans
        have the same of it."""
        own = plan.planned.packed
        head = packed(PLAN, replace(plan, planned=Shards()))
        parts = packed(ANY, [[repo, one.name, one.size] for repo, one in own.items()])
        told = digest([unzipped(head), unzipped(parts)])
        last = select(PLANS.c.digest).where(PLANS.c.job == job).order_by(PLANS.c.id.desc()).limit(1)
        bodies = {one.name: one.body for one in own.values()}

        def append(connection: Connection) -> None:
            self._database.alone(connection, PLANNING)
            new, names = dict(bodies), list(bodies)
            for at in range(0, len(names), AT_ONCE):
                there = self._database.among(PARTS.c.name, names[at : at + AT_ONCE])
                for name in connection.scalars(select(PARTS.c.name).where(there)):
                    del new[name]
            if new:
                connection.execute(self._new(PARTS), [{"name": name, "body": body} for name, body in new.items()])
            if connection.scalar(last) != told:
                connection.execute(insert(PLANS).values(job=job, digest=told, body=head, parts=parts))

        self._database.write(append)

    def plan(self, job: str) -> Plan | None:
        """Return the latest plan of a job."""
        latest = select(PLANS.c.body, PLANS.c.parts).where(PLANS.c.job == job).order_by(PLANS.c.id.desc()).limit(1)
        found = self._database.read(lambda connection: connection.execute(latest).first())
        if found is None:
            return None
        head: Plan = unpacked(PLAN, found.body)
        parts = unpacked(ANY, found.parts)
        names = [name for _, name, _ in parts]
        bodies = dict(self._database.each(select(PARTS.c.name, PARTS.c.body), PARTS.c.name, names))
        packs = {repo: Packed(name, size, bodies[name]) for repo, name, size in parts}
        return replace(head, planned=Shards.of_packed(packs))

    def find(self, name: str) -> list[tuple[Repo, str]]:
        """Return repository and key of the shards, in any job's latest plan, whose name is this or whose key begins
        with it."""
        jobs = self._database.read(lambda connection: sorted(connection.scalars(select(PLANS.c.job).distinct())))
        plans = [plan for job in jobs if (plan := self.plan(job))]
        found = {
            one.shard.key: repo
            for plan in plans
            for repo in plan.repos
            for one in plan.planned.of(repo.name)
            if one.shard.key.startswith(name) or one.shard.name == name
        }
        return [(repo, key) for key, repo in found.items()]

    def save(self, outcomes: Iterable[tuple[Outcome, int]]) -> None:
        """Append outcomes, each with its go. A failed one is kept as a failure, so that it is done again; what has
        its outcome already keeps it."""
        done, failed = [], []
        for one, go in sorted(outcomes, key=lambda one: one[0].shard.key):  # two jobs wait for each other else
            # Not all errors are a worker's words.
            outcome = replace(one, error=masked(one.error)) if one.error else one
            row = {"key": outcome.shard.key, "go": go, "body": packed(OUTCOME, outcome)}
            if outcome.error:
                failed.append({**row, "mark": uuid4().hex})
            else:
                done.append({**row, "status": outcome.status})

        def append(connection: Connection) -> None:
            for table, rows in ((FAILURES, failed), (OUTCOMES, done)):
                if rows:
                    connection.execute(self._new(table), rows)

        if done or failed:
            self._database.write(append)

    def goes(self, keys: Sequence[str]) -> dict[str, int]:
        """Return how often each key was opened again; keys that never were are left out."""
        counted = select(REOPENED.c.key, func.count()).group_by(REOPENED.c.key)
        return dict(self._database.each(counted, REOPENED.c.key, keys))

    def outcomes(self, keys: Sequence[str]) -> dict[str, list[Outcome]]:
        """Return each key's outcomes in the order of their goes; a failure comes last when it is the latest word."""
        found: dict[str, list[Outcome]] = {}
        goes = self.goes(keys)
        done: dict[str, int] = {}
        wanted = select(OUTCOMES.c.key, OUTCOMES.c.go, OUTCOMES.c.body).order_by(OUTCOMES.c.go)
        for key, go, body in self._database.each(wanted, OUTCOMES.c.key, keys):
            found.setdefault(key, []).append(unpacked(OUTCOME, body))
            done[key] = go
        latest = {
            key: body
            for key, go, body in self._database.each(
                select(FAILURES.c.key, FAILURES.c.go, FAILURES.c.body).order_by(FAILURES.c.id),
                FAILURES.c.key,
                keys,
            )
            if done.get(key, -1) < goes.get(key, 0) <= go
        }
        for key, body in latest.items():
            found.setdefault(key, []).append(unpacked(OUTCOME, body))
        return found

    def missing(self, keys: Sequence[str]) -> dict[str, int]:
        """Return the keys that have no outcome of their latest go, with that go."""
        goes = self.goes(keys)
        latest = select(OUTCOMES.c.key, func.max(OUTCOMES.c.go)).group_by(OUTCOMES.c.key)
        done = dict(self._database.each(latest, OUTCOMES.c.key, keys))
        return {key: goes.get(key, 0) for key in keys if done.get(key, -1) < goes.get(key, 0)}

    def statuses(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the status of each key's latest outcome, without reading it; keys without one are left out."""
        wanted = select(OUTCOMES.c.key, OUTCOMES.c.status).order_by(OUTCOMES.c.go)
        return dict(self._database.each(wanted, OUTCOMES.c.key, keys))

    def times(self, keys: Sequence[str]) -> dict[str, float]:
        """Return when each key's latest outcome was kept, in seconds since 1970 by the database's clock; keys without
        one are left out."""
        wanted = select(OUTCOMES.c.key, OUTCOMES.c.at).order_by(OUTCOMES.c.go)
        return {key: since(at) for key, at in self._database.each(wanted, OUTCOMES.c.key, keys)}

    def reopen(self, key: str, cause: str, finding: Finding | None = None) -> bool:
        """Ask for another go at a shard, `finding` being what is held against its last edit. The same cause counts
        once: then False is returned."""
        return bool(self.reopen_all([key], cause, finding))

    def reopen_all(self, keys: Sequence[str], cause: str, finding: Finding | None = None) -> list[str]:
        """Likewise for many shards; return those for which the cause was new."""
        if finding:  # people say it, or a forge's CI
            finding = Finding(finding.judge, masked(finding.message), finding.place)
        body, found = packed(FINDING, finding), list[str]()
        for at in range(0, len(keys), AT_ONCE):
            marks = {key: uuid4().hex for key in keys[at : at + AT_ONCE]}
            rows = [
                {"key": key, "cause": cause, "body": body, "mark": mark} for key, mark in sorted(marks.items())
            ]  # as in `save`
            wanted = select(REOPENED.c.key, REOPENED.c.mark).where(REOPENED.c.cause == cause)
            there = wanted.where(self._database.among(REOPENED.c.key, list(marks)))

            def append(connection: Connection, rows: Any = rows, there: Any = there) -> dict[str, str]:
                connection.execute(self._new(REOPENED), rows)
                return {row.key: row.mark for row in connection.execute(there)}

            kept = self._database.write(append)
            found += [key for key, mark in marks.items() if kept[key] == mark]
        return found

    def reopenings(self, keys: Sequence[str]) -> dict[str, list[tuple[str, Finding | None]]]:
        """Return cause and finding of each time a key was opened again, in that order; keys that never were are left
        out."""
        found: dict[str, list[tuple[str, Finding | None]]] = {}
        wanted = select(REOPENED.c.key, REOPENED.c.cause, REOPENED.c.body).order_by(REOPENED.c.id)
        for key, cause, body in self._database.each(wanted, REOPENED.c.key, keys):
            found.setdefault(key, []).append((cause, unpacked(FINDING, body)))
        return found

    def fact(self, key: str) -> Any:
        """Return what was kept under `key`, None when nothing was."""
        return self._value(FACTS, key)

    def kept(self, keys: Sequence[str]) -> set[str]:
        """Return the keys under which something was kept, without reading it."""
        return {row.key for row in self._database.each(select(FACTS.c.key), FACTS.c.key, keys)}

    def keep(self, key: str, value: Any) -> None:
        """Keep something that JSON can hold; the first value stays."""
        row = {"key": key, "body": packed(ANY, masked_all(value))}
        self._database.write(lambda connection: connection.execute(self._new(FACTS), row))

    def recall(self, key: str) -> Any:
        """Return what was remembered last under `key`, None when nothing was."""
        return self._value(MEMORIES, key)

    def remember(self, key: str, value: Any) -> None:
        """Remember something that JSON can hold instead of what was remembered before: no fact, but what can be asked
        for again."""
        new = self._database.insert(MEMORIES).values(key=key, body=packed(ANY, masked_all(value)))
        instead = new.on_conflict_do_update(index_elements=["key"], set_={"body": new.excluded.body})
        self._database.write(lambda connection: connection.execute(instead))

    def _new(self, table: Table) -> Any:
        """Insert what is not there: another job with the same steps may have been faster."""
        return self._database.insert(table).on_conflict_do_nothing()

    def _value(self, table: Table, key: str) -> Any:
        wanted = select(table.c.body).where(table.c.key == key)
        body = self._database.read(lambda connection: connection.scalar(wanted))
        return None if body is None else unpacked(ANY, body)
