"""Machines on this machine: each with an address, processes, /tmp/ray and /srv of its own, on one wire.

They are made of namespaces, by an ordinary user, as the sandbox needs them too; all they ran ends with them.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_OWN = ("/tmp/ray", "/srv", "/dev/shm")
_MORTAL = ("setpriv", "--pdeathsig", "KILL")  # ends with the tests, however these end
_HUB = ("unshare", "--user", "--map-root-user", "--net", "--mount", *_MORTAL, "sleep", "infinity")
_ONE = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "sleep", "infinity")


class Machine:
    def __init__(self, pid: int, address: str, home: Path) -> None:
        self._pid, self.address, self.home = pid, address, home

    def run(self, command: str, *, timeout: float = 120) -> str:
        """Run a shell command there, as over ssh, and return what it said. Raises AssertionError when it fails."""
        env = {"HOME": str(self.home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        argv = [*_inside(self._pid, "net", "mount", "pid"), f"--wd={self.home}", "bash", "--login", "-c", command]
        done = subprocess.run(
            argv, env=env, stdout=-1, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        return done.stdout

    def listening(self) -> set[tuple[str, int]]:
        """Return each address, `*` for all, and port that anything there listens on."""
        found = (line.split()[3].rpartition(":") for line in self.run("ss -Htln").splitlines())
        plain = ((address.removeprefix("[::ffff:").strip("[]"), int(port)) for address, _, port in found)
        return {("*" if address in {"0.0.0.0", "::"} else address, port) for address, port in plain}


@contextmanager
def machines(folder: Path, addresses: Sequence[str]) -> Iterator[list[Machine]]:
    """Give one machine for each address; their homes are in `folder`. Raises OSError where namespaces are forbidden."""
    Path("/tmp/ray").mkdir(exist_ok=True)
    started = [subprocess.Popen(_HUB)]
    try:
        hub = _inside(_ready(started[0].pid, "user"), "net", "mount")
        _do([*hub, "ip", "link", "add", "wire", "type", "bridge"])
        _do([*hub, "ip", "link", "set", "wire", "up"])
        made = []
        for number, address in enumerate(addresses):
            started.append(subprocess.Popen([*hub, *_MORTAL, "unshare", *_ONE]))
            pid = _ready(_child(started[-1].pid), "pid")
            _do([*hub, "ip", "link", "add", f"end{number}", "type", "veth", "peer", "name", "eth0", "netns", str(pid)])
            _do([*hub, "ip", "link", "set", f"end{number}", "master", "wire", "up"])
            inside = _inside(pid, "net", "mount", "pid")
            _do([*inside, "ip", "address", "add", f"{address}/24", "dev", "eth0"])
            for device in ("lo", "eth0"):
                _do([*inside, "ip", "link", "set", device, "up"])
            for place in _OWN:
                _do([*inside, "mount", "-t", "tmpfs", "tmpfs", place])
            home = folder / f"home{number}"
            home.mkdir()
            made.append(Machine(pid, address, home))
        yield made
    finally:
        for process in reversed(started):
            process.kill()  # unshare does not hear of SIGTERM
            process.wait()


def _inside(pid: int, *kinds: str) -> list[str]:
    return ["nsenter", f"--target={pid}", "--user", "--preserve-credentials", *(f"--{kind}" for kind in kinds)]


def _do(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(argv)}: {done.stderr}")


def _child(pid: int) -> int:
    for _ in range(100):
        if children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            grandchildren = Path(f"/proc/{children[0]}/task/{children[0]}/children").read_text().split()
            return int(grandchildren[0] if grandchildren else children[0])
        time.sleep(0.05)
    raise OSError("no namespaces can be made here")


def _ready(pid: int, kind: str) -> int:
    """Wait until a process is in a namespace of its own, and return it."""
    ours = Path(f"/proc/self/ns/{kind}").readlink()
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/ns/{kind}").readlink() != ours and Path(f"/proc/{pid}/comm").read_text() == "sleep\n":
                return pid
        except FileNotFoundError:
            break
        time.sleep(0.05)
    raise OSError("no namespaces can be made here")
