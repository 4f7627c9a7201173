"""Bare repositories of Umbau's own: mirrors of what jobs are about, and the local forge's."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from operators.proc import GitError, git


def has(repo: Path, commit: str) -> bool:
    """Say whether a bare repository has a commit."""
    try:
        git(repo, "cat-file", "-e", f"{commit}^{{commit}}")
    except GitError:
        return False
    return True


def grown(repo: Path, commit: str, head: str) -> bool:
    """Say whether `head` has grown from a commit, as far as a bare repository has them."""
    try:
        git(repo, "merge-base", "--is-ancestor", commit, head)
    except GitError:
        return False
    return True


def bare(folder: Path, branch: str = "main", **settings: str) -> Path:
    """Return `folder`, made a bare repository unless it is one. It appears complete or not at all. Raises GitError.

    `settings`: configuration of the repository, with `_` for the dot.
    """
    if (folder / "HEAD").exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as new:
        made = Path(new) / "repo.git"
        git(None, "init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}", "--", str(made))
        for name, value in settings.items():
            git(made, "config", name.replace("_", "."), value)
        with suppress(OSError):  # another process was faster
            made.rename(folder)
    return folder
