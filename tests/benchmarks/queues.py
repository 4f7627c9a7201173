"""Queues in simulated time: what a simulated month is made of."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from operator import add

Then = Callable[[], None]
HOUR, DAY, WEEK = 3600.0, 86_400.0, 604_800.0
_FROM, _WORKDAY = 9 * HOUR, 8 * HOUR


class World:
    """A clock, in seconds from a Monday's midnight, and what is to happen at which time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._todo: list[tuple[float, int, Servers | None, Then]] = []
        self._number = 0

    def at(self, time: float, then: Then, servers: Servers | None = None) -> None:
        """Have something happen; before, one of the servers is free again."""
        self._number += 1
        heappush(self._todo, (time, self._number, servers, then))

    def run(self, going: Callable[[], bool]) -> None:
        """Let happen what is to happen, as long as it goes on."""
        while self._todo and going():
            self.now, _, servers, then = heappop(self._todo)
            if servers:
                servers.give()
            then()


class Servers:
    """So many servers, all alike; who comes first is served first. `end` says when so many seconds of work end that
    begin at a time."""

    def __init__(self, world: World, count: int, end: Callable[[float, float], float] = add) -> None:
        self.world, self.count, self.end = world, count, end
        self.free = count
        """Below zero while those that were lost still serve somebody."""
        self.busy = 0.0
        """Seconds of work begun by all of them together."""
        self._queue: deque[tuple[float, Then]] = deque()

    def serve(self, seconds: float, then: Then) -> None:
        if self.free > 0:
            self._begin(seconds, then)
        else:
            self._queue.append((seconds, then))

    def _begin(self, seconds: float, then: Then) -> None:
        self.free -= 1
        self.busy += seconds
        self.world.at(self.end(self.world.now, seconds), then, self)

    def give(self, count: int = 1) -> None:
        """Have as many more that are free."""
        self.free += count
        while self._queue and self.free > 0:
            self._begin(*self._queue.popleft())

    def lose(self, count: int, seconds: float) -> None:
        """Be without some of them for a while."""
        self.free -= count
        self.world.at(self.world.now + seconds, lambda: self.give(count))


def worked(time: float) -> float:
    """Return the seconds of working time, Monday to Friday from 9 to 17, before a moment."""
    weeks, rest = divmod(time, WEEK)
    days, clock = divmod(rest, DAY)
    today = min(max(clock - _FROM, 0.0), _WORKDAY) if days < 5 else 0.0
    return (weeks * 5 + min(days, 5)) * _WORKDAY + today


def at_work(start: float, seconds: float) -> float:
    """Return when work ends that takes so many seconds of working time."""
    days, rest = divmod(worked(start) + seconds, _WORKDAY)
    weeks, day = divmod(days, 5)
    return weeks * WEEK + day * DAY + _FROM + rest
