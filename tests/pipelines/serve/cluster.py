"""A real Ray head on this machine, which asks for a token, and `umbau` as somebody calls it beside it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Cluster:
    folder: Path
    """To work in."""
    env: dict[str, str]
    dashboard: str
    session: Path
    """Where Ray keeps its logs."""

    def umbau(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", "from pipelines.cli import main; main()", *args]
        return subprocess.run(
            argv, cwd=self.folder, env={**self.env, **env}, capture_output=True, text=True, check=False, timeout=2000
        )

    def logs(self) -> str:
        return "".join(file.read_text(errors="replace") for file in self.session.glob("session_2*/logs/**/*.*"))


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@contextmanager
def ray_head(binaries: Path, folder: Path) -> Iterator[Cluster]:
    """Start the Ray of an environment; `binaries`: its bin folder. It and all that it started end with the block."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    env = {
        "HOME": str(folder),
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "RAY_DASHBOARD_ADDRESS": address,
        "RAY_USAGE_STATS_ENABLED": "0",
        "UMBAU_HOME": str(folder / "home"),
    }
    ray = str(binaries / "ray")
    subprocess.run([ray, "get-auth-token", "--generate"], env=env, check=True, capture_output=True)
    session = Path(tempfile.mkdtemp())  # short, because the names of sockets in it may not be long
    where = ["--port", str(free_port()), "--dashboard-port", str(port), "--temp-dir", str(session)]
    where += ["--dashboard-agent-listen-port", str(free_port())]
    argv = [ray, "start", "--head", "--block", "--num-cpus", "2", *where]
    log = folder / "ray.log"
    with log.open("wb") as out:
        head = subprocess.Popen(argv, env=env, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        answering(address, head, log)
        yield Cluster(folder, env, address, session)
    finally:
        head.send_signal(signal.SIGTERM)
        try:
            head.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(head.pid, signal.SIGKILL)
        shutil.rmtree(session, ignore_errors=True)


def answering(address: str, head: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end and head.poll() is None:
        try:
            if httpx.get(address, timeout=5).status_code < 500:
                return
        except httpx.TransportError:
            time.sleep(1)
    raise AssertionError(f"Ray does not start: {log.read_text()[-2000:]}")
