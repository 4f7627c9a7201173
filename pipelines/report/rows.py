"""What is reported of each shard, repository by repository, so that a job of any size fits into memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from operators import foreign
from operators.data import Finding, Outcome, Passage
from operators.proc import GitError
from operators.veil import Slow
from operators.veiled import Hidden
from pipelines.bare import has
from pipelines.budget.prices import money
from pipelines.data import Plan, Planned, Repo
from pipelines.facts import models_of
from pipelines.forge import Place, Request
from pipelines.limits import Prices
from pipelines.masking import rules
from pipelines.owners import NOBODY, Owners, owner_of, owners_at
from pipelines.people import owner_of_repo
from pipelines.report.asked import Asked
from pipelines.report.changed import Changed, changed
from pipelines.store import Store
from pipelines.store.log import Spent

TESTING = frozenset({"tests", "command", "complaints", "pinned"})
"""Kinds of checks that run what the repository brings."""


@dataclass(frozen=True, slots=True)
class Row:
    """One shard. Amounts are of all attempts, those before it was opened again included."""

    job: str
    repo: str
    shard: str
    """What a person calls it: `tests/test_a.py::TestA.test_b`."""
    key: str
    commit: str
    """Of the base."""
    branch: str
    """Of its merge request."""
    group: str
    owner: str
    """By CODEOWNERS, or who owns the repository."""
    kind: str
    """How it is cut: `symbol`, `file` or `files`."""
    status: str
    """accepted, unchanged, skipped, rejected, failed, or `waiting` without an outcome."""
    judge: str = ""
    """Who found what it was rejected for; `skipped`, `failed`."""
    why: str = ""
    """Why it is not accepted."""
    dropped: str = ""
    """Why an accepted edit is not part of its merge request."""
    request: str = ""
    """URL or path of the merge request that its accepted edit is part of."""
    state: str = ""
    """Of that: branch, open, merged, closed."""
    model: bool = False
    """Whether a model was asked."""
    attempts: int = 0
    """Of the last go."""
    goes: int = 0
    """How often it was opened again."""
    seconds: float = 0.0
    read: int = 0
    """Tokens."""
    written: int = 0
    """Tokens."""
    cached: int = 0
    """Replies that were known from before and cost no tokens."""
    waited: float = 0.0
    """Seconds in which a model was asked."""
    gpu_seconds: float = 0.0
    judging: Mapping[str, float] = field(default_factory=dict)
    """Seconds by kind of check."""
    cost: float = 0.0
    """By the job's prices, in `currency`."""
    currency: str = ""
    at: float = 0.0
    """When its outcome was kept, in seconds since 1970; 0 without one."""
    purged: str = ""
    """The day on which its edit and findings were purged, or else the words of models; "" when all is there."""
    tried: tuple[tuple[Finding, ...], ...] = ()
    """What was found in each attempt."""
    proof: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    asked: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """Model and server (host and port, "" for this process) to how many replies came from there, all attempts
    together."""
    wrote: tuple[str, ...] = ()
    """Models that wrote parts of an accepted edit."""
    foreign: tuple[Passage, ...] = ()
    """Long passages of an accepted edit that stand in nothing the model was shown."""
    files: tuple[Changed, ...] | None = ()
    """What its last edit changes; None where that cannot be told because the repository is not here."""

    @property
    def added(self) -> int:
        return sum(one.added for one in self.files or ())

    @property
    def deleted(self) -> int:
        return sum(one.deleted for one in self.files or ())

    @property
    def testing(self) -> float:
        """Seconds in which what the repository brings was run."""
        return sum(seconds for kind, seconds in self.judging.items() if kind in TESTING)


