"""How many threads of this process are at something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Gauge:
    def __init__(self) -> None:
        self._lock, self.count = Lock(), 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one more meanwhile."""
        with self._lock:
            self.count += 1
        try:
            yield
        finally:
            with self._lock:
                self.count -= 1
