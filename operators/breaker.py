"""Tells a call that fails from an endpoint that is gone, for all calls of this process."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable

from operators.data import Away, Outage

PATIENCE = 600.0  # seconds that an endpoint which has answered before may be away
LONGEST = 60.0  # seconds between two probes


class Breaker:
    """No failure counts as the endpoint's until a question of one word fails as well: the probe.

    While it is probed every other call is held back. One that does not answer is probed again with growing pauses, for
    PATIENCE, if waiting may help and it has ever answered; then it is gone for good, as this process sees it.
    (M. Nygard, Release It!, "Circuit Breaker"; the probes are its half-open state.)
    """

    def __init__(self, probe: Callable[[], tuple[str, bool]]) -> None:
        """`probe` returns why there is no answer, "" when there is one, and whether waiting may help."""
        self._probe, self._turn = probe, threading.Lock()
        self._gone = ""
        self._answered = self._back = -math.inf
        self._lost: tuple[str, float] | None = None

    def wait(self) -> None:
        """Return when a call may be made; as a rule at once. Raises Away."""
        with self._turn:
            if self._gone:
                raise Away(self._gone)

    def answered(self) -> None:
        """Note that a call was answered."""
        self._answered = time.monotonic()

    def outage(self, url: str) -> Outage | None:
        """Say what is known of an endpoint that does not answer; None of one that does. Never waits."""
        lost = self._lost
        if lost is None:
            return None
        why, start = lost
        seconds = time.monotonic() - start
        return Outage(url, why, seconds, 0.0 if self._gone else max(1.0, PATIENCE - seconds))

    def suspect(self, since: float) -> bool:
        """Do as `doubt`, without being sure yet: of an endpoint that has never answered think nothing."""
        return self._answered > -math.inf and self.doubt(since)

    def doubt(self, since: float) -> bool:
        """Find out whose fault it is that a try, begun at `since` (of the monotonic clock), failed.

        Returns False when the endpoint answers others, True when it was away and is back. Raises Away.
        """
        with self._turn:
            if self._gone:
                raise Away(self._gone)
            if self._answered <= since:
                self._ask()
            return self._back > since

    def _ask(self) -> None:
        start, pause, known = time.monotonic(), 1.0, self._answered > -math.inf
        while True:
            why, passing = self._probe()
            if not why:
                self._lost = None
                self.answered()
                self._back = self._answered if pause > 1.0 else self._back
                return
            self._lost = (why, start)
            if not (passing and known) or time.monotonic() + pause > start + PATIENCE:
                self._gone = why
                raise Away(why)
            time.sleep(random.uniform(0.5, 1.0) * pause)
            pause = min(2 * pause, LONGEST)
