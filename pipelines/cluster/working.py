"""The working lane: batches of shards of one repository, each on a core."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from operators.data import Outcome
from pipelines.cluster.deaths import UNTRIED, Deaths, Tried, blame, reason
from pipelines.cluster.flight import Flight
from pipelines.cluster.node import work_on
from pipelines.cluster.parcels import NotSent, Parcel
from pipelines.cluster.placement import Placement
from pipelines.data import Task
from pipelines.lanes import LOOK, Done, Halted, Moment, Tell

SECONDS = 0.5  # of work that a batch of shards should hold: some 200 times what Ray spends on a task
AHEAD = 64  # batches that are looked at for one whose files are where there is room, and more on a large cluster
MOST = 200  # shards in a batch, all done again when its worker dies


@dataclass(frozen=True, slots=True)
class _Batch:
    tasks: tuple[Task, ...]
    tried: Tried = UNTRIED

    @property
    def repo(self) -> str:
        return self.tasks[0].shard.repo


class WorkingLane:
    def __init__(
        self,
        ray: Any,
        place: Placement,
        parcel: Callable[[str], Parcel],
        memory: int,
        deaths: Deaths,
        homes: dict[str, str],
    ) -> None:
        """`homes`: nodes that have a repository at hand, known and noted."""
        self._ray, self._place, self._parcel, self._memory = ray, place, parcel, memory
        self._deaths, self._homes = deaths, homes
        self._work = ray.remote(work_on)
        self._flight: Flight[_Batch] = Flight(ray, place)
        self._again: deque[_Batch] = deque()
        self._ahead: deque[_Batch] = deque()
        self._pace = SECONDS  # seconds per shard, smoothed; the first batches are of one

    def run(self, tasks: Iterator[Task], tell: Tell, halted: Halted, commands: bool) -> Iterator[Done]:
        """Carry out tasks, yielding outcomes as they come. `tell` is told what is in hand; once it is `halted`, what
        was looked at ahead is dropped. `commands`: whether tasks run any."""
        told = time.monotonic()
        drawn = _batches(tasks, lambda: max(1, min(MOST, int(SECONDS / self._pace))))
        with self._flight.landed():
            while True:
                if self._ahead and halted():
                    self._ahead.clear()
                while len(self._flight) < 2 * self._place.cores() and (batch := self._next(drawn)):
                    if failed := self._begun(batch):
                        yield failed
                if time.monotonic() > told + LOOK or not self._flight:
                    told, shards = time.monotonic(), sum(len(batch.tasks) for batch in self._flight)
                    busy = min(len(self._flight), self._place.cores())
                    tell(Moment(flight=shards, testing=busy if commands else 0))
                if not self._flight:
                    return
                for ref, batch in self._flight.done():
                    if found := self._ended(ref, batch):
                        yield found

    def _next(self, drawn: Iterator[_Batch]) -> _Batch | None:
        """Return what to begin next: a repository that has as many in flight as fit where it is at hand lets others
        pass, so that it need not be sent to every node; one that is at hand nowhere yet, after its first."""
        if self._again:
            return self._again.popleft()
        self._ahead += islice(drawn, AHEAD + 2 * self._place.cores() - len(self._ahead))
        flying, fit = Counter(batch.repo for batch in self._flight), self._place.cores_each()
        for at, batch in enumerate(self._ahead):
            if flying[batch.repo] < (fit if batch.repo in self._homes else 1):
                del self._ahead[at]
                return batch
        return self._ahead.popleft() if self._ahead else None

    def _begun(self, batch: _Batch) -> Done:
        """Start a batch. Returns outcomes if it cannot be."""
        if batch.repo in self._deaths.aside:
            return _failed(batch, self._deaths.aside[batch.repo])
        try:
            parcel = self._parcel(batch.repo)
        except NotSent as why:
            return _failed(batch, str(why))
        options = self._place.task(self._memory, self._homes.get(batch.repo, ""), batch.tried.full)
        self._flight.add(self._work.options(**options).remote(parcel, list(batch.tasks)), batch)
        return []

    def _ended(self, ref: Any, batch: _Batch) -> Done:
        """Return the outcomes of a batch, nothing when it is to be tried again."""
        try:
            node, outcomes = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            return self._lost(batch, error)
        self._homes.setdefault(batch.repo, node)
        self._deaths.done[batch.repo] += len(outcomes)
        self._pace = max(1e-4, 0.5 * self._pace + 0.5 * sum(one.seconds for one in outcomes) / len(outcomes))
        return list(zip(batch.tasks, outcomes, strict=True))

    def _lost(self, batch: _Batch, error: Exception) -> Done:
        """Have a batch done again, or say why not. Where several shards took a worker down, one of them did it."""
        kind = blame(self._ray, error)
        if kind == "worker" and len(batch.tasks) > 1:
            self._again.extend(_Batch((task,)) for task in batch.tasks)
            return []
        if kind == "worker":
            self._deaths.died(batch.repo, batch.tasks[0].shard.key, reason(error))
        if kind == "cluster":
            self._homes.pop(batch.repo, None)  # it may have been that node
        tried = batch.tried.again(kind, error)
        if isinstance(tried, str):
            return _failed(batch, self._deaths.aside.get(batch.repo, tried))
        self._again.append(replace(batch, tried=tried))
        return []


def _batches(tasks: Iterator[Task], size: Callable[[], int]) -> Iterator[_Batch]:
    """Yield tasks in batches, each of one repository, of as many as there are to be by the time it is drawn."""
    batch: list[Task] = []
    most = size()
    for task in tasks:
        if batch and (len(batch) >= most or task.shard.repo != batch[0].shard.repo):
            yield _Batch(tuple(batch))
            batch, most = [], size()
        batch.append(task)
    if batch:
        yield _Batch(tuple(batch))


def _failed(batch: _Batch, error: str) -> Done:
    return [(task, Outcome(task.shard, task.past, error=error)) for task in batch.tasks]
