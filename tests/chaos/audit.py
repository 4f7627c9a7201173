"""Looks at what is left when a job is over, whatever died on the way, and says what should not be so.

The invariants: every shard has one outcome, the one that an undisturbed run gives; every change has one merge request;
what the requests hold together is the sum of the accepted edits, each file in one of them; no branch but those of the
job is touched, and nothing that a person committed is lost; store and forge say the same; a secret stands nowhere.
"""

from __future__ import annotations

import base64
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from operators.data import Finding, Outcome
from pipelines.data import Plan
from pipelines.gather import Gathered
from pipelines.notes import Notes
from pipelines.store import Store, opened
from pipelines.store.packing import unzipped
from pipelines.store.tables import META

Shard = tuple[str, str]
"""Last part of its repository's name, and its own."""


@dataclass(frozen=True)
class Told:
    """What an outcome says, without what differs from run to run: seconds, and which replies were known."""

    status: str
    edits: tuple[Mapping[str, str | None], ...]
    """Of each attempt."""
    findings: tuple[tuple[Finding, ...], ...]
    error: str


@dataclass(frozen=True)
class Host:
    """A repository that people have, on the forge or where it is worked on."""

    name: str
    git: Path
    before: Mapping[str, str]
    """Refs and what they held before the job."""
    base: str
    """The branch that requests are for; "" where there are to be none, and nothing may change."""


@dataclass(frozen=True)
class Opened:
    """A merge request, in whatever state."""

    repo: str
    number: int
    branch: str
    digest: str
    state: str


@dataclass(frozen=True)
class Case:
    plan: Plan
    gathered: Gathered
    home: Path
    hosts: Sequence[Host]
    requests: Sequence[Opened]
    wanted: Mapping[Shard, Told]
    """What an undisturbed run gives."""
    secrets: Sequence[str] = ()
    artefacts: Sequence[Path] = ()
    """Files and folders in which no secret may stand."""
    people: Sequence[tuple[str, str, str]] = ()
    """Repository, branch, and a commit that a person pushed there."""


def audit(case: Case) -> list[str]:
    """Return what is wrong, in words; nothing when all is well."""
    with closing(opened(case.home)) as store:
        return [
            *_outcomes(case, store),
            *_requests(case),
            *_sums(case, store),
            *_refs(case),
            *_agreement(case, store),
            *_secrets(case, store),
        ]


def refs(git: Path) -> dict[str, str]:
    """Return all refs of a repository and what they hold."""
    lines = _git(git, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split(" ") for line in lines)


def told(plan: Plan, store: Store) -> dict[Shard, Told]:
    """Return what the last outcome of each shard says."""
    outcomes = store.outcomes([one.shard.key for one in plan.planned])
    return {
        (one.shard.repo.rpartition("/")[2], one.shard.name): _told(outcomes[one.shard.key][-1])
        for one in plan.planned
        if one.shard.key in outcomes
    }


def _told(outcome: Outcome) -> Told:
    edits = tuple(verdict.edit.files for verdict in outcome.verdicts)
    return Told(outcome.status, edits, tuple(verdict.findings for verdict in outcome.verdicts), outcome.error)


def _outcomes(case: Case, store: Store) -> Iterator[str]:
    """Every shard has one outcome, and it is the right one."""
    keys = {one.shard.key: f"{one.shard.repo} {one.shard.name}" for one in case.plan.planned}
    if len(keys) < len(case.plan.planned):
        yield "two shards of the plan have the same key"
    outcomes, goes = store.outcomes([*keys]), store.goes([*keys])
    for key, name in keys.items():
        statuses = [outcome.status for outcome in outcomes.get(key, [])]
        final = [status for status in statuses if status != "failed"]
        if statuses[-1:] == ["failed"] or len(final) != 1 + goes.get(key, 0):
            yield f"{name} has {len(final)} outcomes for {1 + goes.get(key, 0)} goes: {statuses}"
    for shard, one in told(case.plan, store).items():
        wanted = case.wanted.get(shard)
        if wanted is None:
            yield f"{' '.join(shard)} is no shard of the undisturbed run"
        elif one != wanted:
            yield f"{' '.join(shard)} came out otherwise than in the undisturbed run: {one.status}, not {wanted.status}"
    if len(case.wanted) != len(keys):
        yield f"there are {len(keys)} shards, in the undisturbed run {len(case.wanted)}"


def _requests(case: Case) -> Iterator[str]:
    """Every change has one request, and there is no other."""
    yield from (f"{repo} {branch}: its sum could not be judged: {why}" for (repo, branch), why in _troubles(case))
    counts = Counter((one.repo, one.branch) for one in case.requests)
    wanted = {(change.repo.name, change.branch): change for change in case.gathered.changes if change.whole}
    for place in wanted.keys() | counts.keys():
        due = int(place in wanted)
        if counts[place] != due:
            yield f"{' '.join(place)} has {counts[place]} merge requests, not {due}"
    for one in case.requests:
        change = wanted.get((one.repo, one.branch))
        if change and one.digest != change.digest:
            yield f"{one.repo} {one.branch}: the request says it holds {one.digest}, the change is {change.digest}"


