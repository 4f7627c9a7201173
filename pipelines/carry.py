"""Puts what a person pushed on top of what Umbau pushes."""

from __future__ import annotations

from pathlib import Path

from operators.proc import GitError, git
from pipelines.commit import checked, person
from pipelines.data import Repo


def carried(repo: Repo, ours: str, theirs: str, new: str) -> str | None:
    """Return a commit on top of `new` with what `theirs` holds beyond `ours`; None when they do not go together."""
    mirror = Path(repo.mirror)
    try:
        out = git(mirror, "merge-tree", "--write-tree", f"--merge-base={ours}", new, theirs)
    except GitError:
        return None
    tree = checked(out.split(b"\n")[0])
    date = git(mirror, "show", "--no-patch", "--format=%ct", theirs).decode().strip()
    message = git(mirror, "show", "--no-patch", "--format=%B", theirs)
    return checked(git(mirror, "commit-tree", tree, "-p", new, "-F", "-", stdin=message, env=person(date)))
