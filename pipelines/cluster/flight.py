"""Tasks in flight: waited for, and taken back when nobody waits any longer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from pipelines.cluster.placement import LOOK, Placement
from pipelines.cluster.start import PATIENCE, Gone

BEAT = 1.0  # seconds that are waited at a time
T = TypeVar("T")


class Flight(Generic[T]):
    """What was asked of Ray and is not done, each with what it was asked for."""

    def __init__(self, ray: Any, place: Placement) -> None:
        self._ray, self._place = ray, place
        self._refs: dict[Any, T] = {}
        self._asked = self._heard = time.monotonic()

    def __len__(self) -> int:
        return len(self._refs)

    def __iter__(self) -> Iterator[T]:
        return iter(self._refs.values())

    def add(self, ref: Any, what: T) -> None:
        self._refs[ref] = what

    def done(self) -> list[tuple[Any, T]]:
        """Return what is done; nothing when a second has passed without, or nothing was asked for. Raises Gone when the
        cluster is."""
        if not self._refs:
            return []
        found, _ = self._ray.wait(list(self._refs), num_returns=1, timeout=BEAT, fetch_local=False)
        if found:
            self._place.moved()
        else:
            self._place.check()
        self._listen()
        return [(ref, self._refs.pop(ref)) for ref in found]

    def _listen(self) -> None:
        """See now and then whether the head answers. Raises Gone before Ray ends this process."""
        if time.monotonic() < self._asked + LOOK:
            return
        self._asked = time.monotonic()
        if not self._place.unreachable():
            self._heard = time.monotonic()
        elif time.monotonic() > self._heard + PATIENCE:
            raise Gone(
                f"the cluster has not answered for {PATIENCE:.0f} s: run again when it does; what is done is kept"
            )

    @contextmanager
    def landed(self) -> Iterator[None]:
        """Take back what is in flight when this is left early."""
        try:
            yield
        finally:
            for ref in self._refs:
                with suppress(Exception):  # it may be done by now
                    self._ray.cancel(ref)
