"""What a run looks like on a terminal, and in a log of JSON."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Checkout
from tests.endpoint import Endpoint

ROOT = Path(__file__).parents[2]
JOB = """\
name: count
repos: [{{git: "{hostile}"}}, {{git: shop}}]
select: {{contains: '= 1$'}}
steps: [{{rewrite: {{prompt: Count., model: {{url: "{url}", name: scripted}}}}}}]
checks: [inside, {{command: "! grep -q odd {{paths}}"}}]
sandbox: none
attempts: 1
"""
BLOCK = "<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n"
HOSTILE = "[red]bill[bold]ing"


class Model:
    """Answers two questions, the others when it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = 0, threading.Event()

    def __call__(self, request: dict[str, Any]) -> str:
        self.asked += 1
        if self.asked > 2:
            self.let_go.wait(100)
        return BLOCK


@pytest.fixture
def job(tmp_path: Path, home: Path, checkout: Callable[..., Checkout], endpoint: Endpoint) -> Path:
    checkout({f"m{number}.py": f"x = 1\n# {number}\n" for number in range(3)}, HOSTILE)
    checkout({"odd\x07.py": "x = 1\n# shop\n", "n.py": "x = 1\n# odd\n"}, "shop")
    endpoint.script = Model()
    file = tmp_path / "job.yaml"
    file.write_text(JOB.format(url=endpoint.url, hostile=HOSTILE))
    return file


