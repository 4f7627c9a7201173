"""States, signs and keeps what speaks for merge requests, each once, as they are pushed and merged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from operators.data import Base
from operators.proc import GitError
from pipelines.data import Change
from pipelines.evidence.envelope import broken, read, sealed
from pipelines.evidence.keys import Signer, signer
from pipelines.evidence.moved import moved
from pipelines.evidence.statement import Known, Source, merged, provenance, said
from pipelines.forge import Description, Forge, ForgeError, Request
from pipelines.job import Job
from pipelines.masking import masked_all
from pipelines.store import Store
from pipelines.store.evidence import STATED, Kind, Stated
from pipelines.work import facts_name, kit_of, needs_preparing


@dataclass(frozen=True, slots=True)
class Notary:
    """What is needed to speak for the changes of a job. The key is read when there is something to sign."""

    source: Source
    file: Path
    """The job file, so that the job can be found again; what stands in it is kept as well."""
    store: Store
    home: Path
    key_from: str
    """The environment variable with the path of the key."""
    chain: Callable[[Store], str] = lambda store: ""
    """Returns the head of the audit log."""

    def ready(self) -> None:
        """Raise Refused when nothing could be signed."""
        self._signer()

    def spoken(self, change: Change, head: str, text: Description) -> Description:
        """Return what a request says of itself with the link to what is stated of `head`, which is stated first unless
        it was before. Raises GitError, Refused."""
        known = self._of(change, head) or self._stated(change, head)
        return self._linked(change, known, text)

    def linked(self, change: Change, head: str, text: Description) -> Description:
        """Likewise for what was pushed before, perhaps by an Umbau that stated nothing."""
        known = self._of(change, head)
        return self._linked(change, known, text) if known else text

    def follows(self, forge: Forge, change: Change, request: Request) -> None:
        """State of what the forge itself brought to another base what was stated of it before. What cannot be looked
        at is left for the next tick, and is no reason to do nothing else. Raises Refused."""
        place = request.repo, request.branch
        known = [one for one in self.store.evidence.of(*place) if one.kind == "change"]
        if request.touched or not known or not request.head or any(one.head == request.head for one in known):
            return
        last, told = known[-1], None
        if (before := read(last.envelope)).digest != last.digest or broken(before, [self._signer().public]):
            return  # what was tampered with, or another key signed, is not signed again
        with suppress(GitError, ForgeError):
            if forge.fetch(request, change.repo) == request.head:  # else it moves meanwhile
                told = moved(before.statement(), last.digest, change.repo, request.head)
        if told:
            self._keep("change", place, request.head, told)

    def merges(self, requests: Iterable[Request]) -> None:
        """State what was merged, and who approved it; of requests that are open remember the latter."""
        job = self.source.job.name
        found = [one for one in requests if one.state == "merged" or one.approvers]
        if not found:
            return
        changes, done = self.store.evidence.latest(job, "change"), self.store.evidence.latest(job, "merged")
        for one in found:
            place, name = (one.repo, one.branch), f"approvers {one.repo}/{one.branch}"
            if place in done or place not in changes:
                continue
            if one.state != "merged":
                if self.store.recall(name) != list(one.approvers):
                    self.store.remember(name, list(one.approvers))
                continue
            by = one.approvers or self.store.recall(name) or ()
            own = [each for each in self.store.evidence.of(*place, head=one.head) if each.kind == "change"]
            digest, head = own[-1].digest if own else changes[place][0], one.head or changes[place][1]
            told = merged(place, head, one.merged, digest, by, one.url, one.ended)
            self._keep("merged", place, one.merged or head, told)

    def _of(self, change: Change, head: str) -> Stated | None:
        known = self.store.evidence.of(change.repo.name, change.branch, head)
        return next((one for one in known if one.kind == "change"), None)

    def _stated(self, change: Change, head: str) -> Stated:
        keys = [part.shard.key for part in change.parts]
        known = Known(self.store.evidence.goes(keys), self._facts(change.repo.base), self.chain(self.store))
        told = provenance(self.source, change, head, known)
        spec = spec_of(self.source.job, self.file)
        if masked_all(spec) == spec:  # else it would be another job: whoever verifies gives its file
            self.store.keep(spec_name(self.source.digest), spec)
        return self._keep("change", (change.repo.name, change.branch), head, told)

    def _keep(self, kind: Kind, place: tuple[str, str], head: str, told: dict[str, Any]) -> Stated:
        envelope = sealed(told, self._signer())
        stated = Stated(self.source.job.name, kind, *place, head, envelope.digest, envelope.json())
        self.store.evidence.keep(stated)
        return stated

    def _facts(self, base: Base) -> dict[str, Any]:
        """Return what checks saw on the untouched commit."""
        kit = kit_of(self.source.job, self.source.recipe, [base])
        known = self.store.fact(facts_name(kit, kit.bases[base.repo])) if needs_preparing(kit) else None
        return known or {}

    def _signer(self) -> Signer:
        return signer(self.home, self.key_from)

    def _linked(self, change: Change, stated: Stated, text: Description) -> Description:
        how = f"`umbau verify {change.repo.name}@{change.branch}`"
        return replace(text, body=f"{text.body.rstrip()}\n\nEvidence: `sha256:{stated.digest}`; {how}\n")


def spec_name(digest: str) -> str:
    """Return what a job is kept by, of which something was stated."""
    return f"{STATED}{digest}"


def spec_of(job: Job, file: Path) -> dict[str, Any]:
    return {"spec": said(job), "file": str(file.absolute())}


def job_of(kept: Any) -> tuple[Job, Path]:
    """Return a job as it was when something was stated of it, and its file."""
    return Job.model_validate(kept["spec"]), Path(kept["file"])
