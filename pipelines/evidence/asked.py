"""All that is looked at when somebody has a request, a commit or a file verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from operators.proc import GitError
from pipelines.bare import has
from pipelines.data import Repo
from pipelines.errors import Refused
from pipelines.evidence.envelope import Envelope, read
from pipelines.evidence.keys import Public
from pipelines.evidence.notary import job_of, spec_name
from pipelines.evidence.replay import replay
from pipelines.evidence.rows import Row
from pipelines.evidence.statement import PROVENANCE, Source
from pipelines.evidence.verify import Held, held_rows, job_row, link_row, merged_row, sealed_rows, signature_row
from pipelines.forge import Forge, ForgeError, Request
from pipelines.forges.record import read as read_record
from pipelines.job import Job
from pipelines.recipe import recipe
from pipelines.session import entered, forge_of
from pipelines.store import Store
from pipelines.store.evidence import Stated


@dataclass(frozen=True, slots=True)
class Verified:
    about: str
    digest: str
    """SHA-256 of the statement."""
    rows: tuple[Row, ...]
    envelope: str
    """JSON."""

    @property
    def good(self) -> bool:
        return all(one.state != "differs" for one in self.rows)


@dataclass(frozen=True, slots=True)
class Look:
    """What verifying looks with."""

    store: Store
    home: Path
    keys: Sequence[Public]
    job: tuple[Job, Path] | None = None
    """The job and its file, where they are given."""
    replays: bool = True

    def verified(self, about: str, stated: Sequence[Stated], exact: bool) -> Verified:
        """Look at a request of which something was stated, oldest first; with `exact` at the very commit that the last
        is about, whatever the branch holds by now."""
        place = stated[-1].repo, stated[-1].branch
        changes = [one for one in stated if one.kind == "change"]
        # Of a merge alone, where somebody asks about the commit that it made.
        changes = changes or [one for one in self.store.evidence.of(*place) if one.kind == "change"]
        if not changes:
            raise Refused(f"{about}: the statement on how it came about is not here any more")
        last = changes[-1]
        held = self._held(last, _asked)
        if isinstance(held, Held) and held.now != last.head and exact:
            if not has(Path(held.repo.mirror), last.head):
                held = f"{last.head} is not here any more, and {'@'.join(place)} holds another commit"
            else:
                about, held = f"{about}; {'@'.join(place)} holds another now", replace(held, now=last.head, body=None)
        elif isinstance(held, Held) and held.now != last.head:  # an older one may speak for it
            last = next((one for one in self.store.evidence.of(*place, held.now) if one.kind == "change"), last)
        envelope = read(last.envelope)
        rows = self._rows([*sealed_rows(envelope, last, self.keys)], envelope, last, held)
        for one in self.store.evidence.of(*place):
            rows += self._merged(one, last) if one.kind == "merged" else ()
        return Verified(about, last.digest, tuple(rows), last.envelope)

    def file(self, name: str, data: bytes) -> Verified:
        """Look at an envelope that lies in a file, by all that is known of its request here."""
        envelope = read(data)
        rows = [signature_row(envelope, self.keys)]
        told = envelope.statement() if rows[0].state == "holds" else {}
        if told.get("predicateType") == PROVENANCE:
            external = told["predicate"]["buildDefinition"]["externalParameters"]
            place, head = (external["repo"], external["branch"]), told["subject"][0]["digest"]["gitCommit"]
            own = Stated(external["job"]["name"], "change", *place, head, envelope.digest, envelope.json())
            kept = [one for one in self.store.evidence.of(*place, head) if one.digest == own.digest]
            unkept = [*rows, Row("statement", "cannot be checked", "it is not kept here")]
            sealed = [*sealed_rows(envelope, kept[0], self.keys)] if kept else unkept
            rows = self._rows(sealed, envelope, own, self._held(own, _asked))
        return Verified(name, envelope.digest, tuple(rows), envelope.json())

    def _rows(self, sealed: Sequence[Row], envelope: Envelope, stated: Stated, held: Held | str) -> list[Row]:
        """Return what is said of a statement. `sealed`: whether it can be believed."""
        rows = [*sealed]
        if any(one.state == "differs" for one in rows):
            return rows  # what it says is not to be believed
        told, job = envelope.statement(), self._job(stated)
        if isinstance(held, str):
            return [*rows, Row("commit", "cannot be checked", held), job_row(told, job and job[0], bool(self.job))]
        rows.append(link_row(held.body, envelope))
        rows += held_rows(told, held)
        rows.append(job_row(told, job and job[0], bool(self.job)))
        if not (self.replays and job):
            return rows
        try:
            source = Source(job[0], recipe(*job), str(job[1].resolve().parent))
        except Refused as why:
            return [*rows, Row("replay", "cannot be replayed", f"the job cannot be built: {str(why).splitlines()[0]}")]
        return [*rows, *replay(source, held.repo, self.store, told)]

    def _job(self, stated: Stated) -> tuple[Job, Path] | None:
        """Return the job that was given, or else the one that something was stated of."""
        if self.job:
            return self.job
        try:
            definition = read(stated.envelope).statement()["predicate"]["buildDefinition"]
            kept = self.store.fact(spec_name(str(definition["externalParameters"]["job"]["digest"]["sha256"])))
        except (Refused, LookupError, TypeError):  # it was tampered with, which the rows tell
            return None
        try:
            return job_of(kept) if kept else None
        except ValueError:  # an Umbau wrote it that knew other jobs
            return None

    def _held(self, stated: Stated, asked: Callable[[Forge, Repo, Stated], Held]) -> Held | str:
        """Return what a branch holds, which is in the mirror then, or why nobody knows. `asked`: asks the forge."""
        plan, job = self.store.plan(stated.job), self._job(stated)
        repo = next((one for one in plan.repos if one.name == stated.repo), None) if plan else None
        if repo is None or not Path(repo.mirror).exists():
            return f"{stated.repo} is not on this machine: umbau plan {stated.job}"
        if job is None:
            return "the job is not kept here, so that nobody knows its forge: give its file, --job FILE"
        try:
            forge, _ = forge_of(job[0].forge, entered(job[0]), self.store, self.home)
            return asked(forge, repo, stated)
        except (ForgeError, GitError, Refused) as why:
            return str(why).splitlines()[0]

    def _merged(self, one: Stated, change: Stated) -> Iterator[Row]:
        envelope = read(one.envelope)
        rows = [*sealed_rows(envelope, one, self.keys)]
        yield from (replace(each, what=f"merge {each.what}") for each in rows)
        if all(each.state == "holds" for each in rows):
            yield merged_row(envelope.statement(), change, self._held(change, _target))


def _asked(forge: Forge, repo: Repo, stated: Stated) -> Held:
    found = [one for one in forge.requests(stated.branch, [repo]) if one.branch == stated.branch]
    request = found[0] if found else Request(repo.name, stated.branch, "", "branch", "")
    try:
        return Held(repo, forge.fetch(request, repo), _body(request))
    except (ForgeError, GitError) as why:
        now = request.head or stated.head
        over = request.state in {"merged", "closed"}  # only then a branch may well be deleted
        if not over or not has(Path(repo.mirror), now):
            raise
        return Held(repo, now, _body(request), f"it is {request.state}, and {str(why).splitlines()[0]}")


def _target(forge: Forge, repo: Repo, stated: Stated) -> Held:
    return Held(repo, forge.fetch(Request(repo.name, repo.branch, "", "branch", ""), repo), None)


def _body(request: Request) -> str | None:
    """Return what a request of the local forge says of itself, None of any other."""
    record = Path(request.url).with_suffix(".json") if request.url and "://" not in request.url else None
    return read_record(record).body if record and record.is_file() else None
