"""What a forge itself brought to another base: it stays what was stated, on another commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from operators.proc import GitError, git
from pipelines.data import Repo
from pipelines.evidence import materials, tree


def moved(told: dict[str, Any], digest: str, repo: Repo, commit: str) -> dict[str, Any] | None:
    """State of `commit`, which is in the mirror, what was stated of another; None when it is not the same change.
    `digest`: of that statement, `told`. Raises GitError."""
    mirror, definition = Path(repo.mirror), told["predicate"]["buildDefinition"]
    external, internal, details = definition["externalParameters"], definition["internalParameters"], told["predicate"]
    head = told["subject"][0]["digest"]["gitCommit"]
    base = git(mirror, "merge-base", repo.commit, commit).decode().strip()
    if _patch(mirror, external["base"], head) != _patch(mirror, base, commit):
        return None
    subjects, gone = tree.subjects(mirror, base, commit)
    said = tree.message(mirror, commit)
    invocation = {
        **details["runDetails"]["metadata"],
        "invocationId": f"{external['job']['name']}/{repo.name}/{external['branch']}@{commit}",
    }
    return {
        **told,
        "subject": [{**told["subject"][0], "digest": {"gitCommit": commit}}, *subjects],
        "predicate": {
            "buildDefinition": {
                **definition,
                "externalParameters": {**external, "base": base},
                "internalParameters": {
                    **internal,
                    "madeFor": internal.get("madeFor", external["base"]),
                    "moved": internal.get("moved", {"sha256": digest}),  # what the request links
                    "message": materials.hashed(said),
                    "trailers": {name: materials.hashed(text) for name, text in tree.trailers(said).items()},
                    "deletions": gone,
                },
                "resolvedDependencies": [
                    {**definition["resolvedDependencies"][0], "digest": {"gitCommit": base}},
                    *definition["resolvedDependencies"][1:],
                ],
            },
            "runDetails": {
                **details["runDetails"],
                "metadata": invocation,
                "byproducts": [tree.diff(mirror, base, commit)],
            },
        },
    }


def _patch(mirror: Path, base: str, commit: str) -> str:
    """Return what tells a change from another, wherever in its files it stands. Raises GitError."""
    diff = git(
        mirror, "diff-tree", "-r", "--patch", "--binary", "--full-index", "--no-renames", "--no-ext-diff", base, commit
    )
    found = git(mirror, "patch-id", "--stable", stdin=diff).decode().split()
    if not found:
        raise GitError(f"{commit} changes nothing")
    return found[0]
