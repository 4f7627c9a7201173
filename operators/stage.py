"""What a sandbox stands on: a namespace of mounts with one bounded file system in memory, which holds all that may be
written, and the folders of this machine that may be read; and one of processes.

It ends with us, and nothing of it stays: what was written there is read through /proc/PID/root before. Its script is
the namespace's first process and ends when nobody holds the other end of its input any more, by which the kernel ends
whatever has entered, in whatever state: a bubblewrap that we started and were killed before it was ready would wait for
ever otherwise.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from operators.data import Trouble
from operators.folders import private
from operators.proc import kill, spawn

NOBODY = 65534  # whom root becomes before anything of a sandbox is started
_ROOT = os.geteuid() == 0
UID, GID = (NOBODY, NOBODY) if _ROOT else (os.getuid(), os.getgid())  # whose files a sandbox may change

# The folder is ours alone, so that nobody else can put anything in the way. For the sandbox's user to get there, the
# file system in memory is laid, within its namespace, over the whole of the outermost folder as well.
_SCRIPT = """\
set -e
umask 022
options=$1 folder=$2 top=$3 places=$4
shift 4
mount -t tmpfs -o "$options" umbau "$folder"
cd "$folder"
mkdir $places
for place in $places; do
    mount --bind "$1" "$place"
    shift
done
mount --rbind . "$top"
echo ready
exec cat
"""


class NoSandbox(Trouble):
    """Nothing can be run in a sandbox here; the message says why and what to do."""


class Stage:
    """Holds a namespace of mounts for as long as it is open."""

    def __init__(self, sources: Sequence[str], size: int, files: int) -> None:
        """`size` (bytes) and `files` bound the file system in memory. Raises NoSandbox."""
        folder = private() / "stage"
        folder.mkdir(exist_ok=True)
        self._top = Path(*folder.parts[:2])
        user = () if _ROOT else ("--user", "--map-root-user")
        places = " ".join(str(number) for number in range(len(sources)))
        options = f"size={size},nr_inodes={files},mode=755"
        told = (tool("sh"), "-c", 'exec "$@" 2>&1', "sh")  # what unshare says of itself as well
        script = (tool("sh"), "-c", _SCRIPT, "sh", options, str(folder), str(self._top), places, *sources)
        apart = ("--mount", "--pid", "--fork", "--mount-proc")
        self._child = spawn([*told, tool("unshare"), *user, *apart, *script], env={"PATH": os.defpath})
        assert self._child.stdout
        said = self._child.stdout.readline()
        if said != b"ready\n":
            said += self._child.stdout.read(2000)
            self.close()
            raise NoSandbox(said.decode(errors="replace").strip() or "unshare ended without a word")
        self.sources = {here: str(self._top / str(number)) for number, here in enumerate(sources)}

    @property
    def outside(self) -> Path:
        """The file system in memory, as we see it."""
        return Path(f"/proc/{self._child.pid}/root{self._top}")

    @property
    def inside(self) -> Path:
        """The file system in memory, as what is entered sees it."""
        return self._top

    def folder(self, name: str, *, written: bool = False) -> None:
        """Make a folder there; `written`: commands may write to it."""
        path = self.outside / name
        path.mkdir()
        path.chmod(0o755)
        if written:
            own(path)

    def file(self, name: str, text: str) -> None:
        """Write a file there that commands may read."""
        path = self.outside / name
        if not path.parent.exists():
            self.folder(str(Path(name).parent))
        path.write_text(text)
        path.chmod(0o644)

    def entered(self) -> list[str]:
        """Return what a command is started with to see the stage, as nobody that this machine knows."""
        names = f"/proc/{self._child.pid}/ns"
        argv = [tool("nsenter"), f"--mount={names}/mnt", f"--pid={names}/pid_for_children"]
        if not _ROOT:
            return [*argv, f"--user={names}/user", "--preserve-credentials"]
        dropped = ("--clear-groups", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all")
        return [*argv, tool("setpriv"), f"--reuid={UID}", f"--regid={GID}", *dropped]

    def close(self) -> None:
        kill(self._child)


def own(path: Path) -> None:
    """Make something ours to change from within a sandbox."""
    os.chown(path, UID, GID, follow_symlinks=False)


@lru_cache(maxsize=8)
def tool(name: str) -> str:
    """Return the path of a program of the system. Raises NoSandbox."""
    found = shutil.which(name, path=os.defpath + ":/usr/sbin:/sbin")
    if not found:
        raise NoSandbox(f"{name} is not installed: install util-linux and mount")
    return found
