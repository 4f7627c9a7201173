"""A real Ray cluster on this machine, which asks for a token: a head that works on nothing, and a node that does."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.pipelines.serve.cluster import ROOT, answering, free_port

BIN = Path(sys.executable).parent
TOKEN = "7b1f" * 16
SECRET = "what-the-forge-wants-to-know"


@dataclass(frozen=True)
class Cluster:
    folder: Path
    """HOME of whoever runs the cluster, and whoever submits to it."""
    dashboard: str
    gcs: str
    env: dict[str, str]
    """Of who submits."""

    @property
    def home(self) -> Path:
        """Where the driver keeps what it keeps."""
        return self.folder / ".umbau"

    def call(self, *argv: str, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        given = {name: value for name, value in {**self.env, **env}.items() if value}
        cwd = cwd or self.folder
        return subprocess.run(argv, cwd=cwd, env=given, capture_output=True, text=True, check=False, timeout=240)

    def umbau(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.call(sys.executable, "-c", "from pipelines.cli import main; main()", *args, **env)


@contextmanager
def ray_cluster(folder: Path, *, token: bool = True) -> Iterator[Cluster]:
    """Start it; all of it ends with the block."""
    port, dashboard = free_port(), free_port()
    # Ray is started as on a machine whose `python` is another one than Ray's.
    env = {"HOME": str(folder), "PATH": os.defpath, "PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    env |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN} if token else {"RAY_AUTH_MODE": "disabled"}
    # Short, because the names of sockets in them may not be long. Nodes that shared one would take the folders of jobs
    # away from each other.
    sessions = [Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())]
    address = f"http://127.0.0.1:{dashboard}"
    where = ["--port", str(port), "--dashboard-port", str(dashboard), "--temp-dir", str(sessions[0])]
    started = []
    try:
        head = _start(folder, {**env, "FORGE_TOKEN": SECRET}, "--head", "--num-cpus", "0", *where)
        started.append(head)
        answering(address, head, folder / "ray.log")
        gcs = f"127.0.0.1:{port}"
        started.append(_start(folder, env, "--address", gcs, "--num-cpus", "2", "--temp-dir", str(sessions[1])))
        mine = {name: value for name, value in env.items() if name != "RAY_AUTH_MODE"}
        yield Cluster(folder, address, gcs, {**mine, "RAY_API_SERVER_ADDRESS": address})
    finally:
        for node in reversed(started):
            node.send_signal(signal.SIGTERM)
        for node in started:
            try:
                node.wait(60)
            except subprocess.TimeoutExpired:
                os.killpg(node.pid, signal.SIGKILL)
        for session in sessions:
            shutil.rmtree(session, ignore_errors=True)


def _start(folder: Path, env: dict[str, str], *args: str) -> subprocess.Popen[bytes]:
    # Agents of all nodes would listen at one port.
    own = [
        "--dashboard-agent-listen-port",
        str(free_port()),
        "--node-ip-address",
        "127.0.0.1",
        "--object-store-memory",
        str(100 << 20),
        "--block",
    ]
    argv = [str(BIN / "ray"), "start", *args, *own]
    with (folder / "ray.log").open("ab") as out:
        return subprocess.Popen(argv, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
