"""Directories for commands: one checkout per commit, and for each process of ours a private copy that is put right
between uses instead of being made anew."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from stat import S_ISREG

from operators.proc import git, git_records

MAX_FILES = 200_000
MAX_BYTES = 4 << 30
_ATTRIBUTES = "* -text -ident -filter -diff -merge -working-tree-encoding -export-subst -export-ignore\n"
_Mark = tuple[int, int, int, int]  # inode, size, mtime and ctime: no command can set the last one

_trees: dict[tuple[str, str], Tree] = {}


class NotAFile(Exception):
    """A command left something else than a regular file; the message is its path."""


class TooLarge(Exception):
    """The commit holds more than may be checked out."""


class Tree:
    """A private directory that holds the files of one commit."""

    def __init__(self, base: Path, folder: Path) -> None:
        self._base, self.folder = base, folder
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base, folder, symlinks=True)
        self._clean = _marks(folder)
        self._laid: dict[str, _Mark] = {}

    def lay(self, files: Mapping[str, bytes | None]) -> None:
        """Put everything right, then write `files` over it (None: not there)."""
        self._restore()
        for path, data in files.items():
            target = self.folder / path
            if data is None:
                target.unlink(missing_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            mode = target.stat().st_mode if target.exists() else 0o644
            target.unlink(missing_ok=True)  # never write through a link
            target.write_bytes(data)
            target.chmod(mode & 0o755)
        self._laid = _marks(self.folder)

    def changed(self) -> dict[str, bytes | None]:
        """Return what a command changed since `lay`, caches left out. Raises NotAFile."""
        now = _marks(self.folder)
        found: dict[str, bytes | None] = {path: None for path in self._laid if path not in now}
        for path, mark in now.items():
            if self._laid.get(path) != mark and (path in self._laid or not _cache(path)):
                found[path] = self._read(path)
        return found

    def _read(self, path: str) -> bytes:
        if not S_ISREG((self.folder / path).lstat().st_mode):
            raise NotAFile(path)
        return (self.folder / path).read_bytes()

    def _restore(self) -> None:
        now = _marks(self.folder)
        for path in now.keys() - self._clean.keys():
            (self.folder / path).unlink()
        for path, mark in self._clean.items():
            if now.get(path) == mark:
                continue
            target = self.folder / path
            for parent in reversed(target.parents):
                if parent.is_relative_to(self.folder) and not parent.is_dir():
                    parent.unlink(missing_ok=True)
                    parent.mkdir()
            if target.is_dir() and not target.is_symlink():
                shutil.rmtree(target)
            target.unlink(missing_ok=True)
            shutil.copy2(self._base / path, target, follow_symlinks=False)
            self._clean[path] = _mark(target.lstat())


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
        shutil.rmtree(one.folder, ignore_errors=True)


def _export(mirror: Path, commit: str, base: Path) -> None:
    """Write a commit's files, byte for byte: no attribute, filter or symbolic link has any effect."""
    _measure(mirror, commit)
    (mirror / "info").mkdir(exist_ok=True)
    (mirror / "info" / "attributes").write_text(_ATTRIBUTES)
    base.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=base.parent, prefix="new-") as folder:
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
            shutil.rmtree(folder, ignore_errors=True)
        except PermissionError:
            continue


def _marks(folder: Path) -> dict[str, _Mark]:
    """Return a mark for each file and link below `folder`; nothing is followed."""
    return {
        os.path.relpath(entry.path, folder): _mark(entry.stat(follow_symlinks=False)) for entry in _files(str(folder))
    }


def _files(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            else:
                yield entry


def _mark(stat: os.stat_result) -> _Mark:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _cache(path: str) -> bool:
    """Say whether a new file is a by-product that tools leave behind."""
    parts = path.split("/")
    return path.endswith(".pyc") or any(part in {"__pycache__", ".git"} or part.endswith("cache") for part in parts)
