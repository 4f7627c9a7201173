"""One checkout per commit, written once, which nobody works in."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from operators.data import Trouble
from operators.folders import alone, clear, seen
from operators.proc import git, git_records
from operators.stage import own

MAX_FILES = 200_000
MAX_BYTES = 4 << 30
KEPT = 7 * 86_400  # seconds after its last use that a checkout is kept
_ATTRIBUTES = "* -text -ident -filter -diff -merge -working-tree-encoding -export-subst -export-ignore\n"


class TooLarge(Trouble):
    """The commit holds more than may be checked out."""


def pristine(mirror: Path, commit: str) -> Path:
    """Return the checkout that all trees of a commit are copied from, and that sandboxes are laid over. Nobody who runs
    in a tree can guess its path."""
    bases = mirror.parents[1] / "checkouts" / mirror.stem
    with alone(bases / "lock"):
        for one in bases.glob("*-*"):
            if not (one / "files").exists() or one.stat().st_mtime < time.time() - KEPT:
                clear(one)
        made = next(bases.glob(f"{commit}-*/files"), None) or _export(mirror, commit, bases)
        used(made)
    return made


def used(base: Path) -> bool:
    """Note that a checkout is in use; say whether it is there."""
    try:
        os.utime(base.parent)
    except FileNotFoundError:
        return False
    return True


def _export(mirror: Path, commit: str, bases: Path) -> Path:
    """Write a commit's files, byte for byte: no attribute, filter or symbolic link has any effect."""
    _measure(mirror, commit)
    (mirror / "info").mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{commit}-", dir=bases))
    try:
        (folder / "attributes").write_text(_ATTRIBUTES)
        (folder / "attributes").replace(mirror / "info" / "attributes")  # never half there for another process
        (folder / "new").mkdir()
        env = {"GIT_INDEX_FILE": f"{folder}/index", "GIT_WORK_TREE": f"{folder}/new"}
        git(mirror, "read-tree", commit, env=env)
        git(mirror, "checkout-index", "--all", env=env)
        _hand_over(folder / "new")
        return (folder / "new").rename(folder / "files")
    except BaseException:
        clear(folder)
        raise


def _hand_over(folder: Path) -> None:
    """Make all files those of whom commands in a sandbox run as: over others the kernel lays no layer (EOVERFLOW)."""
    found = seen(folder)
    for path in ("", *found.folders):
        (folder / path).chmod(0o755)
        own(folder / path)
    for path in found.files:
        file = folder / path
        file.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)
        own(file)


def _measure(mirror: Path, commit: str) -> None:
    total = 0
    for record in git_records(mirror, "ls-tree", "-r", "-z", "-l", "--full-tree", commit, limit=MAX_FILES):
        size = record.partition(b"\t")[0].split()[3]
        total += int(size) if size.isdigit() else 0
        if total > MAX_BYTES:
            raise TooLarge(f"the files of this commit take more than {MAX_BYTES >> 30} GB")
