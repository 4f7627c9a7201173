"""Directories for commands: one checkout per commit, and for each process of ours a private copy that is put right
between uses instead of being made anew."""

from __future__ import annotations

import atexit
import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE, S_IRUSR, S_IRWXU, S_ISDIR, S_ISREG

from operators.data import Trouble
from operators.proc import git, git_records

MAX_FILES = 200_000
MAX_BYTES = 4 << 30
_ATTRIBUTES = "* -text -ident -filter -diff -merge -working-tree-encoding -export-subst -export-ignore\n"
_HIDDEN = re.compile(r"\.git|\..*cache")
_Mark = tuple[int, int, int, int]  # inode, size, mtime and ctime: no command can set the last one

_trees: dict[tuple[str, str], Tree] = {}


class NotAFile(Exception):
    """A command left something else than a regular file; the message is its path."""


class TooLarge(Trouble):
    """The commit holds more than may be checked out."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What stands below a folder, by its path from there."""

    files: dict[str, _Mark]
    """Links and whatever else is no folder are among them."""
    folders: dict[str, int]
    """To their modes; outer ones first."""


class Tree:
    """A private directory that holds the files of one commit."""

    def __init__(self, base: Path, folder: Path) -> None:
        self._base, self.folder = base, folder
        _clear(folder)
        shutil.copytree(base, folder, symlinks=True)
        self._clean = _seen(folder)
        self._laid: dict[str, _Mark] = {}

    def lay(self, files: Mapping[str, bytes | None]) -> None:
        """Put everything right, then write `files` over it (None: not there). Raises ValueError for a path that leads
        out of the directory."""
        self._restore()
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
        self._laid = _seen(self.folder).files

    def changed(self) -> dict[str, bytes | None]:
        """Return what a command changed since `lay`, caches left out. Raises NotAFile."""
        now = _seen(self.folder).files
        found: dict[str, bytes | None] = {path: None for path in self._laid if path not in now}
        for path, mark in now.items():
            if self._laid.get(path) != mark and (path in self._laid or not _cache(path)):
                found[path] = self._read(path)
        return found

    def _read(self, path: str) -> bytes:
        mode = (self.folder / path).lstat().st_mode
        if not S_ISREG(mode) or not mode & S_IRUSR:
            raise NotAFile(path)
        return (self.folder / path).read_bytes()

    def _restore(self) -> None:
        now, clean = _seen(self.folder), self._clean
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
                shutil.copy2(self._base / path, target, follow_symlinks=False)
                clean.files[path] = _mark(target.lstat())


def tree(mirror: str, commit: str) -> Tree:
    """Return this process's tree of a commit. Raises GitError, TooLarge."""
    if (mirror, commit) not in _trees:
        home = Path(mirror).parents[1] / "trees" / f"{Path(mirror).stem}-{commit[:12]}"
        base = home / "base"
        if not base.exists():
            _export(Path(mirror), commit, base)
        _sweep(home)
        _trees[mirror, commit] = Tree(base, home / f"w-{os.getpid()}")
    return _trees[mirror, commit]


@atexit.register
def _remove() -> None:
    for one in _trees.values():
        _clear(one.folder)


def _export(mirror: Path, commit: str, base: Path) -> None:
    """Write a commit's files, byte for byte: no attribute, filter or symbolic link has any effect."""
    _measure(mirror, commit)
    (mirror / "info").mkdir(exist_ok=True)
    base.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base.parent, prefix="new-") as folder:
        (Path(folder) / "attributes").write_text(_ATTRIBUTES)
        (Path(folder) / "attributes").replace(mirror / "info" / "attributes")  # never half there for another process
        (Path(folder) / "files").mkdir()
        env = {"GIT_INDEX_FILE": f"{folder}/index", "GIT_WORK_TREE": f"{folder}/files"}
        git(mirror, "read-tree", commit, env=env)
        git(mirror, "checkout-index", "--all", env=env)
        with contextlib.suppress(OSError):  # another process was faster
            (Path(folder) / "files").rename(base)


def _measure(mirror: Path, commit: str) -> None:
    total = 0
    for record in git_records(mirror, "ls-tree", "-r", "-z", "-l", "--full-tree", commit, limit=MAX_FILES):
        size = record.partition(b"\t")[0].split()[3]
        total += int(size) if size.isdigit() else 0
        if total > MAX_BYTES:
            raise TooLarge(f"the files of this commit take more than {MAX_BYTES >> 30} GB")


def _sweep(home: Path) -> None:
    """Remove what processes that were killed left behind."""
    for folder in home.glob("w-*"):
        try:
            os.kill(int(folder.name[2:]), 0)
        except ProcessLookupError:
            _clear(folder)
        except PermissionError:
            continue


def _clear(folder: Path) -> None:
    if folder.exists():
        _seen(folder)  # which opens what a command has locked
        shutil.rmtree(folder, ignore_errors=True)


def _seen(folder: Path) -> _Seen:
    """Look at everything below `folder`; nothing is followed."""
    seen = _Seen({}, {})
    folder.chmod(0o755)
    for entry in _entries(str(folder)):
        path, stat = entry.path[len(f"{folder}/") :], entry.stat(follow_symlinks=False)
        if S_ISDIR(stat.st_mode):
            seen.folders[path] = S_IMODE(stat.st_mode)
        else:
            seen.files[path] = _mark(stat)
    return seen


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            yield entry
            if entry.is_dir(follow_symlinks=False):
                if entry.stat(follow_symlinks=False).st_mode & S_IRWXU != S_IRWXU:
                    os.chmod(entry.path, 0o755)  # noqa: PTH101 - an entry is no Path, and there are many
                yield from _entries(entry.path)


def _mark(stat: os.stat_result) -> _Mark:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _cache(path: str) -> bool:
    """Say whether a new file is a by-product that tools leave behind."""
    parts = path.split("/")
    return path.endswith(".pyc") or any(part == "__pycache__" or _HIDDEN.fullmatch(part) for part in parts)
