"""A Ray cluster whose nodes can be killed, frozen and made anew: each has its own address, processes and disk.

The head has no CPU. Nothing but the network is shared: each node has a folder of its own for what is temporary, and, as
root, sees nothing of the driver's folder. All nodes ask for the same token.
"""

from __future__ import annotations

import os
import random
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipelines.cluster import RAY_ENV
from tests.chaos.processes import Process, below, shoot, until

ROOT = Path(__file__).parents[2]
STORE = 80 << 20  # bytes of objects that a node holds; Ray takes no less than 75 MiB
START = 120.0  # seconds: some ten on an idle machine
END = 30.0  # seconds that all of a node may take to end
HEALTH = {  # a node that does not answer is given up after some 15 s instead of a minute
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "3000",
    "RAY_health_check_failure_threshold": "5",
}
PASSED = ("PATH", "HOME", "LANG", "VIRTUAL_ENV")


_LANE = re.compile(r"ray::\w*Lane")
_WORKER = re.compile(r"ray::(?!\w*Lane)[a-z_]")  # of ours: Ray's own agents and idle workers begin with a capital


class Node:
    """One `ray start --block` and what it started."""

    def __init__(self, cluster: Cluster, name: str, address: str, options: list[str], env: Mapping[str, str]) -> None:
        self.cluster, self.name, self.address = cluster, name, address
        self.folder = cluster.folder / name
        self.disk = self.folder / "tmp"
        """Where what is temporary goes: caches of repositories among it."""
        self.disk.mkdir(parents=True, exist_ok=True)
        self.said = (self.folder / "said").open("ab")
        ray = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--disable-usage-stats"]
        ray += [f"--node-ip-address={address}", f"--temp-dir={self.folder / 'ray'}", "--include-log-monitor=false"]
        ray += ["--min-worker-port=0", "--max-worker-port=0", f"--object-store-memory={STORE}", *options]
        self._argv = [sys.executable, str(Path(__file__).with_name("keeper.py")), *_hiding(cluster.driver), *ray]
        self._env = {**cluster.env, "TMPDIR": str(self.disk), **env}
        self._again = True
        self.child = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._argv,
            env=self._env,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=self.said,
            stderr=self.said,
            start_new_session=True,
        )

    def processes(self) -> list[Process]:
        return below(self.child.pid)

    def _named(self, part: str) -> list[int]:
        return [one.pid for one in self.processes() if part in one.words]

    @property
    def raylet(self) -> int:
        return next(iter(self._named("--raylet_socket_name=")), 0)

    @property
    def gcs(self) -> int:
        return next(iter(self._named("/gcs_server ")), 0)

    def workers(self) -> list[int]:
        """Return the processes that do a task of ours now."""
        return [one.pid for one in self.processes() if _WORKER.match(one.words)]

    def lanes(self) -> list[int]:
        """Return the processes of waiting lanes."""
        return [one.pid for one in self.processes() if _LANE.match(one.words)]

    def up(self) -> bool:
        late = self.child.poll() is not None and b"timed out during startup" in (self.folder / "said").read_bytes()
        if late and self._again:  # Ray gives up after thirty seconds, which a busy machine may need
            self._again, self.child = False, self._started()
        assert self.child.poll() is None, f"{self.name} has ended: {(self.folder / 'said').read_text()[-2000:]}"
        return b"Ray runtime started" in (self.folder / "said").read_bytes()

    def kill(self) -> None:
        """Kill the raylet alone: what it started is left to find out."""
        shoot([self.raylet])

    def freeze(self) -> list[int]:
        """Stop every process; return them, to be thawed."""
        found = [one.pid for one in self.processes()]
        shoot(found, signal.SIGSTOP)
        return found

    def end(self) -> list[Process]:
        """Have it end, as `ray stop` would, unless it was killed; return what has not, and kill that."""
        self.stop()
        left: list[Process] = []
        try:
            self.child.wait(END)
        except subprocess.TimeoutExpired:
            left = self.processes()
            shoot(one.pid for one in left)
            self.child.wait()
        self.said.close()
        return left

    def stop(self) -> None:
        """Tell it to end, whether it is frozen or not."""
        shoot((one.pid for one in self.processes()), signal.SIGCONT)
        shoot((one.pid for one in self.processes() if one.parent == self.child.pid), signal.SIGTERM)


