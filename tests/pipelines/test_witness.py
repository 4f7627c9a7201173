"""A driver ends, by its own will and otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """\
import os, signal, sys, time
from pipelines.witness import witnessed
with witnessed():
    print("here", os.getpid(), flush=True)
    {what}
"""
WAITING = """codes = {signal.SIGTERM: 130, signal.SIGINT: 131}
    def stop(number, frame):
        for one in codes:
            signal.signal(one, signal.SIG_IGN)
        sys.exit(codes[number])
    for one in codes:
        signal.signal(one, stop)
    print("ready", flush=True)
    time.sleep(60)"""


def started(what: str, **more: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(what=what)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,  # type: ignore[call-overload]
    )


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [
        ("pass", 0, ""),
        ("sys.exit(1)", 1, ""),
        ("sys.exit(130)", 130, ""),
        ("raise ValueError('mine')", 1, "ValueError: mine"),
        ("os._exit(1)", 2, "Ray has ended this"),
        ("os._exit(0)", 2, "Ray has ended this"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 2, "ended by SIGKILL, maybe because the machine had no memory left"),
        ("os.abort()", 2, "ended by SIGABRT. What is done is kept"),
    ],
)
def test_how_it_ends_is_told(what: str, code: int, said: str) -> None:
    child = started(what)
    out, err = child.communicate(timeout=60)
    assert out.startswith("here ")
    assert child.returncode == code
    assert said in err if said else not err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGINT, 131)])
@pytest.mark.parametrize("both", [False, True], ids=["to the one that waits", "to both"])
def test_a_signal_reaches_the_driver(number: signal.Signals, code: int, both: bool) -> None:
    child = started(WAITING, start_new_session=True)
    assert child.stdout
    while child.stdout.readline() != "ready\n":
        pass
    if both:
        os.killpg(child.pid, number)
    else:
        child.send_signal(number)
    assert child.wait(timeout=60) == code


def test_killed_it_takes_the_driver_with_it() -> None:
    child = started(WAITING)
    assert child.stdout
    driver = int(child.stdout.readline().split()[1])
    child.kill()
    child.wait()
    assert child.stdout.readline() in {"ready\n", ""}
    for _ in range(100):
        if not Path(f"/proc/{driver}").exists() or ") Z " in Path(f"/proc/{driver}/stat").read_text():
            return
        time.sleep(0.05)
    pytest.fail("the driver outlives the one who waits for it")
