"""Takes one commit of a repository to a node that does not have it: its files without its history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from operators.data import Base
from operators.folders import alone, private
from operators.proc import git
from pipelines.bare import bare, has


def bundle(base: Base) -> bytes:
    """Return the commit and its files as a git pack. Raises GitError."""
    mirror = Path(base.mirror)
    objects = git(mirror, "rev-list", "--objects", "--no-walk", base.commit)
    return git(mirror, "pack-objects", "--stdout", "--quiet", stdin=objects)


def unbundled(base: Base, fetched: Callable[[], bytes]) -> Base:
    """Return `base` with a mirror on this node. What `bundle` gave is fetched and unpacked unless it is there. Raises
    GitError, NotOurs, and what `fetched` raises."""
    mirror = private() / "mirrors" / Path(base.mirror).name
    with alone(mirror.with_suffix(".lock")):
        bare(mirror)
        if not has(mirror, base.commit):
            data = fetched()
            # The commit is named before it is there: without its history, git must know that none is to be looked for.
            with (mirror / "shallow").open("a") as shallow:
                shallow.write(f"{base.commit}\n")
            git(mirror, "index-pack", "--stdin", stdin=data)
    return replace(base, mirror=str(mirror))
