"""Directories for commands: one checkout per commit, and for each process of ours a private copy that is put right
between uses instead of being made anew.

The copies stand outside of any project, because tools look upwards for their configuration.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from stat import S_IRUSR, S_ISREG

from operators.folders import Mark, Seen, abandoned, alone, clear, hold, mark_of, private, seen
from operators.pristine import pristine, used

_HIDDEN = re.compile(r"\.git|\..*cache")
_NONE = (0, 0, 0, 0)

_trees: dict[tuple[str, str], Tree] = {}


class NotAFile(Exception):
    """A command left something else than a regular file; the message says what."""


class Tree:
    """A private directory that holds the files of one commit."""

    def __init__(self, base: Path, folder: Path) -> None:
        self.base, self.folder = base, folder
        found = seen(base)
        self._clean = Seen(found.files, dict.fromkeys(found.folders, 0o755))
        self._laid: dict[str, Mark] = {}
        self._copy()

    def lay(self, files: Mapping[str, bytes | None]) -> None:
        """Put everything right, then write `files` over it (None: not there). Raises ValueError for a path that leads
        out of the directory."""
        try:
            self._restore()
        except OSError:  # a command removed the folder, or made paths that are too long for any call
            self._copy()
        for path, data in files.items():
            if path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"{path!r} is no path within the checkout")
            target = self.folder / path
            if data is None:
                target.unlink(missing_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            mode = target.stat().st_mode if target.exists() else 0o644
            target.unlink(missing_ok=True)  # never write through a link
            target.write_bytes(data)
            target.chmod(mode & 0o755)
            # Many kernels count in ticks of 4 ms: what a command writes within the same one must be seen as well.
            os.utime(target, (time.time() - 10,) * 2)
        self._laid = seen(self.folder).files

    def files(self) -> Collection[str]:
        """Return the paths of all files as they were laid."""
        return self._laid.keys()

    def changed(self) -> dict[str, bytes | None]:
        """Return what a command changed since `lay`, caches left out. Raises NotAFile."""
        try:
            now = seen(self.folder).files
        except OSError as error:
            raise NotAFile(str(error.strerror)) from None
        found: dict[str, bytes | None] = {path: None for path in self._laid if path not in now}
        for path, mark in now.items():
            if self._laid.get(path) != mark and (path in self._laid or not by_product(path)):
                found[path] = self._read(path)
        return found

    def _read(self, path: str) -> bytes:
        mode = (self.folder / path).lstat().st_mode
        if not S_ISREG(mode) or not mode & S_IRUSR:
            raise NotAFile(path)
        return (self.folder / path).read_bytes()

    def _copy(self) -> None:
        clear(self.folder)
        self.folder.mkdir(parents=True)
        self._clean.files.update(dict.fromkeys(self._clean.files, _NONE))
        self._restore()

    def _restore(self) -> None:
        now, clean = seen(self.folder), self._clean
        for path in now.files.keys() - clean.files.keys():
            (self.folder / path).unlink()
        for path in sorted(now.folders.keys() - clean.folders.keys(), reverse=True):  # inner ones first
            (self.folder / path).rmdir()
        for path, mode in clean.folders.items():
            if now.folders.get(path) != mode:
                (self.folder / path).mkdir(exist_ok=True)
                (self.folder / path).chmod(mode)
        for path, mark in clean.files.items():
            if now.files.get(path) != mark:
                target = self.folder / path
                target.unlink(missing_ok=True)
                shutil.copy2(self.base / path, target)
                target.chmod(0o755 if target.stat().st_mode & 0o100 else 0o644)
                clean.files[path] = mark_of(target.lstat())


def tree(mirror: str, commit: str) -> Tree:
    """Return this process's tree of a commit. Raises GitError, TooLarge, NotOurs."""
    one = _trees.get((mirror, commit))
    if not one or not used(one.base):
        name = f"{Path(mirror).stem}-{sha256(f'{mirror} {commit}'.encode()).hexdigest()[:12]}"
        one = _trees[mirror, commit] = Tree(pristine(Path(mirror), commit), _home() / name)
    return one


@lru_cache(maxsize=1)
def _home() -> Path:
    """Return the folder of this process's trees. Those of processes that were killed are removed."""
    trees = private() / "trees"
    with alone(trees / "lock"):
        own = Path(tempfile.mkdtemp(prefix=f"w-{os.getpid()}-", dir=trees))
        hold(own)
        for left in [folder for folder in trees.glob("w-*") if abandoned(folder)]:
            left.rename(own / left.name)  # removed below, while others go on
    for left in own.iterdir():
        clear(left)
    atexit.register(clear, own)
    return own


def by_product(path: str) -> bool:
    """Say whether a new file is a by-product that tools leave behind."""
    parts = path.split("/")
    return path.endswith(".pyc") or any(part == "__pycache__" or _HIDDEN.fullmatch(part) for part in parts)
