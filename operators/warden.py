"""Runs one command in bubblewrap and sees to it that it ends with all it started: in time, within its memory, and
before anything that it left is read."""

from __future__ import annotations

import json
import os
import select
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from operators import seccomp
from operators.data import Trouble
from operators.proc import Result, begin, ends, kill
from operators.stage import NoSandbox

BEAT = 0.1  # seconds between two looks at the memory
PATIENCE = 60.0  # seconds for the kernel to end what was killed
_PAGE = os.sysconf("SC_PAGE_SIZE")


def guarded(
    bubblewrap: Sequence[str],
    options: Sequence[str],
    command: Sequence[str],
    env: Mapping[str, str],
    *,
    timeout: float,
    memory: int,
) -> Result:
    """Run a command under `bubblewrap`, which is given `options` where nobody inside can read them.

    `env` is the whole environment, also that of bubblewrap, whose own can be read inside. `timeout` in seconds;
    `memory` in bytes, resident, of all its processes together. Raises NoSandbox when it did not come to the command.
    """
    start = time.monotonic()
    with tempfile.TemporaryFile() as sink, ExitStack() as ours, ExitStack() as theirs:
        told, tell = _pipe(ours, theirs)
        wait, go = _pipe(theirs, ours)
        rules = _handed(theirs, seccomp.program())
        own = {"--json-status-fd": tell, "--block-fd": wait, "--seccomp": rules}
        more = [part for name, handle in own.items() for part in (name, str(handle.fileno()))]
        given = _handed(theirs, b"".join(os.fsencode(f"{option}\0") for option in (*options, *more)))
        argv = [*bubblewrap, "--args", str(given.fileno()), "--", *command]
        handles = [handle.fileno() for handle in (tell, wait, rules, given)]
        child = begin(argv, cwd=Path("/"), env=env, sink=sink, handles=handles)
        theirs.close()
        first = -1
        try:
            ending = os.pidfd_open(child.pid)
            ours.callback(os.close, ending)
            found = _first(child.pid) if "child-pid" in json.loads(told.readline() or "{}") else 0
            if found:
                first = os.pidfd_open(found)  # it waits for us, so the number is still its own
                ours.callback(os.close, first)
            go.close()
            why = _watched(ending, found, start + timeout, memory) if found else ""
        finally:
            _end(first)
            kill(child)
        if not why and b"exit-code" not in told.read():
            raise NoSandbox(ends(sink).strip() or "bubblewrap ended without a word")
        code = -signal.SIGKILL if why else child.returncode
        return Result(code, ends(sink), time.monotonic() - start, why == "time", memory if why == "memory" else 0)


def _first(entering: int) -> int:
    """Return the number that the first process of bubblewrap's namespace has for us, who see it through another: it is
    the child of bubblewrap, which is the child of what enters the stage. 0: somebody has ended them."""
    try:
        for _ in range(2):
            entering = int(Path(f"/proc/{entering}/task/{entering}/children").read_text())
    except (OSError, ValueError):
        return 0
    return entering


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    read, write = os.pipe()
    return reader.enter_context(os.fdopen(read, "rb")), writer.enter_context(os.fdopen(write, "wb"))


def _handed(stack: ExitStack, data: bytes) -> IO[bytes]:
    """Return a file in memory that bubblewrap may read from its start."""
    file = stack.enter_context(os.fdopen(os.memfd_create("umbau"), "w+b"))
    file.write(data)
    file.seek(0)
    return file


def _watched(ending: int, first: int, deadline: float, memory: int) -> str:
    """Wait for a command to end, or say what it took too much of: "time" or "memory"."""
    waiting = select.poll()
    waiting.register(ending, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0:
        if waiting.poll(min(BEAT, left) * 1000):
            return ""
        if _resident(first) > memory:
            return "memory"
    return "time"


def _resident(first: int) -> int:
    """Return the bytes that all processes hold which the namespace's first one can see; none as long as it sees those
    of the whole machine, on its way into the box."""
    pages, shown = 0, Path(f"/proc/{first}/root/proc")
    with suppress(OSError):
        if shown.stat().st_dev == Path("/proc").stat().st_dev:
            return 0
        for process in shown.iterdir():
            if process.name.isdigit():
                with suppress(OSError):  # it has ended
                    pages += int((process / "statm").read_bytes().split()[1])
    return pages * _PAGE


def _end(first: int) -> None:
    """Kill a namespace's first process, by which the kernel ends all others; wait until it has."""
    if first < 0:
        return
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(first, signal.SIGKILL)
    waiting = select.poll()
    waiting.register(first, select.POLLIN)
    if not waiting.poll(PATIENCE * 1000):
        raise Trouble(f"a command was killed and has not ended within {PATIENCE:.0f} s")
