"""When to look at which repositories: at those in which something happened, at once; at all of them every so often."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence


def rounds(
    hear: Callable[[float], Sequence[str]], every: float, clock: Callable[[], float] = time.monotonic
) -> Iterator[frozenset[str] | None]:
    """Yield the repositories to look at now, None for all. `hear` waits for so many seconds at most and returns where
    something happened; what happens while one round is looked at is one round after it. Webhooks can be lost, and some
    things no webhook tells (a quiet week, a window that opens): that is what `every` (seconds) is for."""
    while True:
        began = clock()
        yield None
        while (left := began + every - clock()) > 0:
            if found := hear(left):
                yield frozenset(found)
