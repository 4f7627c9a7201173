"""What is stated of a merge request: an in-toto Statement v1 with the provenance of SLSA v1.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md and https://slsa.dev/spec/v1.0/provenance, whose
names are kept to the letter. Digests only: no code, no prompt, no reply, no message is in it. It is made from what the
store and git hold, so that it is the same whenever it is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operators.data import Asked, Outcome, Verdict
from pipelines.data import Change, Recipe, digest
from pipelines.evidence import materials, tree
from pipelines.job import Job
from pipelines.moments import iso

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
# `.invalid` is nobody's domain, so that nobody can come to own these names; they tell kinds apart, and lead nowhere.
BUILD = "https://umbau.invalid/change/v2"
FILLED = "https://umbau.invalid/change/v1"
"""Of older statements: their digest of the job is of its defaults as well, of which another Umbau may have others."""
BUILDER = "https://umbau.invalid/builder"
MERGED = "https://umbau.invalid/merged/v1"


@dataclass(frozen=True, slots=True)
class Source:
    """What a job's changes come from."""

    job: Job
    recipe: Recipe
    home: str
    """Folder of the job file."""

    @property
    def digest(self) -> str:
        return digest(said(self.job))


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a change besides itself."""

    goes: Mapping[str, int]
    """How often each of its shards was opened again before its edit came."""
    facts: Mapping[str, Any]
    """What checks saw on the untouched commit, by the check's own name."""
    chain: str
    """Head of the audit log as it is signed; "" when there is none."""


def said(job: Job) -> Any:
    """Return what a job file says, as JSON: without defaults, so that it is the same to each version of Umbau. The
    digest of a job is of that."""
    return job.model_dump(mode="json", exclude_unset=True)


def provenance(source: Source, change: Change, head: str, known: Known) -> dict[str, Any]:
    """State how the commit `head`, which is in the mirror, came about. Raises GitError."""
    repo, mirror = change.repo, Path(change.repo.mirror)
    files, gone = tree.subjects(mirror, repo.commit, head)
    asked = [one for part in change.parts for verdict in part.verdicts for one in _asked(verdict)]
    served: dict[str, set[str]] = {}
    for one in asked:
        served.setdefault(one.revision, set()).update({one.served} - {""})
    definition = {
        "buildType": BUILD,
        "externalParameters": _external(source, change),
        "internalParameters": {
            **_internal(source, change, known),
            "message": materials.hashed(message := tree.message(mirror, head)),
            "trailers": {name: materials.hashed(said) for name, said in tree.trailers(message).items()},
            "deletions": gone,
        },
        "resolvedDependencies": materials.dependencies(source.job, source.recipe, repo, source.home, served),
    }
    return {
        "_type": STATEMENT,
        "subject": [{"name": f"{repo.name}@{change.branch}", "digest": {"gitCommit": head}}, *files],
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": definition,
            "runDetails": {
                "builder": {"id": BUILDER, "version": materials.versions()},
                "metadata": {"invocationId": f"{change.job}/{repo.name}/{change.branch}@{head}", **_times(change)},
                "byproducts": [tree.diff(mirror, repo.commit, head)],
            },
        },
    }


def _external(source: Source, change: Change) -> dict[str, Any]:
    return {
        "job": {"name": change.job, "digest": {"sha256": source.digest}},
        "kind": "migration" if change.parts else "guard" if change.about else "revert",
        "repo": change.repo.name,
        "base": change.repo.commit,
        "target": change.repo.branch,
        "branch": change.branch,
        "shards": [part.shard.key for part in change.parts],
    }


def _internal(source: Source, change: Change, known: Known) -> dict[str, Any]:
    job, recipe = source.job, source.recipe
    told = [line for part in change.parts for verdict in part.verdicts[-1:] for line in verdict.proof]
    sandboxes = {line.removeprefix("sandbox: ") for line in (*told, *change.proof) if line.startswith("sandbox: ")}
    return {
        "change": change.digest,
        "fingerprint": recipe.fingerprint,
        "steps": materials.steps(job, recipe, source.home) if change.parts else [],
        "checks": materials.checks(recipe.checks),
        "final": materials.checks(recipe.final),
        "parts": [part_of(part, known.goes.get(part.shard.key, 0)) for part in change.parts],
        "leftOut": [one.part.shard.key for one in change.dropped],
        "whole": {"proof": {"sha256": digest(list(change.proof))}, "coverage": coverage(change)},
        "baseline": [_baseline(name, fact) for name, fact in sorted(known.facts.items())],
        "environment": {"sha256": digest(job.environment and job.environment.model_dump(mode="json"))},
        "sandbox": {"asked": job.sandbox, "inForce": sorted(sandboxes)},
        "limits": {"attempts": job.attempts, "budget": {"sha256": digest(job.budget.model_dump(mode="json"))}},
        "audit": known.chain,
    }


