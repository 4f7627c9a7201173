"""How many calls at a time an endpoint is sent: more while it keeps up, half as many when it does not."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

START = 8  # calls at a time, to begin with
SLOW = 3.0  # times the best pace: batches make each reply slower, but not by that much
DRIFT = 1.02  # by which the best pace is forgotten with each window: prompts and servers change
READ = 16  # tokens that are read in about the time in which one is written


class Throttle:
    """Additive increase, multiplicative decrease (D. Chiu, R. Jain, 1989), with TCP's slow start before the first
    decrease. Shared by all threads that call one endpoint."""

    def __init__(self, most: int) -> None:
        self._most, self.allowed = most, min(most, START)
        self._busy, self._free = 0, threading.Condition()
        self._served, self._seen, self._others = 0.0, time.monotonic(), 1
        self._not_before = self._cut = -math.inf
        self._starting, self._needed, self._best = True, False, math.inf
        self._begin_window()

    def limit(self, most: int, of: int = 0) -> None:
        """Allow no more than `most` from now on, whatever was said before. `of`: how many processes share the
        endpoint."""
        with self._free:
            self._others = of or self._others
            self._most = min(self._most, most)
            if self.allowed > self._most:
                self.allowed = self._most
                self._begin_window()

    @contextmanager
    def turn(self) -> Iterator[Callable[[], float]]:
        """Wait until one more call may be made, and make it meanwhile. Gives what says the call's share of the
        endpoint's time, in seconds: of what is served at the same time each call has the same part."""
        with self._free:
            while (pause := self._not_before - time.monotonic()) > 0 or self._busy >= self.allowed:
                self._free.wait(pause if pause > 0 else None)
            began = self._until_now()
            self._busy += 1
            self._needed = self._needed or self._busy >= self.allowed

        def share() -> float:
            with self._free:
                return self._until_now() - began

        try:
            yield share
        finally:
            with self._free:
                self._until_now()
                self._busy -= 1
                self._free.notify()

    def _until_now(self) -> float:
        """Return the seconds that a call would have had if it had been served ever since: virtual time, as in fair
        queueing (A. Demers, S. Keshav, S. Shenker, 1989)."""
        now = time.monotonic()
        if self._busy:
            self._served += (now - self._seen) / self._busy / self._others
        self._seen = now
        return self._served

    def answered(self, began: float, tokens_in: int, tokens_out: int) -> None:
        """Note a reply to a call that began at `began` (of the monotonic clock)."""
        with self._free:
            if began < self._cut:
                return  # it was sent while there were more of them
            self._count += 1
            self._seconds += time.monotonic() - began
            self._tokens += tokens_out + tokens_in / READ
            ended = self._count >= self._size
            if ended and self._slow():
                self._halve()
                return
            if (ended or self._starting) and self._needed and self.allowed < self._most:
                self.allowed += 1
                self._free.notify()
            if ended:
                self._begin_window()

    def refused(self, began: float, pause: float) -> None:
        """Note that a call was told to come back later: nobody calls for `pause` seconds, and fewer do after that.

        What is refused together counts once.
        """
        with self._free:
            self._not_before = max(self._not_before, time.monotonic() + pause)
            if began >= self._cut:
                self._halve()
            self._free.notify_all()

    def _slow(self) -> bool:
        """Say whether the replies of a window came much later, for their length, than those of the best one."""
        if not self._tokens:
            return False
        pace = self._seconds / self._tokens
        self._best = min(self._best * DRIFT, pace)
        return pace > SLOW * self._best

    def _halve(self) -> None:
        self.allowed = max(1, self.allowed // 2)
        self._cut, self._starting = time.monotonic(), False
        self._begin_window()

    def _begin_window(self) -> None:
        """Begin to count as many replies as there may be calls at a time. Without need of more there is no growth."""
        self._size, self._count, self._seconds, self._tokens = self.allowed, 0, 0.0, 0.0
        self._needed = self._busy >= self.allowed
