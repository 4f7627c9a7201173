"""Takes a repository to a node that does not have it, as a git bundle."""

from __future__ import annotations

import fcntl
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from operators.data import Base
from operators.proc import git


def bundle(base: Base) -> bytes:
    """Return one commit and its history as a bundle. Raises GitError."""
    with tempfile.TemporaryDirectory(prefix="umbau-") as folder:
        ref = f"refs/umbau/{base.commit}"
        git(Path(base.mirror), "update-ref", ref, base.commit)
        git(Path(base.mirror), "bundle", "create", "--quiet", f"{folder}/bundle", ref)
        return (Path(folder) / "bundle").read_bytes()


def unbundled(base: Base, data: bytes) -> Base:
    """Return `base` with a mirror on this node, unpacked unless another process did it. Raises GitError."""
    mirrors = Path(tempfile.gettempdir()) / f"umbau-{os.getuid()}" / "mirrors"
    mirror = mirrors / Path(base.mirror).name
    mirrors.mkdir(parents=True, exist_ok=True)
    with mirror.with_suffix(".lock").open("w") as lock, tempfile.NamedTemporaryFile(dir=mirrors) as file:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ref = f"refs/umbau/{base.commit}"
        if not (mirror / "HEAD").exists():
            git(None, "init", "--quiet", "--bare", "--template=", "--", str(mirror))
        if not git(mirror, "for-each-ref", ref):
            file.write(data)
            file.flush()
            git(
                *(mirror, "-c", "protocol.file.allow=always", "-c", "fetch.unpackLimit=1"),
                *("fetch", "--quiet", "--no-tags", "--", file.name, f"+{ref}:{ref}"),
                env={"GIT_ALLOW_PROTOCOL": "file"},
            )
    return replace(base, mirror=str(mirror))
