"""Takes one commit of a repository to a node that does not have it: its files without its history."""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from stat import S_ISDIR

from operators.data import Base
from operators.proc import GitError, git
from pipelines.bare import bare, has


def bundle(base: Base) -> bytes:
    """Return the commit and its files as a git pack. Raises GitError."""
    mirror = Path(base.mirror)
    objects = git(mirror, "rev-list", "--objects", "--no-walk", base.commit)
    return git(mirror, "pack-objects", "--stdout", "--quiet", stdin=objects)


def unbundled(base: Base, data: bytes) -> Base:
    """Return `base` with a mirror on this node, unpacked unless another process did it. Raises GitError."""
    mirrors = _own(Path(tempfile.gettempdir()) / f"umbau-{os.getuid()}") / "mirrors"
    mirrors.mkdir(exist_ok=True)
    mirror = mirrors / Path(base.mirror).name
    with mirror.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        bare(mirror)
        if not has(mirror, base.commit):
            # The commit is named before it is there: without its history, git must know that none is to be looked for.
            with (mirror / "shallow").open("a") as shallow:
                shallow.write(f"{base.commit}\n")
            git(mirror, "index-pack", "--stdin", stdin=data)
    return replace(base, mirror=str(mirror))


def _own(folder: Path) -> Path:
    """Return a folder of ours below one that everybody may write to. Raises GitError when somebody else was there."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022 or not S_ISDIR(found.st_mode):
        raise GitError(f"{folder} can be written to by others: remove it")
    return folder
