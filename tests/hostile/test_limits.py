"""What takes too much: time, processes, memory, disk, output."""

from __future__ import annotations

import shutil
import time

import pytest

from tests.hostile.conftest import GOOD, Node

DEAF = """\
import signal


def test_bad():
    for one in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(one, lambda *_: None)
    while True:
        pass
"""
FORKS = """\
import os


def test_bad():
    while True:
        try:
            os.fork()
        except OSError:
            pass
"""
THREADS = """\
import threading
import time


def test_bad():
    for _ in range(100_000):
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
"""


def test_a_loop_that_hears_no_signal_is_ended(node: Node) -> None:
    start = time.monotonic()
    (finding,) = node.judge(DEAF, timeout=3.0).findings
    assert "took more than 3 s" in finding.message
    assert time.monotonic() - start < 10


@pytest.mark.usefixtures("small")
def test_a_fork_bomb_meets_the_limit_on_processes_and_its_end(node: Node) -> None:
    (finding,) = node.judge(FORKS, timeout=4.0).findings
    assert "took more" in finding.message
    assert node.sh("true").code == 0


@pytest.mark.usefixtures("small")
def test_a_thread_bomb_meets_the_limit_on_threads(node: Node) -> None:
    (finding, *_) = node.judge(THREADS).findings
    assert "test_bad" in finding.message
    assert "can't start new thread" in finding.message


EATERS = {
    "heap": "kept = []\nwhile True:\n    kept.append(bytearray(1 << 20))\n",
    "map": "import mmap\nkept = []\nwhile True:\n    kept.append(mmap.mmap(-1, 1 << 24))\n"
    "    kept[-1].write(bytes(1 << 24))\n",
    "children": "import os, time\nfor _ in range(40):\n    if not os.fork():\n"
    "        kept = b'x' * (20 << 20)\n        time.sleep(100)\ntime.sleep(100)\n",
    "grandchildren": "import os, time\nfor _ in range(40):\n    if not os.fork():\n        os.setsid()\n"
    "        if os.fork():\n            os._exit(0)\n        kept = b'x' * (20 << 20)\n        time.sleep(100)\n"
    "time.sleep(100)\n",
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("eater", EATERS)
def test_what_takes_more_memory_than_it_may_is_ended_and_told(node: Node, eater: str) -> None:
    done = node.python(EATERS[eater])
    assert done.outgrown, done.out
    assert done.how(30) == "took more than 0.4 GB of memory"


@pytest.mark.usefixtures("small")
def test_a_test_that_takes_too_much_memory_is_no_test_that_failed(node: Node) -> None:
    test = "def test_bad():\n    kept = []\n    while True:\n        kept.append(bytearray(1 << 20))\n"
    (finding,) = node.judge(test).findings
    assert "(took more than 0.4 GB of memory)" in finding.message


HIDERS = {
    "memfd": "import os\nos.memfd_create('x')\n",
    "System V": "import ctypes\nshmget = ctypes.CDLL(None, use_errno=True).shmget\n"
    "raise SystemExit(shmget(0, ctypes.c_size_t(1 << 30), 0o1600) < 0)\n",
}


@pytest.mark.parametrize("hider", HIDERS)
def test_memory_that_belongs_to_no_process_is_not_to_be_had(node: Node, hider: str) -> None:
    assert node.python(HIDERS[hider]).code == 1


FILLERS = {
    **{
        place: f"dd if=/dev/zero of={place}/big bs=1M count=30 && dd if=/dev/zero of={place}/more bs=1M count=30 "
        f"&& dd if=/dev/zero of={place}/most bs=1M count=30"
        for place in ("/tmp", "/ws", "$HOME", "/left", "/dev/shm")
    },
    "many files": "python -c 'for number in range(10**6): open(str(number), \"w\")'",
    "many folders": "python -c 'import os\nfor number in range(10**6): os.mkdir(str(number))'",
    "one file": "dd if=/dev/zero of=/tmp/big bs=1M count=100",
}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("filler", FILLERS)
def test_what_fills_the_disk_fills_its_own(node: Node, filler: str) -> None:
    before = shutil.disk_usage("/tmp").free
    done = node.sh(FILLERS[filler])
    assert done.code
    assert any(word in done.out for word in ("No space left", "File too large", "File size limit")), done.out[-300:]
    assert before - shutil.disk_usage("/tmp").free < 32 << 20


@pytest.mark.usefixtures("small")
def test_a_file_of_a_terabyte_that_takes_no_space_is_none(node: Node) -> None:
    assert node.sh("truncate -s 1T sparse").code


def test_a_flood_of_output_is_cut(node: Node) -> None:
    start = time.monotonic()
    done = node.sh("yes | tr -d '\\n'; echo; printf '\\033[31m10 passed\\n'", timeout=20.0)
    assert len(done.out) < 300_000
    assert time.monotonic() - start < 25


@pytest.mark.usefixtures("small")
def test_a_million_files_left_are_not_read(node: Node) -> None:
    with node.ws.box() as box:
        node.ws.run(box, "cd /left && python -c 'for number in range(1500): open(str(number), \"w\")'", (), 30.0)
        assert box.taken() is None


def test_the_node_goes_on(node: Node) -> None:
    assert not node.judge("def test_bad(): ...\n" + GOOD).findings