@dataclass(frozen=True, slots=True)
class Reading:
    """Where rows come from."""

    job: str
    plan: Plan
    store: Store
    prices: Prices
    asked: Asked

    def rows(self) -> Iterator[Row]:
        """Yield all shards of the plan."""
        requests = self.asked.latest()
        for part in self.plan.parts():
            yield from self._of(part.repos[0], part.planned.of(part.repos[0].name), requests)

    def _of(self, repo: Repo, shards: Sequence[Planned], requests: Mapping[Place, Request]) -> Iterator[Row]:
        keys = [one.shard.key for one in shards]
        outcomes, times, goes = self.store.outcomes(keys), self.store.times(keys), self.store.goes(keys)
        here = _here(repo)
        owned = owners_there(repo) if here else Owners()
        for one in shards:
            key, shard = one.shard.key, one.shard
            request = requests.get((repo.name, one.branch))
            who = owner_of(owned, shard.paths)
            known = outcomes.get(key, ())
            row = Row(
                job=self.job,
                repo=repo.name,
                shard=shard.name,
                key=key,
                commit=shard.commit,
                branch=one.branch,
                group=one.group if one.number == 1 else f"{one.group} ({one.number})",
                owner=owner_of_repo(repo.name) if who == NOBODY else who,
                kind="symbol" if shard.spans else "file" if len(shard.paths) == 1 else "files",
                status="waiting",
                dropped=self.asked.dropped.get(key, ""),
                goes=goes.get(key, 0),
                currency=self.prices.currency,
            )
            if not known:
                yield row
                continue
            if request and known[-1].status == "accepted" and not row.dropped:
                row = replace(row, request=request.url, state=request.state)
            yield self._done(row, repo, known, times.get(key, 0.0), here)

    def _done(self, row: Row, repo: Repo, outcomes: Sequence[Outcome], at: float, here: bool) -> Row:
        last = outcomes[-1]
        judge, why = _why(last)
        judging = _added(outcomes)
        read, written = (sum(one.tokens[side] for one in outcomes) for side in (0, 1))
        gpu = sum(one.gpu_seconds for one in outcomes)
        cached = sum(one.cached for one in outcomes)
        spent = Spent(read=read, written=written, gpu_seconds=gpu)
        verdict = last.verdicts[-1] if last.verdicts else None
        return replace(
            row,
            status=last.status,
            judge=judge,
            why=why,
            model=any((read, written, cached)),
            attempts=len(last.verdicts),
            seconds=sum(one.seconds for one in outcomes),
            read=read,
            written=written,
            cached=cached,
            waited=sum(one.waited for one in outcomes),
            gpu_seconds=gpu,
            judging=judging,
            cost=money(spent, self.prices, sum(judging.values())),
            at=at,
            purged=last.codeless or last.wordless,
            tried=tuple(one.findings for one in last.verdicts),
            proof=verdict.proof if verdict else (),
            notes=(*verdict.edit.notes, *map(foreign.told, verdict.edit.foreign)) if verdict else (),
            asked=_asked(outcomes),
            wrote=models_of(last.edit) if last.edit else (),
            foreign=last.edit.foreign if last.edit else (),
            files=_files(repo, last, here),
        )


def _here(repo: Repo) -> bool:
    """Say whether the repository, and that commit of it, is on this machine."""
    return Path(repo.mirror).is_dir() and has(Path(repo.mirror), repo.commit)


def owners_there(repo: Repo) -> Owners:
    """Return the CODEOWNERS of a repository, as far as they can be read."""
    try:
        return owners_at(repo)
    except GitError:
        return Owners()


def _files(repo: Repo, outcome: Outcome, here: bool) -> tuple[Changed, ...] | None:
    edit = outcome.verdicts[-1].edit if outcome.verdicts else None
    if edit is None or not edit.files:
        return ()
    if not here:
        return None
    try:
        return tuple(changed(Hidden.of(repo.base, outcome.shard, rules()), edit))
    except (GitError, Slow):
        return None


def _why(outcome: Outcome) -> tuple[str, str]:
    if outcome.error:
        return "failed", outcome.error
    if outcome.skipped:
        return "skipped", outcome.skipped
    if outcome.status != "rejected":
        return "", ""
    finding = outcome.verdicts[-1].findings[0]
    return finding.judge, finding.message


def _added(outcomes: Sequence[Outcome]) -> dict[str, float]:
    found: dict[str, float] = {}
    for outcome in outcomes:
        for kind, seconds in outcome.judging.items():
            found[kind] = found.get(kind, 0.0) + seconds
    return found


def _asked(outcomes: Sequence[Outcome]) -> Mapping[tuple[str, str], int]:
    edits = (edit for outcome in outcomes for verdict in outcome.verdicts for edit in verdict.edits)
    return Counter((reply.model, reply.server) for edit in edits for reply in edit.replies)
