"""Calls the guarded child, one for each process of ours, and outlives it."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import struct
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from operators.data import Skip, Trouble
from operators.proc import ended, kill, spawn

if TYPE_CHECKING:
    from subprocess import Popen

MEMORY = 2 << 30  # bytes of address space; ordinary source of 1 MB takes LibCST about 300 MB
SECONDS = 120.0  # the longest any one file may take; a dense literal of 900 kB takes about 20
CALLS = 2_000  # a child is replaced after so many, in case a codemod leaks
TRIES = 2  # a child that was killed, or did not start, is no fault of the file
KILLED = (-signal.SIGKILL, -signal.SIGTERM)  # by somebody else, such as a kernel without memory


class Broken(Trouble):
    """The function itself failed, or the machine: a fault in a codemod or in Umbau, not in the file. The message is
    what was raised and, below, the traceback."""


class Guard:
    """A child that may crash, hang or eat its memory without harm."""

    def __init__(self) -> None:
        self._child: Popen[bytes] | None = None
        self._calls = 0
        self._lock = threading.Lock()

    def call(self, function: str, **arguments: Any) -> Any:
        """Call `function` ("module:function" of operators.syntax) in the child and return what it gives.

        Raises Skip when the file is at fault, also when the child crashed over it, ran out of the memory it may have
        or took too long; Broken otherwise.
        """
        request = json.dumps({"call": function, "with": arguments}).encode()
        with self._lock:
            answer = json.loads(self._exchange(struct.pack(">I", len(request)) + request))
        if "skip" in answer:
            raise Skip(answer["skip"])
        if "error" in answer:
            raise Broken(answer["error"])
        return answer["gives"]

    def tried(self, function: str, **arguments: Any) -> Any:
        """Do as `call`, and return None when the file is at fault: for files that are only looked at. Raises Broken."""
        with contextlib.suppress(Skip):
            return self.call(function, **arguments)
        return None

    def close(self, grace: float = 0.0) -> None:
        """End the child; `grace`: seconds for it to end by itself."""
        if self._child:
            kill(self._child, grace)
            self._child = None

    def _exchange(self, request: bytes) -> bytes:
        for _ in range(TRIES):
            try:
                return self._asked(request)
            except TimeoutError:
                self.close()
                raise Skip(f"takes the parser more than {SECONDS:.0f} s") from None
            except (EOFError, BrokenPipeError):
                code = self._ended()
            except BaseException:  # Ctrl-C in between: the answer would be taken for the next one's
                self.close()
                raise
            if code >= 0:
                raise Broken(f"a codemod, or what it uses, ended the process ({ended(code)})")
            if code not in KILLED:
                raise Skip(f"the parser died of it ({ended(code)})")
        raise Broken(f"the parser was killed {TRIES} times ({ended(code)}): is this machine short of memory?")

    def _asked(self, request: bytes) -> bytes:
        if self._calls >= CALLS or (self._child and self._child.poll() is not None):
            self.close()
        child = self._child or self._start()
        self._calls += 1
        assert child.stdin and child.stdout
        deadline = time.monotonic() + SECONDS
        child.stdin.write(request)
        child.stdin.flush()
        (length,) = struct.unpack(">I", _read(child.stdout.fileno(), 4, deadline))
        return _read(child.stdout.fileno(), length, deadline)

    def _start(self) -> Popen[bytes]:
        env = {"PATH": os.defpath, "LANG": "C.UTF-8"}
        for _ in range(TRIES):
            argv = [sys.executable, "-P", "-m", "operators.syntax.child"]
            self._child = spawn(argv, env=env, memory=MEMORY, offline=True)
            self._calls = 0
            assert self._child.stdout
            with contextlib.suppress(EOFError, TimeoutError):
                _read(self._child.stdout.fileno(), 4, time.monotonic() + SECONDS)  # the length of an empty answer
                return self._child
            code = self._ended()
        raise Broken(f"the parser cannot be started ({ended(code)})")

    def _ended(self) -> int:
        """Return the exit code of a child that says nothing more."""
        assert self._child
        child = self._child
        self.close(grace=1.0)  # our own signal would hide what it ended of
        return child.returncode


def _read(pipe: int, length: int, deadline: float) -> bytes:
    data = bytearray()
    waiting = select.poll()
    waiting.register(pipe, select.POLLIN)
    while len(data) < length:
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        chunk = os.read(pipe, length - len(data))
        if not chunk:
            raise EOFError
        data += chunk
    return bytes(data)


_guard = Guard()
call, tried = _guard.call, _guard.tried
atexit.register(_guard.close)
