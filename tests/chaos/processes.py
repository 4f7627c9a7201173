"""Processes as the kernel tells them: whose child is whose, which are at work, which were left behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    state: str
    words: str
    """Its command line, words apart by spaces; "" when it is a zombie."""

    def __str__(self) -> str:
        return f"{self.pid} {self.words[:120]}"


def below(pid: int) -> list[Process]:
    """Return what a process has started, and what that has started, zombies left out."""
    children: dict[int, list[Process]] = {}
    for one in _all():
        children.setdefault(one.parent, []).append(one)
    found, todo = [], [pid]
    while todo:
        new = children.get(todo.pop(), [])
        found += new
        todo += [one.pid for one in new]
    return [one for one in found if one.state != "Z"]


def _all() -> Iterator[Process]:
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):  # it may end meanwhile
            facts = (folder / "stat").read_text().rpartition(")")[2].split()
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            yield Process(int(folder.name), int(facts[1]), facts[0], words)


def until(true: Callable[[], bool], seconds: float) -> bool:
    """Wait for something; say whether it came true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def shoot(pids: Iterable[int], how: signal.Signals = signal.SIGKILL) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, how)


def exposing(pids: Iterable[int], secrets: Iterable[str]) -> list[str]:
    """Return the processes in whose environment or command line a secret stands."""
    found = []
    for pid in pids:
        with suppress(OSError):
            shown = b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("environ", "cmdline"))
            found += [f"process {pid} knows a secret" for secret in secrets if secret.encode() in shown]
    return found
