"""How fast things go of late, and how long they will take."""

from __future__ import annotations

from collections import deque

WINDOW = 300.0  # seconds that "of late" means
LEAST = 3  # shards that must have come to an end before it is told when the last one will


class Pace:
    """Amounts that come now and then, in the memory of some hundred seconds."""

    def __init__(self, since: float) -> None:
        """`since`: when it is begun to count, in seconds of the clock that is gone by."""
        self._since, self._marks = since, deque[tuple[int, float]]()
        self.total = 0.0

    def add(self, amount: float, now: float) -> None:
        self.total += amount
        second = int(now)
        if self._marks and self._marks[-1][0] == second:
            amount += self._marks.pop()[1]
        self._marks.append((second, amount))
        while self._marks[0][0] < second - WINDOW:
            self._marks.popleft()

    def rate(self, now: float) -> float:
        """Return how much comes in a second, of late; right after the beginning, since then."""
        span = min(WINDOW, now - self._since)
        return sum(amount for second, amount in self._marks if second > now - WINDOW) / max(1.0, span)


def left(waiting: int, ended: float, rate: float) -> float | None:
    """Return the seconds until `waiting` shards are done at this rate, None as long as that cannot be told: nothing has
    come to an end of late, or too few (`ended`, of this run)."""
    if not waiting:
        return 0.0
    return waiting / rate if rate > 0 and ended >= LEAST else None
