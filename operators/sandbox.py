"""A box with walls: bubblewrap around every command, over a stage of its own.

No network, no environment but what is given, nothing of this machine but its programs and the checkout; what may be
written lies in memory, is bounded and goes with the box. A command has no capability and no way to another process, and
ends with all it started.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from operators.box import Box, taken
from operators.bubblewrap import bubblewrap
from operators.data import Base
from operators.interpreter import links, shown
from operators.layers import changed, lay
from operators.proc import FILE_LIMIT, Result, least
from operators.stage import Stage, tool
from operators.warden import guarded

MEMORY = 4 << 30  # bytes that the commands of one box may take where the machine has as much for each core
PROFILE = 1  # counts up when what is walled off changes
SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC = (
    *("alternatives", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "nsswitch.conf"),
    *("os-release", "pki/ca-trust/extracted", "pki/tls/certs", "protocols", "services", "ssl/certs"),
    *("ssl/openssl.cnf", "timezone"),
)
_WRITTEN = ("upper", "work", "left", "home", "tmp", "shm")
_ETC = {
    "passwd": "root:x:0:0::/root:/bin/sh\numbau:x:1000:1000::/home/umbau:/bin/sh\n",
    "group": "root:x:0:\numbau:x:1000:\n",
    "hosts": "127.0.0.1 localhost umbau\n::1 localhost\n",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the commands of one box may take, in bytes where nothing else is said."""

    memory: int = min(MEMORY, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // (os.cpu_count() or 1))
    """All processes together; what they share counts for each."""
    space: int = 32 << 30
    """Addresses of one process: stops what would take gigabytes between two looks at the memory."""
    disk: int = 1 << 30
    """Whatever is written, wherever; it lies in memory."""
    files: int = 200_000
    """Number of files there."""
    largest: int = FILE_LIMIT
    """Any one file, the output included."""
    processes: int = 512
    """Number of processes and threads."""
    handles: int = 1024
    """Number of files that a process has open."""


@dataclass(frozen=True, slots=True)
class Outside:
    """What the commands of a box have of this machine besides what all have: for building environments."""

    kept: tuple[str, ...] = ()
    """Folders that they may write to, and that stay."""
    read: tuple[str, ...] = ()
    """Folders that they may read."""
    largest: int = 0
    """Bytes of any one file, where it is more than elsewhere."""


LIMITS = Limits()
INSIDE = Outside()


@contextmanager
def walled(
    base: Base,
    checkout: Path,
    paths: Collection[str],
    files: Mapping[str, bytes | None],
    outside: Outside = INSIDE,
) -> Iterator[Box]:
    """Give a box over `checkout`, which stays as it is, with `files` laid over it (None: not there); `paths` are those
    of all files then. Raises NoSandbox, and ValueError for a path that leads out of the checkout."""
    memory = min(LIMITS.memory, base.memory or LIMITS.memory)
    limits, program = replace(LIMITS, memory=memory, largest=outside.largest or LIMITS.largest), bubblewrap()
    seen = (*shown(base), *outside.read)
    staged = [str(checkout), *program.folders, *seen, *outside.kept]
    stage = Stage(staged, limits.disk, limits.files)
    try:
        for name in (*_WRITTEN, "given", "laid"):
            stage.folder(name, written=name in _WRITTEN)
        for name, text in _ETC.items():
            stage.file(f"etc/{name}", text)
        lay(stage.outside / "laid", checkout, files)
        yield _Walled(stage, _options(stage, str(checkout), seen, outside), paths, limits)
    finally:
        stage.close()


def _options(stage: Stage, checkout: str, seen: Sequence[str], outside: Outside) -> list[str]:
    """Return what bubblewrap is told, but for what is one command's alone."""
    top = stage.inside
    options = ["--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
    options += ["--uid", "1000", "--gid", "1000", "--hostname", "umbau", "--cap-drop", "ALL"]
    options += ["--ro-bind", "/usr", "/usr", *_system(), "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
    options += ["--dev", "/dev", "--bind", f"{top}/shm", "/dev/shm", "--bind", f"{top}/tmp", "/tmp"]
    for name in ETC:
        options += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    for name in _ETC:
        options += ["--ro-bind", f"{top}/etc/{name}", f"/etc/{name}"]
    for folder in seen:
        options += ["--ro-bind", stage.sources[folder], folder]
    for link, target in links(sys.executable, seen):
        options += ["--symlink", target, link]
    for folder in outside.kept:
        options += ["--bind", stage.sources[folder], folder]
    options += ["--bind", f"{top}/home", _Walled.home, "--bind", f"{top}/left", _Walled.left]
    options += ["--ro-bind", f"{top}/given", _Walled.given]
    options += ["--overlay-src", stage.sources[checkout], "--overlay-src", f"{top}/laid"]
    options += ["--overlay", f"{top}/upper", f"{top}/work", _Walled.code]
    return [*options, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", _Walled.code]


def _system() -> Iterator[str]:
    for name in SYSTEM:
        if Path(name).is_symlink():
            yield from ("--symlink", str(Path(name).readlink()), name)
        elif Path(name).exists():
            yield from ("--ro-bind", name, name)


class _Walled:
    code, given, left, home = "/ws", "/given", "/left", "/home/umbau"

    def __init__(self, stage: Stage, options: Sequence[str], paths: Collection[str], limits: Limits) -> None:
        self._stage, self._options, self._paths, self._limits = stage, options, paths, limits

    def give(self, name: str, text: str) -> None:
        self._stage.file(f"given/{name}", text)

    def start(self, argv: Sequence[str], env: Mapping[str, str], timeout: float) -> Result:
        limits = self._limits
        values = {"NPROC": limits.processes, "AS": limits.space, "FSIZE": limits.largest, "NOFILE": limits.handles}
        own = {name.lower(): least(getattr(resource, f"RLIMIT_{name}"), value) for name, value in values.items()}
        limited = [
            tool("prlimit"),
            "--core=0",
            *(f"--{name}={value}" for name, value in own.items()),
            "--",
        ]
        started = [*self._stage.entered(), bubblewrap().staged(self._stage.sources)]
        return guarded(started, self._options, [*limited, *argv], env, timeout=timeout, memory=limits.memory)

    def taken(self) -> dict[str, bytes] | None:
        return taken(self._stage.outside / "left")

    def changed(self) -> dict[str, bytes | None]:
        return changed(self._stage.outside / "upper", self._paths)