class Terminal:
    """Somebody who looks at a run."""

    def __init__(self, job: Path, columns: int, rows: int, **env: str) -> None:
        self.ours, theirs = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.ours)
        argv = [sys.executable, "-m", "tests.pipelines.driven", str(job)]
        given = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
        given |= {"TERM": "xterm-256color", **env}
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=theirs, env=given, cwd=ROOT)
        self.theirs, self.seen = theirs, b""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, words: str, after: int = 0) -> None:
        deadline = time.monotonic() + 120
        while words not in plain(self.seen[after:]):
            assert time.monotonic() < deadline, plain(self.seen)[-2000:]
            self.seen += os.read(self.ours, 1 << 16)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what was printed as the result."""
        os.close(self.theirs)
        try:
            while more := os.read(self.ours, 1 << 16):
                self.seen += more
        except OSError:  # how Linux says that nobody is at the other end any more
            pass
        assert termios.tcgetattr(self.ours) == self.before
        os.close(self.ours)
        out = self.process.communicate()[0].decode()
        return self.process.returncode, out

    def frames(self) -> list[list[str]]:
        """Return what stood there at each time: rich goes back to the first line before it draws anew."""
        drawn = re.split(rb"\r(?:\x1b\[2K(?:\x1b\[1A)?)+|\x1b\[\?25[lh]", self.seen)
        shown = [plain(one).replace("\r", "").rstrip("\n") for one in drawn]
        return [one.split("\n") for one in shown if "count" in one]

    @property
    def tidy(self) -> bool:
        return self.seen.rindex(b"\x1b[?25h") > self.seen.rindex(b"\x1b[?25l")


def plain(seen: bytes) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode(errors="replace"))


def let_go(endpoint: Endpoint) -> None:
    assert isinstance(endpoint.script, Model)
    endpoint.script.let_go.set()


@pytest.mark.parametrize(("columns", "rows", "env"), [(60, 12, {"NO_COLOR": "1"}), (120, 40, {}), (60, 6, {})])
def test_a_run_stands_on_the_terminal(
    job: Path, endpoint: Endpoint, columns: int, rows: int, env: dict[str, str]
) -> None:
    terminal = Terminal(job, columns, rows, **env)
    terminal.until("2 accepted")
    if rows > 6:
        terminal.until("1 in hand  1 asking a model  0 testing")
    let_go(endpoint)
    code, out = terminal.end()
    assert (code, out.splitlines()[0]) == (1, "shards   3 accepted, 1 rejected")
    assert terminal.tidy
    colours = re.findall(rb"\x1b\[[0-9;]*3[0-7][0-9;]*m|\x1b\[38;", terminal.seen)
    assert bool(colours) is not bool(env)
    frames = terminal.frames()
    assert max(len(line) for frame in frames for line in frame) < columns
    assert max(map(len, frames)) < rows
    assert any("remaining 4 of 4 files in 2 of 2 repositories" in frame for frame in frames)
    assert not plain(terminal.seen).strip().endswith("waiting"), "the last frame is taken away"


def test_another_width_is_filled(job: Path, endpoint: Endpoint) -> None:
    terminal = Terminal(job, 120, 40)
    terminal.until("2 accepted")
    terminal.resize(60, 40)
    after = len(terminal.seen)
    terminal.until("1 in hand", after + 1000)
    let_go(endpoint)
    terminal.end()
    assert max(len(line) for line in terminal.frames()[-2]) < 60
    assert terminal.tidy


def test_stopped_the_terminal_is_left_tidy(job: Path, endpoint: Endpoint) -> None:
    terminal = Terminal(job, 80, 24)
    terminal.until("2 accepted")
    terminal.process.send_signal(signal.SIGINT)
    let_go(endpoint)
    code, out = terminal.end()
    assert (code, out) == (130, "")
    assert terminal.tidy
    assert plain(terminal.seen).rstrip().endswith("shards are done and kept. The same command goes on here.")


def test_a_log_in_json(job: Path, endpoint: Endpoint) -> None:
    let_go(endpoint)
    argv = [sys.executable, "-m", "tests.pipelines.driven", str(job)]
    done = subprocess.run(
        argv,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
        env={**os.environ, "UMBAU_LOG": "json"},
    )
    assert done.stdout.startswith("shards   3 accepted, 1 rejected\n"), "the result stays what it is"
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.stderr.isascii()
    assert "\x07" not in done.stderr
    for line in lines:
        assert line["level"] in {"info", "warning", "error"}
        assert line["job"] == "count"
        assert line["time"].endswith("Z")
        assert datetime.fromisoformat(line["time"]).year > 2000
    found = {event: [one for one in lines if one["event"] == event] for event in {one["event"] for one in lines}}
    assert set(found) == {"stage", "repository", "stage_ended", "remaining", "shard", "request", "opened"}
    assert [one["stage"] for one in found["stage"]] == ["plan", "run", "gather", "tend"]
    assert {one["repo"] for one in found["repository"]} == {HOSTILE, "shop"}
    assert {"repo", "hits", "lines", "total", "total_lines", "commit"} <= found["remaining"][0].keys()
    assert [one["level"] for one in found["shard"]].count("warning") == 1
    rejected = next(one for one in found["shard"] if one["status"] == "rejected")
    assert rejected["shard"] == "n.py"
    assert rejected["why"].startswith("command")
    assert {"key", "attempts", "seconds", "read", "written"} <= rejected.keys()
    assert found["stage_ended"][1]["counts"] == {"accepted": 3, "rejected": 1}
    assert {"action", "why", "url", "branch", "trouble"} <= found["request"][0].keys()
    assert {"branch", "url", "number", "at"} <= found["opened"][0].keys()


def test_what_is_wrong_is_told_in_json_too(job: Path) -> None:
    job.write_text("name: [")
    argv = [sys.executable, "-c", "from pipelines.cli import main; main()", "run", str(job), "--log", "json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)
    (line,) = map(json.loads, done.stderr.splitlines())
    assert (done.returncode, done.stdout) == (64, "")
    assert (line["event"], line["level"], line["code"]) == ("error", "error", 64)
    assert str(job) in line["message"]


def test_there_are_two_kinds_of_log(job: Path) -> None:
    argv = [sys.executable, "-c", "from pipelines.cli import main; main()", "run", str(job), "--log", "xml"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)
    assert (done.returncode, done.stderr) == (64, "--log xml: it is text or json\n")
