from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from operators.data import Outage
from pipelines.console import Stage, Watch, shows


@pytest.fixture
def out() -> io.StringIO:
    """Where lines go when there is no terminal: a log, a pipe."""
    return io.StringIO()


def later(stage: Stage, seconds: float) -> None:
    """Let time go by."""
    stage.start -= seconds
    stage.told -= seconds


def test_what_is_quick_is_not_worth_a_line(out: io.StringIO) -> None:
    with Watch(out=out).stage("run", 3) as stage:
        for _ in range(3):
            stage.advance(1, "accepted")
    assert out.getvalue() == ""


def test_what_takes_its_time_is_told_at_its_end(out: io.StringIO) -> None:
    with Watch(out=out).stage("run", 9, 2) as stage:
        stage.advance(3, "accepted")
        stage.advance(1, "failed")
        stage.advance(2, "accepted")
        later(stage, 2)
    assert out.getvalue() == "run      8/9 5 accepted, 1 failed\n"


def test_and_every_few_seconds_meanwhile(out: io.StringIO) -> None:
    with Watch(out=out).stage("run", 4) as stage:
        stage.advance(1, "rejected")
        later(stage, shows.EVERY)
        stage.advance(1, "accepted")
        stage.advance(1, "accepted")
        later(stage, shows.EVERY)
        stage.advance(1, "unchanged")
    assert out.getvalue() == "run      2/4 1 accepted, 1 rejected\nrun      4/4 2 accepted, 1 unchanged, 1 rejected\n"


def test_the_same_is_not_told_twice(out: io.StringIO) -> None:
    with Watch(out=out).stage("run", 4) as stage:
        later(stage, shows.EVERY)
        stage.advance(1, "accepted")
        stage.show.ended(stage, None)
    assert out.getvalue() == "run      1/4 1 accepted\n"


@pytest.mark.parametrize(
    ("total", "told"), [(3, "plan     2/3 shop\n"), (None, "plan     2 shop\n")], ids=["known", "unknown"]
)
def test_what_has_no_status_is_told_by_name(out: io.StringIO, total: int | None, told: str) -> None:
    with Watch(out=out).stage("plan", total) as stage:
        stage.advance(1, "billing")
        stage.advance(1, "shop")
        later(stage, 2)
    assert out.getvalue() == told


def test_nothing_is_nothing(out: io.StringIO) -> None:
    with Watch(out=out).stage("run", 5, 5) as stage:
        stage.advance(0, "failed")
        later(stage, 2)
    assert out.getvalue() == "run      5/5\n"


def test_a_stage_that_ends_early_is_not_told_as_done(out: io.StringIO) -> None:
    with pytest.raises(KeyboardInterrupt), Watch(out=out).stage("run", 5) as stage:
        stage.advance(1, "accepted")
        later(stage, 2)
        raise KeyboardInterrupt
    assert out.getvalue() == ""


def test_quiet(out: io.StringIO) -> None:
    with Watch(quiet=True, out=out).stage("run", 5) as stage:
        later(stage, 100)
        stage.advance(1, "accepted")
        later(stage, 100)
    assert out.getvalue() == ""


WHY = "model endpoint http://gpu/v1 cannot be reached (refused)"
CLOCK = r"\d\d:\d\d:\d\d"


@pytest.mark.parametrize("quiet", [False, True])
def test_an_endpoint_that_is_away_is_told_once_and_that_it_is_back(out: io.StringIO, quiet: bool) -> None:
    with Watch(quiet=quiet, out=out).stage("run", 4) as stage:
        for seconds in (1.0, 2.0, 41.7):
            stage.outages([Outage("http://gpu/v1", f"{WHY}\x1b[2J", seconds, 600 - seconds)])
        stage.outages([])
        stage.outages([])
    away, back = out.getvalue().splitlines()
    waits = rf"{re.escape(WHY)}\[2J since {CLOCK}: the shards that need it wait, until {CLOCK} at most"
    assert re.fullmatch(waits, away)
    assert back == "model endpoint http://gpu/v1 answers again, after 42 s or more: going on"


def test_of_two_models_of_one_endpoint_it_is_told_once(out: io.StringIO) -> None:
    with Watch(out=out).stage("run", 4) as stage:
        stage.outages([Outage("u", "first", 1, 599), Outage("u", "second", 1, 599)])
        stage.outages([Outage("u", "second", 2, 598)])
        stage.outages([Outage("u", "second", 600, 0)])
        stage.outages([Outage("u", "second", 601, 0)])
    away, gone = out.getvalue().splitlines()
    assert away.startswith("first since ")
    assert gone == "second: the shards that need it are left for another run"


def test_by_itself_it_writes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with Watch().stage("run", 1) as stage:
        stage.advance(1, "accepted")
        later(stage, 2)
    assert capsys.readouterr() == ("", "run      1/1 1 accepted\n")


def on_a_terminal(code: str) -> tuple[str, str]:
    """Run code whose stderr is a terminal; return what is seen there, colours left out, and its stdout."""
    ours, theirs = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    root = Path(__file__).parents[2]
    program = f"from pipelines.console import Watch\n{code}"
    done = subprocess.Popen([sys.executable, "-c", program], stderr=theirs, stdout=subprocess.PIPE, env=env, cwd=root)
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += os.read(ours, 1 << 16)
        except OSError:  # how Linux says that nobody is at the other end any more
            break
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode()), done.communicate()[0].decode()


def test_on_a_terminal_there_are_bars() -> None:
    seen, out = on_a_terminal(
        "with Watch().stage('run', 4, 1) as stage:\n"
        "    stage.advance(2, 'accepted'); stage.advance(1, 'rejected')\n"
        "print('the result')"
    )
    last = seen.strip().splitlines()[-1]
    assert re.search(r"run .*━+.* 4/4 +\d:\d\d:\d\d +2 accepted, 1 rejected", last)
    assert out == "the result\n", "nothing of it gets into what is piped on"


def test_on_a_terminal_names_are_taken_as_they_are() -> None:
    seen, _ = on_a_terminal("with Watch().stage('plan', None) as stage: stage.advance(1, 'group[red]/odd[/b]')")
    assert re.search(r"plan .* 1/\? .*group\[red\]/odd\[/b\]", seen)


def test_on_a_terminal_quiet_is_quiet() -> None:
    assert on_a_terminal("with Watch(quiet=True).stage('run', 4) as stage: stage.advance(4, 'accepted')") == ("", "")


def test_on_a_terminal_an_outage_stands_above_the_bar() -> None:
    seen, out = on_a_terminal(
        "from operators.data import Outage\n"
        "with Watch().stage('run', 4) as stage:\n"
        "    stage.outages([Outage('http://gpu/v1', 'model endpoint [red]is away[/red]', 1, 599)])\n"
        "    stage.outages([])"
    )
    assert re.search(rf"model endpoint \[red\]is away\[/red\] since {CLOCK}: the shards that need it wait", seen)
    assert "model endpoint http://gpu/v1 answers again" in seen
    assert out == ""
