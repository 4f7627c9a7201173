"""`umbau bot` as somebody runs it, beside a double of GitLab that sends it webhooks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.conftest import Checkout
from tests.pipelines.forges.gitlab.double import GitLabDouble
from tests.pipelines.forges.gitlab.state import DEVELOPER, MAINTAINER

pytestmark = pytest.mark.slow
NAME, TOKEN, HOOK = "group/sub/billing", "glpat-Sehr.Geheim-1234", "a secret of webhooks"
JOB = """\
name: bump
repos: [{{gitlab: {{group: group}}}}]
select: {{contains: "= 1$"}}
steps: [{{shell: "sed -i 's/= 1$/= 2/' {{paths}}"}}]
checks: [inside]
forge: {{gitlab: {url}}}
merge_request: {{merge: approved}}
"""
MAIN = "from pipelines.cli import main; main()"


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@dataclass
class Place:
    double: GitLabDouble
    folder: Path
    port: int

    @property
    def env(self) -> dict[str, str]:
        known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**known, "UMBAU_HOME": str(self.folder / "home"), "GITLAB_TOKEN": TOKEN, "UMBAU_WEBHOOK_SECRET": HOOK}

    def argv(self, *args: str) -> list[str]:
        return [sys.executable, "-c", MAIN, *args]

    def umbau(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        env = {**self.env, **env}
        argv = self.argv(*args)
        return subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, timeout=300, check=False)

    def state(self) -> str:
        (request,) = self.double.at(NAME).requests.values()
        return str(request.state)

    def hook(self) -> int:
        body = {"object_kind": "merge_request", "project": {"path_with_namespace": NAME}, "at": time.time()}
        url = f"http://127.0.0.1:{self.port}/umbau-bot/hooks/gitlab"
        return httpx.post(url, json=body, headers={"X-Gitlab-Token": HOOK}).status_code


@pytest.fixture
def place(tmp_path: Path, checkout: Callable[..., Checkout]) -> Iterator[Place]:
    source = checkout({"a.py": "x = 1\n"})
    with GitLabDouble(tmp_path / "gitlab") as double:
        bot, ada = double.user("group_7_bot_0f", bot=True), double.user("ada")
        double.token(TOKEN, bot)
        double.project(NAME, source.folder).members |= {bot.id: DEVELOPER, ada.id: MAINTAINER}
        (tmp_path / "job.yaml").write_text(JOB.format(url=double.url))
        yield Place(double, tmp_path, free_port())


@pytest.fixture
def running(place: Place) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    said = place.umbau("run", "job.yaml")
    assert said.returncode == 0, said.stderr
    log = place.folder / "bot.log"
    with log.open("w") as out:
        argv = place.argv("bot", "job.yaml", "--port", str(place.port), "--every", "100000")
        child = subprocess.Popen(argv, cwd=place.folder, env=place.env, stdout=out, stderr=out, text=True)
    try:
        wait(lambda: "nothing to do" in log.read_text(), child, log)
        yield child, log
    finally:
        child.kill()
        child.wait()


def wait(true: Callable[[], bool], child: subprocess.Popen[str], log: Path, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert child.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.2)


def test_an_approval_is_heard_and_merged(place: Place, running: tuple[subprocess.Popen[str], Path]) -> None:
    child, log = running
    assert place.state() == "opened"
    (request,) = place.double.at(NAME).requests.values()
    place.double.pipeline(NAME, request.source, "success")
    place.double.approve("ada", NAME, 1)
    calls = len(place.double.calls)
    assert place.hook() == 202
    wait(lambda: place.state() == "merged", child, log)
    assert len(place.double.calls) - calls < 15
    assert "1 merged" in log.read_text()
    child.send_signal(signal.SIGINT)
    assert child.wait(60) == 130
    assert "Stopped" in log.read_text()
    for secret in (TOKEN, HOOK):
        assert secret not in log.read_text()
        found = [file for file in (place.folder / "home").rglob("*") if file.is_file() and file.name != "webhooks"]
        assert not [file for file in found if secret.encode() in file.read_bytes()]
    kept = place.folder / "home" / "keys" / "webhooks"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == (HOOK, 0o600)


@pytest.mark.parametrize(
    ("env", "code", "words"),
    [
        ({"UMBAU_WEBHOOK_SECRET": ""}, 64, "UMBAU_WEBHOOK_SECRET: a webhook's secret has 16 or more characters"),
        ({"GITLAB_TOKEN": ""}, 64, "GITLAB_TOKEN is not set"),
        ({}, 2, "bump has not been run yet: umbau run"),
    ],
)
def test_what_it_cannot_begin_with(place: Place, env: dict[str, str], code: int, words: str) -> None:
    done = place.umbau("bot", "job.yaml", "--port", str(place.port), **env)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