class Cluster:
    """A head and its nodes, by name."""

    def __init__(self, folder: Path, *, lasting: bool = False) -> None:
        """`lasting`: the head keeps what it knows on disk."""
        self.folder, self.lasting = folder, lasting
        self.driver = folder / "driver"
        """What drivers have, and nodes do not see."""
        self.driver.mkdir()
        self.token = secrets.token_hex(32)
        (folder / "token").write_text(self.token)
        passed = {name: os.environ[name] for name in PASSED if name in os.environ}
        auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
        self.env = {**passed, **RAY_ENV, **auth, **HEALTH, "PYTHONPATH": str(ROOT)}
        self._net = f"127.{random.SystemRandom().randrange(1, 250)}.{random.SystemRandom().randrange(1, 250)}"
        self._port, self._client, self._made = _free(), _free(), 1
        self.head = self._head()
        self.nodes: dict[str, Node] = {}
        self.dead: list[Node] = []
        """Those that were killed, and may not know it yet."""

    @property
    def address(self) -> str:
        return f"{self._net}.1:{self._port}"

    def _head(self) -> Node:
        options = ["--head", f"--port={self._port}", f"--ray-client-server-port={self._client}"]
        options += ["--num-cpus=0", "--include-dashboard=false", f"--dashboard-port={_free()}"]
        kept = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(self.folder / "gcs")} if self.lasting else {}
        return Node(self, "head", f"{self._net}.1", options, kept)

    def add(self, *, cores: int = 1, env: Mapping[str, str] | None = None, labels: str = "", size: int = 0) -> Node:
        """Start a node; it is there when `wait` returns. `size`: bytes of its disk, for which root is needed."""
        self._made += 1
        name = f"n{self._made}"
        if size:
            disk = self.folder / name / "tmp"
            disk.mkdir(parents=True)
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "umbau", disk], check=True)
        options = [f"--address={self.address}", f"--num-cpus={cores}", *([f"--labels={labels}"] if labels else [])]
        made = Node(self, name, f"{self._net}.{self._made}", options, env or {})
        self.nodes[name] = made
        return made

    def remove(self, node: Node) -> None:
        """Have a node end. Fails when it leaves something behind."""
        left = node.end()
        del self.nodes[node.name]
        if node.disk.is_mount():
            subprocess.run(["umount", "--lazy", node.disk], check=True)
        assert not left, f"{node.name} left behind: {[*map(str, left)]}"

    def wait(self) -> None:
        for node in (self.head, *self.nodes.values()):
            assert until(node.up, START), f"{node.name} does not start: {(node.folder / 'said').read_text()[-2000:]}"

    def replace(self, node: Node) -> Node:
        """Start another in the place of one that was killed."""
        self.dead.append(self.nodes.pop(node.name))
        return self.add()

    def bury(self) -> None:
        """See that the killed nodes are gone. Fails when one has left something behind."""
        while self.dead:
            node = self.dead.pop()
            left = node.end()
            assert not left, f"{node.name} was killed and left behind: {[*map(str, left)]}"

    def behead(self) -> None:
        """Kill the head, all of it, and start it again."""
        shoot(one.pid for one in self.head.processes())
        self.head.end()
        (self.head.folder / "ray" / "ray_current_cluster").unlink()  # `ray start` would believe that it runs
        (self.head.folder / "said").unlink()
        self.head = self._head()

    def processes(self) -> list[Process]:
        return [one for node in (self.head, *self.nodes.values()) for one in node.processes()]

    def close(self) -> list[Process]:
        """Stop everything; return what was left behind, and kill it."""
        for node in self.nodes.values():
            node.stop()  # all at a time
        left = [one for node in (*self.nodes.values(), *self.dead, self.head) for one in node.end()]
        for node in self.nodes.values():
            if node.disk.is_mount():
                subprocess.run(["umount", "--lazy", node.disk], check=True)
        return left

    @classmethod
    @contextmanager
    def started(cls, count: int = 3, *, lasting: bool = False) -> Iterator[Cluster]:
        """Give a cluster of so many nodes of one core. Fails when it leaves a process behind."""
        folder = Path(tempfile.mkdtemp(prefix="uc-", dir="/tmp"))  # the paths of sockets must be short
        cluster = cls(folder, lasting=lasting)
        left: list[Process] = []
        try:
            assert until(cluster.head.up, START), (cluster.head.folder / "said").read_text()[-2000:]
            for _ in range(count):
                cluster.add()
            cluster.wait()
            yield cluster
        finally:
            left = cluster.close()
            shutil.rmtree(folder, ignore_errors=True)
        assert not left, f"left behind: {[*map(str, left)]}"


def _hiding(folder: Path) -> list[str]:
    """Return what a program is started with so that it does not see a folder; [] without the rights."""
    if os.geteuid():
        return []
    script = 'mount -t tmpfs umbau "$0" && exec "$@"'
    return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", script, str(folder)]


def _free() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def beating(node: Node, work: float, rest: float, ended: float) -> None:
    """Let a node run in beats: so many seconds of work, then of rest, until `ended` (of the monotonic clock)."""
    while time.monotonic() < ended:
        frozen = node.freeze()
        time.sleep(rest)
        shoot(frozen, signal.SIGCONT)
        time.sleep(work)
