"""Signed statements about merge requests: appended, never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import exists, func, select

from pipelines.store.database import Database
from pipelines.store.packing import ANY, packed, unpacked
from pipelines.store.tables import EVIDENCE, OUTCOMES

STATED = "stated job "  # and its digest: what a job is kept by, of which something was stated
Kind = Literal["change", "merged"]
"""change: how what a branch holds came about; merged: what became of it."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A statement as it is kept."""

    job: str
    kind: Kind
    repo: str
    branch: str
    head: str
    """The commit that it is about."""
    digest: str
    """SHA-256 of the statement, in hex."""
    envelope: str
    """JSON."""


class Statements:
    """The part of a store that keeps what speaks for merge requests."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, stated: Stated) -> None:
        """Keep a statement; the same one is kept once."""
        row = {
            "job": stated.job,
            "kind": stated.kind,
            "repo": stated.repo,
            "branch": stated.branch,
            "head": stated.head,
            "digest": stated.digest,
            "body": packed(ANY, stated.envelope),
        }
        new = self._database.insert(EVIDENCE).values(row).on_conflict_do_nothing()
        self._database.write(lambda connection: connection.execute(new))

    def of(self, repo: str, branch: str, head: str = "") -> list[Stated]:
        """Return what was stated of a branch, or of a commit that it held, oldest first."""
        wanted = select(EVIDENCE).where(EVIDENCE.c.repo == repo, EVIDENCE.c.branch == branch)
        return self._asked(wanted.where(EVIDENCE.c.head == head) if head else wanted)

    def about(self, commit: str) -> list[Stated]:
        """Return what was stated of the commits whose names begin like that."""
        wanted = EVIDENCE.c.head.startswith(commit, autoescape=True)
        return self._asked(select(EVIDENCE).where(wanted))

    def all(self, after: int = 0, most: int = 200) -> tuple[list[Stated], int]:
        """Return the next statements of all jobs, and where the ones after them begin; 0 when there are none."""
        wanted = select(EVIDENCE).where(EVIDENCE.c.id > after).order_by(EVIDENCE.c.id).limit(most)
        rows = self._database.read(lambda connection: connection.execute(wanted).all())
        return [_stated(row) for row in rows], rows[-1].id if rows else 0

    def latest(
        self, job: str, kind: Kind, repos: Sequence[str] | None = None
    ) -> Mapping[tuple[str, str], tuple[str, str]]:
        """Return digest and commit of what of this kind was stated last of each branch of a job, by repository and
        branch. `repos`: where it is looked for; None for all of them."""
        one, later = EVIDENCE.c, EVIDENCE.alias("later")
        same = (later.c[name] == one[name] for name in ("job", "kind", "repo", "branch"))
        newest = ~exists().where(*same, later.c.id > one.id)
        columns = (one.repo, one.branch, one.digest, one.head)  # without what was stated: there may be thousands
        wanted = select(*columns).where(one.job == job, one.kind == kind, newest)
        if repos is None:
            rows = self._database.read(lambda connection: connection.execute(wanted).all())
        else:
            rows = [*self._database.each(wanted, one.repo, repos)]
        return {(row.repo, row.branch): (row.digest, row.head) for row in rows}

    def goes(self, keys: Sequence[str]) -> dict[str, int]:
        """Return with which go the last accepted outcome of each shard came."""
        wanted = select(OUTCOMES.c.key, func.max(OUTCOMES.c.go)).where(OUTCOMES.c.status == "accepted")
        return dict(self._database.each(wanted.group_by(OUTCOMES.c.key), OUTCOMES.c.key, keys))

    def jobs(self, repo: str) -> list[str]:
        """Return the jobs that anything was stated for in a repository; in all, with ""."""
        wanted = select(EVIDENCE.c.job).distinct()
        wanted = wanted.where(EVIDENCE.c.repo == repo) if repo else wanted
        return self._database.read(lambda connection: sorted(connection.scalars(wanted)))

    def _asked(self, wanted: Any) -> list[Stated]:
        rows = self._database.read(lambda connection: connection.execute(wanted.order_by(EVIDENCE.c.id)).all())
        return [_stated(row) for row in rows]


def _stated(row: Any) -> Stated:
    return Stated(row.job, row.kind, row.repo, row.branch, row.head, row.digest, unpacked(ANY, row.body))
