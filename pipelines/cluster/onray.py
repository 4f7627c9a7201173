"""The lanes of a Ray cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import cached_property
from itertools import chain
from typing import Any

from pipelines.cluster.deaths import LOST, Deaths
from pipelines.cluster.flight import Flight
from pipelines.cluster.meter import RayMeter
from pipelines.cluster.metering import metered
from pipelines.cluster.parcels import Bundles, Parcel, parcels
from pipelines.cluster.placement import Placement
from pipelines.cluster.preparing import preparing
from pipelines.cluster.start import Gone, first, started
from pipelines.cluster.waiting import WaitingLane
from pipelines.cluster.working import WorkingLane
from pipelines.data import Task
from pipelines.lanes import Done, Halted, Prepared, Tell
from pipelines.notice import notice
from pipelines.work import Kit, runs_commands, shares, without_sandbox


class OnRay:
    """A Ray cluster: one that is started here, or the one at `address`. It is not touched before there is work."""

    def __init__(self, address: str = "", cores: int | None = None) -> None:
        self._address, self._cores = address, cores
        self._quiet = ExitStack()
        self._deaths = Deaths()
        self._homes: dict[str, str] = {}

    @cached_property
    def _ray(self) -> Any:
        self._quiet.enter_context(redirect_stdout(sys.stderr))  # where results go, Ray prints what its workers die of
        return started(self._address, self._cores)

    @cached_property
    def _place(self) -> Placement:
        return Placement(self._ray, bool(self._address), lambda line: notice(line, "cluster"))

    @cached_property
    def _bundles(self) -> Bundles | None:
        return Bundles(self._ray) if self._address else None

    @property
    def aside(self) -> Mapping[str, str]:
        """Repositories of which the last run, or preparation, tried no more, with the reason: they kill workers."""
        return self._deaths.aside

    @property
    def meter(self) -> RayMeter | None:
        """Where metrics go: to the cluster. None is started to be told."""
        return self._meter if self._address or "_ray" in self.__dict__ else None

    @cached_property
    def _meter(self) -> RayMeter:
        self.start()
        return RayMeter()

    @property
    def bundled(self) -> int:
        """How many bundles were put into the object store."""
        return self._bundles.puts if self._bundles else 0

    def start(self) -> None:
        """Bring the cluster up now, and not with the first task."""
        assert self._ray

    def close(self) -> None:
        if "_ray" in self.__dict__:
            self._ray.shutdown()
        self._quiet.close()

    def prepare(self, kit: Kit, repos: Iterable[str]) -> Iterator[Prepared]:
        self._deaths = Deaths()
        with self._answering():
            memory = self._place.memory(kit)
            parcel = self._parcels(kit, memory)
            yield from preparing(self._ray, self._place, parcel, memory, self._deaths, self._homes, repos)

    def run(
        self,
        kit: Kit,
        tasks: Iterable[Task],
        tell: Tell = lambda found: None,
        halted: Halted = lambda: False,
    ) -> Iterator[Done]:
        one = next(tasks := iter(tasks), None)
        if one is None:
            return
        tasks, self._deaths = chain([one], tasks), Deaths()
        with self._answering(), metered(self._ray, self._place, kit) as own:
            memory = self._place.memory(own)
            given = self._ray, self._place, self._parcels(own, memory), memory, self._deaths
            if (own.recipe.operator.waits or shares(own.recipe)) and not one.offered:
                yield from WaitingLane(*given, own).run(tasks, tell)
            else:
                yield from WorkingLane(*given, self._homes).run(tasks, tell, halted, runs_commands(own))

    def without_sandbox(self) -> str:
        with self._answering():
            flight: Flight[None] = Flight(self._ray, self._place)
            options = self._place.task(0) | {"max_retries": LOST}
            flight.add(self._ray.remote(without_sandbox).options(**options).remote(), None)
            while not (done := flight.done()):
                pass
            why: str = self._ray.get(done[0][0])
        return why

    def _parcels(self, kit: Kit, memory: int) -> Callable[[str], Parcel]:
        return parcels(self._ray, kit, memory, self._place.driver, self._bundles)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Say in words that the cluster is gone. What a task died of is seen to where it is known."""
        ray = self._ray  # not asked for below: whoever is stopped while it comes up must not start it again
        try:
            yield
        except ray.exceptions.RayError as error:
            raise Gone(
                f"the cluster is gone ({first(error)}): run again when it is back; what is done is kept"
            ) from None
