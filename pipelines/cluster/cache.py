"""What a node keeps of repositories: mirrors, checkouts and environments, each repository's together.

Together they take no more than UMBAU_CACHE says; what was used longest ago goes first, and never what is in use.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any

from operators.data import Base, Trouble
from operators.folders import alone, clear, private

SETTING, DEFAULT = "UMBAU_CACHE", "20GB"
LOW, FEW = 5 << 30, 250_000  # bytes and files that may be left free where a checkout did not fit
GONE = ".gone-"  # how what is being removed is called, in these folders
FOLDERS = ("mirrors", "checkouts", "environments", "environments/cache")
AGAIN = 60.0  # seconds after which what a repository takes may be measured again
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def most() -> int:
    """Return the bytes that all repositories of this node may take. Raises Trouble."""
    said = os.environ.get(SETTING, DEFAULT)
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)i?B?\s*", said, re.I)
    if not found:
        raise Trouble(f"{SETTING} is {said!r}: say a size, such as {DEFAULT}")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def full(said: str) -> bool:
    """Say whether a message, ours or one of git's, tells of a full disk, and this node's is: a repository's build may
    say so as well."""
    disk = os.statvfs(private())
    few = disk.f_bavail * disk.f_frsize < LOW or disk.f_favail < FEW
    words = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "unable to write file")  # git says no more
    return few and any(word in said for word in words)


@contextmanager
def using(base: Base) -> Iterator[None]:
    """Keep what this node has of a repository while it is worked with, and note that it is of use."""
    with _lock(Path(base.mirror).stem).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        os.utime(lock.name)
        yield


def kept(base: Base) -> str:
    """Return by which a process that has a repository at hand can tell whether it still is: it changes when this node
    let go of it in between; "" when it has not been measured."""
    try:
        found: str = json.loads(_note(Path(base.mirror).stem).read_text())["token"]
    except (OSError, ValueError):
        return ""
    return found


def measured(base: Base) -> None:
    """Note what this node has of a repository, `base` being as it is worked with; make room if all takes too much."""
    stem = Path(base.mirror).stem
    note = _note(stem)
    with suppress(OSError):
        if kept(base) and note.stat().st_mtime > time.time() - AGAIN:
            return
    environments = [place.name for place in map(Path, base.needs) if place.parent == private() / "environments"]
    with alone(_used() / "notes.lock"), suppress(OSError):
        new: dict[str, Any] = {"token": token_hex(8), "environments": []}
        before = json.loads(note.read_text()) if note.exists() else new
        before["environments"] = sorted({*before["environments"], *environments})
        before["bytes"] = sum(_size(place) for place in _places(stem, before["environments"]))
        note.with_suffix(".new").write_text(json.dumps(before))
        note.with_suffix(".new").replace(note)
    make_room(most())


def make_room(most: int) -> None:
    """Let go of what was used longest ago, and is not in use, until the rest takes no more than `most` bytes."""
    with alone(_used() / "notes.lock"):
        for folder in FOLDERS:
            for gone in (private() / folder).glob(f"{GONE}*"):
                clear(gone)  # whoever began with it has died, or would hold the lock
        notes = {note.stem: json.loads(note.read_text()) for note in _used().glob("*.json")}
        left = sum(note["bytes"] for note in notes.values())
        for stem in sorted(notes, key=lambda stem: _lock(stem).stat().st_mtime):
            if left <= most:
                break
            others = {name for other, note in notes.items() if other != stem for name in note["environments"]}
            if _let_go(stem, [name for name in notes[stem]["environments"] if name not in others]):
                left -= notes[stem]["bytes"]


def let_go(stem: str) -> bool:
    """Remove what this node has of a repository, known by the name of its mirror; say whether it was not in use."""
    with alone(_used() / "notes.lock"):
        notes = {note.stem: json.loads(note.read_text()) for note in _used().glob("*.json")}
        others = {name for other, note in notes.items() if other != stem for name in note["environments"]}
        return _let_go(
            stem, [name for name in notes.get(stem, {"environments": []})["environments"] if name not in others]
        )


def _let_go(stem: str, environments: list[str]) -> bool:
    """Remove what this node has of a repository unless it is in use."""
    with _lock(stem).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        _note(stem).unlink(missing_ok=True)  # first: whoever dies here leaves nothing that seems to be there
        gone: list[Path] = []
        for place in _places(stem, environments):
            with suppress(OSError):  # it is not there
                # In one stroke: half a mirror would be taken for a whole one, and without its note not be counted.
                gone.append(place.rename(place.with_name(f"{GONE}{token_hex(8)}")))
        for place in gone:
            clear(place)
    return True


def _places(stem: str, environments: list[str]) -> list[Path]:
    top = private()
    built = [top / "environments" / f"{name}{ending}" for name in environments for ending in (".json", "")]
    return [*built, top / "environments" / "cache" / stem, top / "checkouts" / stem, top / "mirrors" / f"{stem}.git"]


def _size(place: Path) -> int:
    """Return the bytes that a folder takes on the disk, whatever is removed from it meanwhile."""
    total, todo = 0, [str(place)]
    while todo:
        with suppress(OSError), os.scandir(todo.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
    return total


def _used() -> Path:
    folder = private() / "used"
    folder.mkdir(exist_ok=True)
    return folder


def _note(stem: str) -> Path:
    return _used() / f"{stem}.json"


def _lock(stem: str) -> Path:
    return _used() / f"{stem}.lock"
