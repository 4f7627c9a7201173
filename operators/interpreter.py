"""What a sandbox has to show of this machine so that Python runs there: the folders that interpreters stand in."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from operators.data import Base
from operators.stage import NoSandbox


def shown(base: Base) -> tuple[str, ...]:
    """Return the folders of our own Python and of the base's, as far as they are not the system's. Raises NoSandbox
    where one of them holds more than Python."""
    wanted = [Path(one) for one in (sys.prefix, sys.base_prefix, *base.needs)]
    folders = [one for one in dict.fromkeys(wanted) if not one.is_relative_to("/usr")]
    for one in folders:
        if Path.home().resolve().is_relative_to(one.resolve()):
            raise NoSandbox(f"Python stands in {one}, and so does your home: give it a folder of its own")
    return tuple(str(one) for one in folders if not any(other in one.parents for other in folders))


def links(python: str, seen: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield links, and their targets, that lead from an interpreter's name to itself and stand in none of the folders
    that are `seen`."""
    here = Path(python)
    while here.is_symlink():
        target = here.readlink()
        if not any(here.is_relative_to(folder) for folder in ("/usr", "/bin", *seen)):
            yield str(here), str(target)
        here = here.parent / target