def part_of(part: Outcome, go: int) -> dict[str, Any]:
    """Tell by what attempts the edit of a shard came about."""
    return {
        "shard": part.shard.key,
        "go": go,
        "paths": list(part.shard.paths),
        "attempts": [attempt(one) for one in part.verdicts],
    }


def attempt(verdict: Verdict) -> dict[str, Any]:
    """Tell an edit and what was found in it."""
    edit = verdict.edit
    spoke = bool(edit.said or edit.tokens_in or edit.cached)
    told: dict[str, Any] = {
        "edit": edit_digest(verdict),
        "passed": verdict.passed,
        "findings": dict(Counter(finding.judge for finding in verdict.findings)),
        "checks": [{"check": one.kind, "findings": one.findings} for one in verdict.timed],
        "proof": digest(list(verdict.proof)),
        "asked": [_question(one) for one in edit.asked] if edit.asked or not spoke else materials.UNKNOWN,
    }
    return {**told, "evidence": [attempt(one) for one in verdict.evidence]} if verdict.evidence else told


def edit_digest(verdict: Verdict) -> str:
    """Return the SHA-256, in hex, of path and text of each file of an edit, as JSON."""
    return digest(sorted(verdict.edit.files.items()))


def coverage(change: Change) -> dict[str, int]:
    """Count the changed statements, those that a passing test executes, and those that only a generated one does."""
    return {
        "statements": sum(len(one.statements) for one in change.covered),
        "executed": sum(len(one.statements) - len(one.missed) for one in change.covered),
        "generated": sum(len(one.generated) for one in change.covered),
    }


def _question(one: Asked) -> dict[str, Any]:
    drawn = {"temperature": one.drawn.temperature, "seed": one.drawn.seed} if one.drawn else materials.UNKNOWN
    return {
        "prompt": {"sha256": one.prompt},
        "reply": {"sha256": one.reply},
        "model": one.revision,
        "served": one.served or materials.UNKNOWN,
        "attempt": one.attempt,
        "sampling": drawn,
        "known": one.cached,
    }


def _asked(verdict: Verdict) -> Iterable[Asked]:
    return (one for edit in verdict.edits for one in edit.asked)


def _baseline(name: str, fact: Any) -> dict[str, Any]:
    """Tell what a check saw on the untouched commit: how many tests ended how, where it tells them apart."""
    results = fact.get("results") if isinstance(fact, Mapping) else None
    ended = {"results": dict(Counter(map(str, results.values())))} if isinstance(results, Mapping) else {}
    code = {"code": fact["code"]} if isinstance(fact, Mapping) and isinstance(fact.get("code"), int) else {}
    return {"command": materials.hashed(name), "sha256": digest(fact), **ended, **code}


def _times(change: Change) -> dict[str, str]:
    """Return when the work on a change began and ended, as far as that was noted."""
    starts = [part.start for part in change.parts if part.start]
    ends = [part.start + part.seconds for part in change.parts if part.start]
    return {"startedOn": iso(min(starts)), "finishedOn": iso(max(ends))} if starts else {}


def merged(
    place: tuple[str, str], head: str, commit: str, continues: str, approvers: Sequence[str], request: str, at: float
) -> dict[str, Any]:
    """State that `head` was merged. `commit`: with which it got into its target, "" when the forge does not say.
    `continues`: digest of the statement on how it came about. `at`: seconds since 1970, 0 when that is not known."""
    repo, branch = place
    return {
        "_type": STATEMENT,
        "subject": [{"name": repo, "digest": {"gitCommit": commit or head}}],
        "predicateType": MERGED,
        "predicate": {
            "continues": {"sha256": continues},
            "repo": repo,
            "branch": branch,
            "head": {"gitCommit": head},
            "commit": {"gitCommit": commit} if commit else materials.UNKNOWN,
            "approvedBy": list(approvers) or materials.UNKNOWN,
            "request": request,
            **({"mergedOn": iso(at)} if at else {}),
        },
    }
