"""Somebody who is left to say that a driver is gone.

Ray ends a process whose raylet or head is away at once, without a word and with exit code 1, which else means rejected
shards; a machine without memory kills it. So a driver works in a child, and the process that waits for it here never
knows of Ray.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

GONE = 2  # exit code: something of ours went wrong, and the next run makes up for it
TOLD = b"."  # through the pipe: the child ends by its own will
SENT = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
FROM_KERNEL = 0  # si_code above it: sent by a terminal, to all of its processes
PDEATHSIG = 1  # prctl(2)
AGAIN = "What is done is kept: run again, and it does what is missing."


@contextmanager
def witnessed() -> Iterator[None]:
    """Go on in a child. This process waits for it, passes on to it what signals it is sent, and ends as it does, but
    for an end that nobody meant: that is told, and the exit code is 2. Call it before there are threads."""
    reading, writing = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*SENT, signal.SIGCHLD})
    parent = os.getpid()
    child = os.fork()
    if child:
        os.close(writing)
        _wait(child, reading)
    os.close(reading)
    _die_with(parent)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.write(writing, TOLD)


def _wait(child: int, reading: int) -> NoReturn:
    while True:
        sent = signal.sigwaitinfo({*SENT, signal.SIGCHLD})
        if sent.si_signo != signal.SIGCHLD:
            if sent.si_code <= FROM_KERNEL:  # by kill(2), to this process alone
                os.kill(child, sent.si_signo)
            continue
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
    code = os.waitstatus_to_exitcode(status)
    if os.read(reading, 1) == TOLD and code >= 0:
        sys.exit(code)
    print(_words(code), file=sys.stderr)
    sys.exit(GONE)


def _words(code: int) -> str:
    if code >= 0:
        return f"Ray has ended this: the cluster's head, or Ray on this machine, is gone. {AGAIN}"
    name = signal.Signals(-code).name
    more = ", maybe because the machine had no memory left" if -code == signal.SIGKILL else ""
    return f"The driver was ended by {name}{more}. {AGAIN}"


def _die_with(parent: int) -> None:
    """Have this process killed when its parent is: who kills one of them means both."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
