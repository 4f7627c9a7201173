"""Where a command runs: a private view of the checkout, a folder of what it is given and one for what it leaves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from operators.checkout import Tree
from operators.folders import scratch
from operators.proc import Result, run

MOST = 1000  # files that are taken
LARGEST = 32 << 20  # bytes of them all


class Box(Protocol):
    """Lives for as long as a `with`; several commands may run in it, one after another."""

    code: str
    """The checkout's root, as a command sees it."""
    given: str
    """Folder that Python may import from; a command only reads it."""
    left: str
    """Folder for what a command leaves to be taken."""
    home: str
    """For whatever else it writes; goes with the box."""

    def give(self, name: str, text: str) -> None:
        """Put a file into `given`, or into a folder there, before anything runs."""

    def start(self, argv: Sequence[str], env: Mapping[str, str], timeout: float) -> Result:
        """Run a program in the checkout's root to its end, with all it started, and never raise for how it ends."""

    def taken(self) -> dict[str, bytes] | None:
        """Return the files right in `left` by name; None when anything else lies there, or too much."""

    def changed(self) -> dict[str, bytes | None]:
        """Return what commands changed in the checkout (None: removed), caches left out. Raises NotAFile."""


@contextmanager
def opened(tree: Tree) -> Iterator[Box]:
    """Give a box without walls: what runs there can do all that we can."""
    with scratch() as folder:
        yield _Open(tree, folder)


class _Open:
    def __init__(self, tree: Tree, folder: Path) -> None:
        self._tree = tree
        self.code = str(tree.folder)
        self.given, self.left, self.home = (str(folder / name) for name in ("given", "left", "home"))
        for path in (self.given, self.left, self.home):
            Path(path).mkdir()

    def give(self, name: str, text: str) -> None:
        path = Path(self.given, name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def start(self, argv: Sequence[str], env: Mapping[str, str], timeout: float) -> Result:
        return run(argv, cwd=self._tree.folder, env=env, timeout=timeout, contain=True)

    def taken(self) -> dict[str, bytes] | None:
        return taken(Path(self.left))

    def changed(self) -> dict[str, bytes | None]:
        return self._tree.changed()


def taken(folder: Path) -> dict[str, bytes] | None:
    """Read the files right in a folder that anything may have been done to, by name; None when it is not just files,
    or too much."""
    found: dict[str, bytes] = {}
    left = LARGEST
    try:
        paths = list(folder.iterdir())
        for path in paths if len(paths) <= MOST else ():
            found[path.name] = read(path, left)
            left -= len(found[path.name])
    except (OSError, ValueError):
        return None
    return found if len(found) == len(paths) else None


def read(path: Path, most: int) -> bytes:
    """Return a regular file; a pipe would keep us waiting for ever. Raises OSError, ValueError beyond `most` bytes."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        if not S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is no file")
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"more than {most} bytes")
    return data