def _troubles(case: Case) -> list[tuple[tuple[str, str], str]]:
    waiting = [(place, "nobody has yet") for place in case.gathered.waiting]
    return [*case.gathered.trouble.items(), *waiting]


def _sums(case: Case, store: Store) -> Iterator[str]:
    """What was pushed is the sum of what was accepted, each file in one request."""
    outcomes = store.outcomes([one.shard.key for one in case.plan.planned])
    dropped = {one.part.shard.key for change in case.gathered.changes for one in change.dropped}
    for host in (host for host in case.hosts if host.base):
        wanted: dict[str, str | None] = {}
        for key, found in outcomes.items():
            if found[-1].shard.repo == host.name and found[-1].status == "accepted" and key not in dropped:
                wanted |= found[-1].verdicts[-1].edit.files
        held: dict[str, str | None] = {}
        for one in {(one.repo, one.branch): one for one in case.requests if one.repo == host.name}.values():
            tip = refs(host.git).get(f"refs/heads/{one.branch}", "")
            if not tip:
                yield f"{host.name} {one.branch}: there is a request, and no branch"
                continue
            start = _git(host.git, "merge-base", tip, f"refs/heads/{host.base}")
            for path in _git(host.git, "diff", "--name-only", "-z", start, tip).split("\0")[:-1]:
                if path in held:
                    yield f"{host.name}: {path} is changed in two merge requests"
                held[path] = _text(host.git, tip, path)
        for path in sorted(wanted.keys() | held.keys()):
            if wanted.get(path, "untouched") != held.get(path, "untouched"):
                yield f"{host.name}: {path} was pushed otherwise than it was accepted"


def _text(git: Path, commit: str, path: str) -> str | None:
    with suppress(subprocess.CalledProcessError):
        return _git(git, "cat-file", "blob", f"{commit}:{path}", strip=False)
    return None


def _refs(case: Case) -> Iterator[str]:
    """Nothing but the job's own branches has moved, and what people pushed is still there."""
    prefix = "refs/heads/umbau/greet/"
    for host in case.hosts:
        now = {name: held for name, held in refs(host.git).items() if not name.startswith("refs/umbau/source/")}
        for name in sorted({*now, *host.before}):
            ours = host.base and name.startswith(prefix)
            if not ours and now.get(name) != host.before.get(name):
                yield f"{host.git}: {name} held {host.before.get(name)} and holds {now.get(name)}"
    gits = {host.name: host.git for host in case.hosts}
    for repo, branch, commit in case.people:
        try:
            _git(gits[repo], "merge-base", "--is-ancestor", commit, f"refs/heads/{branch}")
        except subprocess.CalledProcessError:
            yield f"{repo} {branch}: the commit {commit} of a person is lost"


def _agreement(case: Case, store: Store) -> Iterator[str]:
    """The store knows of each request what the forge says."""
    gits, theirs = {host.name: host.git for host in case.hosts if host.base}, {commit for _, _, commit in case.people}
    for one in case.requests:
        notes, tip = Notes(store, (one.repo, one.branch)), refs(gits[one.repo]).get(f"refs/heads/{one.branch}", "")
        last = notes.last()
        if tip in theirs:  # on top of what was pushed
            tip = _git(gits[one.repo], "rev-parse", f"{tip}^")
        if not last or last.head != tip:
            yield f"{one.repo} {one.branch}: holds {tip}, the store says {last and last.head}"
        if not notes.holds(one.digest):
            yield f"{one.repo} {one.branch}: the store knows of no push of {one.digest}"
    for repo, git in gits.items():
        known = {f"refs/heads/{one.branch}" for one in case.requests if one.repo == repo}
        for name in refs(git).keys() - known:
            if name.startswith("refs/heads/umbau/"):
                yield f"{repo}: the branch {name} belongs to no request"


def _secrets(case: Case, store: Store) -> Iterator[str]:
    """No secret stands in what was written, as it is or as HTTP has it."""
    needles = [form for secret in case.secrets for form in _forms(secret)]
    for table in META.sorted_tables:
        with store._database.engine.connect() as connection:
            for body in connection.scalars(select(table.c.body)) if "body" in table.c else ():
                text = body if isinstance(body, str) else unzipped(body)  # the audit log's are as they were hashed
                if any(needle in text.encode() for needle in needles):
                    yield f"the store: a row of {table.name} holds a secret"
    for file in (file for place in case.artefacts for file in _files(place)):
        with suppress(OSError):  # it may be gone by now
            data = file.read_bytes()
            if any(needle in data for needle in needles):
                yield f"{file} holds a secret"


def _forms(secret: str) -> Iterator[bytes]:
    yield secret.encode()
    for user in ("oauth2", "x-access-token"):
        yield base64.b64encode(f"{user}:{secret}".encode())


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
    for file in place.rglob("*") if place.is_dir() else ():
        with suppress(OSError):
            if file.is_file() and not file.is_symlink():
                yield file


def _git(git: Path, *args: str, strip: bool = True) -> str:
    done = subprocess.run(["git", f"--git-dir={git}", *args], capture_output=True, check=True)
    return done.stdout.decode().strip() if strip else done.stdout.decode()
