"""Folders of ours for what we do not trust: private, out of the way of any project, and removed whatever is in them."""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE, S_IRWXU, S_ISDIR

from operators.data import Trouble

Mark = tuple[int, int, int, int]  # inode, size, mtime and ctime: no command can set the last one


class NotOurs(Trouble):
    """Somebody else made the folder that should be ours; the message says which."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What stands below a folder, by its path from there."""

    files: dict[str, Mark]
    """Links and whatever else is no folder are among them."""
    folders: dict[str, int]
    """To their modes; outer ones first."""


def private() -> Path:
    """Return this user's folder on this machine. Tools that look upwards from below it find nobody's configuration.

    Raises NotOurs: everybody may write to the folder above it.
    """
    folder = Path(tempfile.gettempdir()).resolve() / f"umbau-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o022 or not S_ISDIR(found.st_mode):
        raise NotOurs(f"{folder} can be written to by others: remove it")
    return folder


@contextmanager
def scratch() -> Iterator[Path]:
    """Give an empty folder that goes with all that is put there."""
    folder = Path(tempfile.mkdtemp(prefix="umbau-"))
    try:
        yield folder
    finally:
        clear(folder)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Keep other processes that ask for the same lock waiting. The file stays."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def hold(folder: Path) -> None:
    """Mark a folder as this process's own, for as long as it lives."""
    fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX)


def abandoned(folder: Path) -> bool:
    """Say whether whoever held a folder has ended and left it, in whatever container."""
    try:
        if not S_ISDIR(folder.lstat().st_mode):
            return True
        folder.chmod(0o700)  # whatever a command made of it
        handle = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def clear(folder: Path) -> None:
    """Remove a folder as far as that is allowed, however deep it is and whatever in it is locked. No link is followed,
    and what is gone already is no matter."""
    try:
        if not S_ISDIR(folder.lstat().st_mode):
            return folder.unlink()
    except OSError:
        return None
    todo = [folder]
    while todo:
        here = todo.pop()
        with suppress(OSError):
            here.chmod(0o700)
            with os.scandir(here) as entries:
                todo += [inner for entry in entries if (inner := _removed(entry, folder, here))]
        with suppress(OSError):
            here.rmdir()
    with suppress(OSError):
        folder.rmdir()
    return None


def _removed(entry: os.DirEntry[str], top: Path, here: Path) -> Path | None:
    """Remove an entry. A folder is only moved up to `top` and returned: no path gets longer than the system allows."""
    with suppress(OSError):
        if not entry.is_dir(follow_symlinks=False):
            Path(entry.path).unlink()
            return None
        found = Path(entry.path)
        found.chmod(0o700)
        return found if here == top else found.rename(top / secrets.token_hex(8))
    return None


def seen(folder: Path) -> Seen:
    """Look at everything below `folder`; nothing is followed."""
    found = Seen({}, {})
    if not S_ISDIR(folder.lstat().st_mode):
        raise NotADirectoryError(f"{folder} is no folder any more")
    folder.chmod(0o755)
    for entry in _entries(str(folder)):
        path, stat = entry.path[len(f"{folder}/") :], entry.stat(follow_symlinks=False)
        if S_ISDIR(stat.st_mode):
            found.folders[path] = S_IMODE(stat.st_mode)
        else:
            found.files[path] = mark_of(stat)
    return found


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    todo = [folder]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    if entry.stat(follow_symlinks=False).st_mode & S_IRWXU != S_IRWXU:
                        os.chmod(entry.path, 0o755)  # noqa: PTH101 - an entry is no Path, and there are many
                    todo.append(entry.path)


def mark_of(stat: os.stat_result) -> Mark:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
