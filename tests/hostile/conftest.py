"""Repositories that mean harm, on the real sandbox; what they must not touch is watched from outside."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from operators import sandbox
from operators.checks.tests import Tests
from operators.data import Edit, Ruling
from operators.proc import Result
from operators.workspace import Workspace
from tests.conftest import Checkout
from tests.operators.conftest import base_of, shard_of

GOOD = "def test_good(): ...\n"
FACTS = {"pytest -q": {"code": 0, "results": {"test_good.py::test_good": "passed", "test_bad.py::test_bad": "passed"}}}
SMALL = replace(sandbox.LIMITS, memory=400 << 20, disk=64 << 20, files=2000, processes=64, largest=32 << 20)


class Node:
    """A machine on which a hostile repository's commands are run."""

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws

    def sh(self, command: str, timeout: float = 30.0) -> Result:
        """Run a command in a box of its own."""
        with self.ws.box() as box:
            return self.ws.run(box, command, (), timeout)

    def python(self, program: str, timeout: float = 30.0) -> Result:
        with self.ws.box() as box:
            box.give("hostile.py", program)
            return self.ws.run(box, "python -m hostile", (), timeout)

    def judge(self, test: str, timeout: float = 30.0) -> Ruling:
        """Judge an edit whose `test_bad` is this: it passed on the untouched commit."""
        edit = Edit({"test_bad.py": test})
        return Tests("pytest -q", timeout).judge(self.ws.over(edit), shard_of(self.ws.base, "test_bad.py"), edit)


def running(mark: str) -> list[str]:
    """What runs with this mark in its environment, wherever and under whatever parent."""
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit() and mark.encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "LIMITS", SMALL)


clock = re.compile(r"\w+ +\d+ \d\d:\d\d")
SHOW = "ls -laR /ws /left ~ /tmp /dev/shm /given"


@pytest.fixture
def node(tmp_path: Path, checkout: Callable[..., Checkout], monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """Afterwards nothing that was started runs, no folder of a box is left, and the next box is as clean as the
    first."""
    mark = f"hostile-{secrets.token_hex(8)}"
    base = base_of(checkout({"test_good.py": GOOD, "test_bad.py": "def test_bad(): ...\n"}), tmp_path)
    own = Node(Workspace(replace(base, facts=FACTS)))
    before = own.sh(SHOW).out
    monkeypatch.setenv("LC_ALL", mark)
    with own.ws.box() as box:
        assert mark in own.ws.run(box, "tr '\\0' ' ' < /proc/1/environ", (), 30.0).out
    yield own
    assert not running(mark)
    monkeypatch.undo()
    assert clock.sub("", own.sh(SHOW).out) == clock.sub("", before)
