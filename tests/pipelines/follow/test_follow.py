"""Looking at a job from another process than the one that drives it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines import view
from pipelines.errors import Refused
from pipelines.follow.followed import Followed, looked, news
from pipelines.progress import Progress, put
from pipelines.store import Store
from tests.conftest import Checkout
from tests.endpoint import Endpoint

ROOT = Path(__file__).parents[3]
UMBAU = (sys.executable, "-c", "from pipelines.cli import main; main()")
JOB = """\
name: count
repos: [{{git: billing}}, {{git: shop}}]
select: {{contains: '= 1$'}}
steps: [{{rewrite: {{prompt: Count., model: {{url: "{url}", name: scripted}}}}}}]
checks: [inside]
"""
BLOCK = "<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Model:
    """Answers the first question at once, the others when it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = 0, threading.Event()

    def __call__(self, request: dict[str, Any]) -> str:
        self.asked += 1
        if self.asked > 1:
            self.let_go.wait(100)
        return BLOCK


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with closing(Store(home / "store.db")) as made:
        yield made


def umbau(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*UMBAU, *args], capture_output=True, text=True, check=False, timeout=120, cwd=ROOT)


@pytest.fixture
def job(tmp_path: Path, home: Path, checkout: Callable[..., Checkout], endpoint: Endpoint) -> Path:
    for name in ("billing", "shop"):
        checkout({f"m{number}.py": f"x = 1\n# {number}\n" for number in range(3)}, name)
    endpoint.script = Model()
    file = tmp_path / "job.yaml"
    file.write_text(JOB.format(url=endpoint.url))
    return file


