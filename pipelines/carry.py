"""Puts what a person pushed on top of what Umbau pushes."""

from __future__ import annotations

from pathlib import Path

from operators.proc import GitError, git
from pipelines.commit import checked, person
from pipelines.data import Repo


def carried(repo: Repo, ours: str, theirs: str, new: str) -> str | None:
    """Return a commit on top of `new` with what `theirs` holds beyond `ours`; None when they do not go together."""
    mirror = Path(repo.mirror)
    date = git(mirror, "show", "--no-patch", "--format=%ct", theirs).decode().strip()
    message = git(mirror, "show", "--no-patch", "--format=%B", theirs)

    def made(tree: str, *parents: str) -> str:
        words = [word for parent in parents for word in ("-p", parent)]
        return checked(git(mirror, "commit-tree", tree, *words, "-F", "-", stdin=message, env=person(date)))

    base = made(f"{ours}^{{tree}}")  # as if both had grown from it, wherever they stand
    try:
        sides = (made(f"{new}^{{tree}}", base), made(f"{theirs}^{{tree}}", base))
        out = git(mirror, "merge-tree", "--write-tree", *sides)
    except GitError:
        return None
    return made(checked(out.split(b"\n")[0]), new)
