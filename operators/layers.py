"""Edits and changes as layers of the kernel's overlay file system: what lies over a checkout that is shared.

In a layer a file that is gone is a character device 0:0; a folder that hides the one below has an attribute.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePosixPath
from stat import S_IFCHR, S_IRUSR, S_IRWXU, S_ISCHR, S_ISDIR, S_ISREG

from operators.box import read
from operators.checkout import NotAFile, by_product
from operators.stage import own

LARGEST = 256 << 20  # bytes of all files that a command changed
_OPAQUE = "user.overlay.opaque"


def lay(layer: Path, base: Path, files: Mapping[str, bytes | None]) -> None:
    """Write `files` (None: not there) as a layer over the checkout `base`. Raises ValueError for a path that leads out
    of it."""
    own(layer)
    for path, data in files.items():
        if path.startswith("/") or ".." in path.split("/"):
            raise ValueError(f"{path!r} is no path within the checkout")
        target, below = layer / path, base / path
        if data is None and not below.exists():
            continue
        _folders(target.parent)
        if data is None:
            os.mknod(target, S_IFCHR)
            continue
        target.write_bytes(data)
        target.chmod(0o755 if below.is_file() and below.stat().st_mode & 0o100 else 0o644)
        own(target)


def _folders(folder: Path) -> None:
    if not folder.exists():
        _folders(folder.parent)
        folder.mkdir()
        folder.chmod(0o755)
        own(folder)


def changed(layer: Path, below: Collection[str]) -> dict[str, bytes | None]:
    """Return what a layer changes in the files `below` it (None: gone), caches left out. Raises NotAFile."""
    found: dict[str, bytes | None] = {}
    left, folders = LARGEST, {str(parent) for path in below for parent in PurePosixPath(path).parents}

    def gone(path: str) -> dict[str, None]:
        if path in below:
            return {path: None}
        return {one: None for one in below if one.startswith(f"{path}/")} if path in folders else {}

    try:
        for path, entry in _entries(layer):
            stat = entry.stat(follow_symlinks=False)
            if S_ISDIR(stat.st_mode):
                if path in below or _opaque(entry.path):
                    found |= gone(path)
            elif S_ISCHR(stat.st_mode) and not stat.st_rdev:
                found |= gone(path)
            elif path in below or not by_product(path):
                if not S_ISREG(stat.st_mode) or not stat.st_mode & S_IRUSR:
                    raise NotAFile(path)
                found |= gone(path)
                found[path] = data = read(Path(entry.path), left)
                left -= len(data)
    except (OSError, ValueError) as error:
        raise NotAFile(getattr(error, "strerror", None) or str(error)) from None
    return found


def _entries(layer: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield everything in a layer, folders before what is in them. Nothing is followed."""
    todo = [""]
    while todo:
        folder = todo.pop()
        with os.scandir(layer / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if entry.stat(follow_symlinks=False).st_mode & S_IRWXU != S_IRWXU:
                        os.chmod(entry.path, 0o755)  # noqa: PTH101 - an entry is no Path
                    todo.append(path)
                yield path, entry


def _opaque(path: str) -> bool:
    try:
        return os.getxattr(path, _OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False