def driver(job: Path) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "tests.pipelines.driven", str(job)]
    return subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def dumped(home: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{home / 'store.db'}?mode=ro", uri=True)) as connection:
        return list(connection.iterdump())


def until(seen: Callable[[], Any], seconds: float = 90.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def test_a_run_is_seen_from_elsewhere_and_when_its_driver_is_killed(
    job: Path, home: Path, store: Store, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = driver(job)
    followed = Followed("count", store)

    def asking() -> bool:
        if followed.progress or store.plan("count"):
            followed.look()
        return bool(followed.progress and followed.progress.asking and followed.progress.counts.get("accepted"))

    try:
        until(asking)
        told = json.loads(umbau("watch", str(job), "--once", "--json").stdout)
        assert (told["job"], told["gone"], told["progress"]["stage"]) == ("count", False, "run")
        assert told["progress"]["where"].endswith(f" {process.pid}")
        assert sum(told["progress"]["counts"].values()) == 6
        assert told["remaining"] == "6 of 6 files in 2 of 2 repositories"
        seen = umbau("watch", "count", "--once").stdout.splitlines()
        assert re.fullmatch(rf"count  run  for \d+ s  \S+ {process.pid}", seen[0])
        assert seen[1:3] == ["repositories 2", "remaining 6 of 6 files in 2 of 2 repositories"]
        assert "1 in hand  1 asking a model  0 testing" in "\n".join(seen)
        status = umbau("status", str(job)).stdout
        assert "remaining 6 of 6 files in 2 of 2 repositories" in status
        assert re.match(r"count  run  for ", status)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    followed.look()
    monkeypatch.setattr("pipelines.follow.followed.GONE", 1.0)
    monkeypatch.setattr(view, "GONE", 1.0)
    until(lambda: followed.gone)
    followed.look()
    assert "last heard of" in "".join(piece for line in followed.lines(100) for piece, _ in line)

    assert isinstance(endpoint.script, Model)
    endpoint.script.let_go.set()
    again = driver(job)
    assert again.wait(timeout=120) == 0
    before = dumped(home)
    seen = umbau("watch", "count", "--once").stdout.splitlines()
    assert re.fullmatch(r"count  no driver is at work  the last ended \d+ s ago", seen[0])
    assert "6 accepted" in seen
    assert re.search(r"ago: opened (billing|shop) umbau/count/", "\n".join(seen))
    assert dumped(home) == before, "who watches writes nothing"


def test_news_are_told_and_silence_is_once(store: Store) -> None:
    clock = Clock()
    put(store, Progress("count", 990.0, "run", "box 7", 1, {"waiting": 3}))
    followed = Followed("count", store, clock)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds
        if len(slept) == 2:
            put(store, Progress("count", 700.0, "run", "box 7", 1, {"waiting": 2}))  # a clock that goes otherwise
        if len(slept) == 9:
            raise Refused("enough")

    told: list[tuple[float, bool]] = []
    with pytest.raises(Refused, match="enough"):
        for one in news([followed], 5.0, sleep):
            told.append((clock.now, one.gone))
    assert told == [(1000.0, False), (1010.0, False), (1035.0, True)]


def test_a_snapshot_that_is_old_already_tells_of_silence_at_once(store: Store) -> None:
    put(store, Progress("count", 700.0, "run", "box 7", 1, {"waiting": 3}))
    (followed,) = looked([Followed("count", store, Clock())])
    assert (followed.gone, followed.silent) == (True, 300.0)
    put(store, Progress("count", 700.0, "", "box 7", 1, {"waiting": 3}))
    followed.look()
    assert not followed.gone, "it has said good-bye"


def test_names_and_words_of_others_act_on_nothing(store: Store) -> None:
    bad = "\x1b]0;x\x07[red]\x1b[2Jshop\n"
    store.log.note("count", "merged", bad, {"branch": bad, "url": bad, "number": 1, "at": 1.0})
    put(store, Progress("count", 990.0, "run", bad, 1, {"failed": 3}, failures={bad: 3}))
    (followed,) = looked([Followed("count", store, Clock())])
    lines = ["".join(piece for piece, _ in line) for line in followed.lines(80)]
    assert all(line.isprintable() for line in lines)
    assert any("merged [red]shop" in line for line in lines)


@pytest.mark.usefixtures("home")
def test_what_is_not_there_is_told() -> None:
    done = umbau("watch", "count", "--once")
    assert done.returncode == 2
    assert "nothing was run here" in done.stderr


def test_tables_of_another_version_stay_as_they_are(home: Path) -> None:
    with closing(sqlite3.connect(home / "store.db")) as connection:
        connection.execute("create table alembic_version (version_num text)")
        connection.execute("insert into alembic_version values ('0002')")
        connection.commit()
    before = dumped(home)
    done = umbau("watch", "count", "--once")
    assert done.returncode == 2
    assert "has tables of another version of Umbau (0002; " in done.stderr
    assert dumped(home) == before


def test_a_job_that_the_store_does_not_know_is_told(store: Store) -> None:
    assert store.plan("other") is None
    done = umbau("watch", "other", "--once")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("the store knows no job other: run it first")


def test_on_a_terminal_it_is_drawn_and_left_tidy(store: Store) -> None:
    put(store, Progress("count", time.time(), "run", "box 7", 1, {"accepted": 1, "waiting": 3}))
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "60", "LINES": "12"}
    process = subprocess.Popen([*UMBAU, "watch", "count"], stdout=theirs, stderr=theirs, env=env, cwd=ROOT)
    os.close(theirs)
    seen = b""
    while b"4 shards" not in seen:
        seen += os.read(ours, 1 << 16)
    put(store, Progress("count", time.time(), "run", "box 7", 1, {"accepted": 3, "waiting": 1}))
    while b"3 of 4 shards" not in seen:
        seen += os.read(ours, 1 << 16)
    process.send_signal(signal.SIGINT)
    try:
        while more := os.read(ours, 1 << 16):
            seen += more
    except OSError:  # how Linux says that nobody is at the other end any more
        pass
    os.close(ours)
    assert process.wait() == 130
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l"), "the cursor is back"
    assert b"Traceback" not in seen
    assert re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", seen).rstrip().endswith(b"1 waiting")
