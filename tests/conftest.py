"""Real git repositories in temporary folders, and a model endpoint that says what a test wants it to say."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from operators import index, outward
from pipelines.cluster import RAY_ENV
from pipelines.outbound import put_in_force
from tests.browsing import chromium, look  # noqa: F401 (fixtures)
from tests.endpoint import Endpoint

os.environ.update({name: value for name, value in RAY_ENV.items() if name not in os.environ})  # Ray reads it on import
if threading.current_thread() is threading.main_thread():  # workers of Ray import this in another
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a script starts in the background
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.eu",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.eu",
}
Files = Mapping[str, str | bytes | None]
# Nobody but this machine and, for environments, the package index is talked to: by fixtures of a whole file, too.
outward._policy = outward.Policy(tuple(index.allowed()))


@pytest.fixture(autouse=True)
def _this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a command puts in force ends with its test."""
    monkeypatch.setattr(outward, "_policy", outward.Policy(tuple(index.allowed())))
    before = {name: value for name, value in os.environ.items() if name.lower() in outward.PROXIES}
    yield
    os.environ.update(before)


@pytest.fixture
def allow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has a site's file name hosts: `allow(forges=["git.example.eu"])`."""

    def to(**hosts: list[str]) -> None:
        file = tmp_path / "site.yaml"
        file.write_text(json.dumps({"hosts": hosts}))
        monkeypatch.setenv("UMBAU_SITE", str(file))
        put_in_force()

    return to


class Checkout:
    """Somebody's repository: a working tree in which files are written and committed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *args: str) -> str:
        done = subprocess.run(
            ["git", *args], cwd=self.folder, env={**os.environ, **GIT}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: Files, message: str = "change") -> str:
        for path, data in files.items():
            target = self.folder / path
            if data is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data if isinstance(data, bytes) else data.encode())
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def checkout(tmp_path: Path) -> Callable[..., Checkout]:
    def make(files: Files, name: str = "billing") -> Checkout:
        made = Checkout(tmp_path / name)
        made.commit(files, "start")
        return made

    return make


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("UMBAU_HOME", str(folder))
    for name in ("UMBAU_MODEL_URL", "UMBAU_MODEL", "UMBAU_MODEL_KEY"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as server:
        yield server
