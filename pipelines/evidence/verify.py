"""Whether what is stated of a request is true: of the signature, of what the branch holds, of the job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operators.proc import GitError
from pipelines.bare import grown
from pipelines.data import Repo, digest
from pipelines.evidence import materials, tree
from pipelines.evidence.envelope import Envelope, broken, signers
from pipelines.evidence.keys import Public
from pipelines.evidence.rows import Row, listed, row
from pipelines.evidence.statement import FILLED, MERGED, PROVENANCE, STATEMENT, said
from pipelines.job import Job
from pipelines.printed import counted
from pipelines.store.evidence import Stated

KINDS = {"change": PROVENANCE, "merged": MERGED}


@dataclass(frozen=True, slots=True)
class Held:
    """What a request stands at."""

    repo: Repo
    now: str
    """The commit that its branch holds."""
    body: str | None
    """What the request says of itself; None when that is not known, or does not matter."""
    gone: str = ""
    """Why its branch cannot be fetched, once it is over: then `now` is what the mirror has of it."""


def signature_row(envelope: Envelope, keys: Sequence[Public]) -> Row:
    """Say whether the signature is good, and whose it is."""
    by = ", ".join(f"{key.fingerprint}, {key.whose}" for key in signers(envelope, keys))
    return row("signature", broken(envelope, keys), by)


def sealed_rows(envelope: Envelope, stated: Stated, keys: Sequence[Public]) -> Iterator[Row]:
    """Yield whether the signature is good, and whether it is the statement that was kept for this; what it says is not
    read unless it is."""
    yield signature_row(envelope, keys)
    wrong = "" if envelope.digest == stated.digest else f"it is sha256:{envelope.digest}, and not {stated.digest}"
    yield row("statement", wrong, f"sha256:{envelope.digest}")
    if wrong:
        return
    told = envelope.statement()
    what, about, head = [told.get("_type"), told.get("predicateType")], _about(told), _head(told)
    wrong = "" if what == [STATEMENT, KINDS[stated.kind]] else f"it is another kind of statement: {what}"
    wrong = wrong or ("" if about == (stated.repo, stated.branch) else f"it is of another request: {'@'.join(about)}")
    wrong = wrong or ("" if head == stated.head else f"it is of another commit: {head}")
    yield row("subject", wrong, f"{stated.repo}@{stated.branch}, commit {stated.head}")


def link_row(body: str | None, envelope: Envelope) -> Row:
    """Say whether the request links this statement, or the one that it says once more of a commit of the forge's.
    `body`: what it says, None when that is not known."""
    if body is None:
        return Row("link", "cannot be checked", "the request's text is not asked for")
    internal = envelope.statement()["predicate"]["buildDefinition"]["internalParameters"]
    linked = internal.get("moved", {}).get("sha256", envelope.digest)
    return row("link", "" if f"sha256:{linked}" in body else "the request links another statement", f"sha256:{linked}")


def held_rows(told: Mapping[str, Any], held: Held) -> Iterator[Row]:
    """Yield whether what a branch holds, which is in the mirror, is what is stated."""
    mirror, now, external = Path(held.repo.mirror), held.now, told["predicate"]["buildDefinition"]["externalParameters"]
    internal = told["predicate"]["buildDefinition"]["internalParameters"]
    seen = f"{now}, as the mirror has it; the branch cannot be looked at: {held.gone}" if held.gone else now
    yield row("commit", "" if now == _head(told) else f"the branch holds {now}, and not {_head(told)}", seen)
    base = str(external["base"])
    yield row("base", "" if grown(mirror, base, now) else f"what the branch holds has not grown from {base}", base)
    try:
        yield _files(told, internal, mirror, base, now)
        same = [tree.diff(mirror, base, now)] == told["predicate"]["runDetails"]["byproducts"]
        yield row("diff", "" if same else "it is another diff")
    except GitError as why:
        yield Row("files", "cannot be checked", str(why))
    message = tree.message(mirror, now)
    yield row("message", "" if materials.hashed(message) == internal["message"] else "the commit says something else")
    there = {name: materials.hashed(said) for name, said in tree.trailers(message).items()}
    odd = sorted(name for name in {*there, *internal["trailers"]} if there.get(name) != internal["trailers"].get(name))
    yield row("trailers", listed(odd), listed(sorted(there)))


def _files(told: Mapping[str, Any], internal: Mapping[str, Any], mirror: Path, base: str, now: str) -> Row:
    """Hold what the branch changes against what is stated."""
    held = {one.path: one.blob for one in tree.changed(mirror, base, now)}
    stated = {one["name"]: one["digest"] for one in told["subject"][1:]}
    sums = tree.hashes(mirror, [blob for blob in held.values() if blob])
    gone = {one["name"] for one in internal["deletions"]}
    wrong = [path for path in stated.keys() | gone if path not in held]
    for path, blob in held.items():
        own = stated.get(path, {})
        same = path in gone if not blob else (own.get("gitBlob"), own.get("sha256")) == (blob, sums[blob])
        wrong += [] if same else [path]
    return row("files", listed(sorted(wrong)), f"{counted(len(held), 'file')}, by git's names and SHA-256")


def job_row(told: Mapping[str, Any], job: Job | None, given: bool) -> Row:
    """Say whether the job is the one that it was made by."""
    definition = told["predicate"]["buildDefinition"]
    own, filled = definition["externalParameters"]["job"], definition["buildType"] == FILLED
    if job is None:
        return Row("job", "cannot be checked", "it is not kept here: give its file, --job FILE")
    if digest(job.model_dump(mode="json") if filled else said(job)) == own["digest"]["sha256"]:
        return Row("job", "holds", f"{own['name']}, sha256:{own['digest']['sha256']}")
    if filled and not given:
        return Row("job", "cannot be checked", "another version of Umbau made it, or the job as it is kept was changed")
    where = "the job that was given" if given else "the job as it is kept"
    return Row("job", "differs", f"{where} says something else than {own['name']} did")


def merged_row(told: Mapping[str, Any], change: Stated, target: Held | str) -> Row:
    """Say whether a statement about a merge goes on from another, and whether the target has got it. `target`: what
    that holds, or why nobody knows."""
    predicate = told["predicate"]
    wrong = "" if predicate["continues"]["sha256"] == change.digest else "it goes on from another statement"
    head = predicate["head"]["gitCommit"]
    wrong = wrong or ("" if head == change.head else f"the branch held {head} when it was merged")
    if wrong:
        return Row("merge", "differs", wrong)
    by, commit = predicate["approvedBy"], predicate["commit"]
    stated = f"stated to be approved by {', '.join(by)}" if isinstance(by, list) else "no approval is stated"
    if commit == materials.UNKNOWN:
        target = "the forge did not tell with which commit it was merged"
    if isinstance(target, str):
        return Row("merge", "cannot be checked", f"{target}; {stated}")
    mirror, name, made = Path(target.repo.mirror), target.repo.branch, commit["gitCommit"]
    if grown(mirror, made, target.now):
        return Row("merge", "holds", f"{name} has got {made}; {stated}")
    if tree.shallow(mirror):
        return Row("merge", "cannot be checked", f"the history of {name} is not whole here; {stated}")
    return Row("merge", "differs", f"{name}, which holds {target.now}, has not got {made}")


def _about(told: Mapping[str, Any]) -> tuple[str, str]:
    predicate = told["predicate"]
    own = predicate.get("buildDefinition", {}).get("externalParameters") or predicate
    return str(own.get("repo")), str(own.get("branch"))


def _head(told: Mapping[str, Any]) -> str:
    return str(told["subject"][0]["digest"].get("gitCommit"))
