"""The waiting lane: threaded actors, each shard in hand a thread, which waits for a model, for a core elsewhere or for
the others of its batch."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from operators.data import Outage, Outcome, Shard, Trouble, told
from operators.gauge import Gauge
from operators.model import CONCURRENCY, Endpoint
from operators.responses import UNANSWERED
from operators.workspace import Workspace
from pipelines.batches import Batches
from pipelines.cluster.deaths import LOST, UNTRIED, Deaths, Tried, blame, reason
from pipelines.cluster.flight import Flight
from pipelines.cluster.node import NoSpace, at_hand, called, here
from pipelines.cluster.parcels import NotSent, Parcel
from pipelines.cluster.placement import Placement, apart, near
from pipelines.data import Task
from pipelines.lanes import LOOK, Done, Moment, Tell, endpoints, outages
from pipelines.work import Kit, is_run, work

PER_LANE = 400  # shards that one actor has in hand at most: each is a thread, of some 6 MiB


class WaitingLane:
    def __init__(
        self, ray: Any, place: Placement, parcel: Callable[[str], Parcel], memory: int, deaths: Deaths, kit: Kit
    ) -> None:
        self._ray, self._place, self._parcel, self._deaths = ray, place, parcel, deaths
        self._flight: Flight[_Held] = Flight(ray, place)
        wide = 2 * _concurrency(kit) + 8 * place.cores()  # in hand: those that wait, and those being judged
        count = -(-wide // PER_LANE)
        self._wide = -(-wide // count)  # for each
        self._models = endpoints(kit)
        shares = [(model, -(-model.concurrency // count), count) for model in self._models]
        # A shard is begun again as often as a lane dies under it: of repositories' code only reading is done there.
        more = {"max_concurrency": self._wide + 1, "max_restarts": -1, "max_task_retries": LOST - 1}
        self._full: set[str] = set()  # nodes whose disks were too full for a lane
        self._left: list[Any] = []  # lanes there, with what they have in hand yet

        def lane() -> Any:
            options = {**place.actor(self._full), **more}
            return ray.remote(_Lane).options(**options).remote(place.cores(), place.task(memory), shares)

        self._lane = lane
        self._lanes = [lane() for _ in range(count)]
        self._busy: Counter[int] = Counter()
        self._of: dict[str, int] = {}

    def run(self, tasks: Iterator[Task], tell: Tell) -> Iterator[Done]:
        """Carry out tasks, yielding outcomes as they come. `tell` is told what the lanes are at."""
        looking = _Looking(self._ray, self._lanes, self._models, tell)
        with self._flight.landed():
            while True:
                looking.look(len(self._flight), self._place.cores())
                while len(self._flight) < self._wide * len(self._lanes) and (task := next(tasks, None)):
                    if failed := self._begun(task):
                        yield failed
                if not self._flight:
                    looking.look(0, self._place.cores(), LOOK if self._models else 0.0)
                    return
                for ref, held in self._flight.done():
                    self._busy[held.lane] -= 1
                    if found := self._ended(ref, held):
                        yield found

    def _begun(self, task: Task, tried: Tried = UNTRIED) -> Done:
        """Give a task to a lane: to the one that has others of its repository, as long as that has room. Returns its
        outcome if that cannot be."""
        repo = task.shard.repo
        if repo in self._deaths.aside:
            return _failed(task, self._deaths.aside[repo])
        try:
            parcel = self._parcel(repo)
        except NotSent as why:
            return _failed(task, str(why))
        lane = self._of.get(repo, -1)
        if lane < 0 or self._busy[lane] >= self._wide:
            lane = self._of[repo] = min(range(len(self._lanes)), key=lambda one: self._busy[one])
        self._busy[lane] += 1
        self._flight.add(self._lanes[lane].work.remote(parcel, task), _Held(task, lane, tried))
        return []

    def _ended(self, ref: Any, held: _Held) -> Done:
        """Return the outcome of a task, nothing when it is to be tried again."""
        task, repo = held.task, held.task.shard.repo
        try:
            outcome, aside = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            tried = held.tried.again(blame(self._ray, error), error)
            if isinstance(tried, str):
                return _failed(task, tried)
            if tried.full and tried.full[-1] not in self._full:
                self._full.add(tried.full[-1])
                self._left.append(self._lanes[held.lane])  # let go of, it would end at once
                self._lanes[held.lane] = self._lane()
            return self._begun(task, tried)
        if aside:
            self._deaths.aside[repo] = aside
        return [(task, outcome)]


@dataclass(frozen=True, slots=True)
class _Held:
    """What a lane has in hand."""

    task: Task
    lane: int
    tried: Tried


class _Looking:
    """Asks the lanes now and then, and never waits for the answers, what they are at and which models are away."""

    def __init__(self, ray: Any, lanes: list[Any], models: list[Endpoint], tell: Tell) -> None:
        self._ray, self._lanes, self._models, self._tell = ray, lanes, models, tell
        self._asked: list[Any] = []
        self._last = time.monotonic()

    def look(self, flight: int, cores: int, wait: float = 0.0) -> None:
        """Tell what the lanes have answered, and ask again when it is time. `flight`: shards in hand. `cores`: of the
        cluster, as what waits for one is not under way. `wait`: ask now, and wait so many seconds."""
        if wait or (not self._asked and time.monotonic() > self._last + LOOK):
            self._asked = [lane.at.remote(self._models) for lane in self._lanes]
            self._last = time.monotonic()
        if self._asked and len(self._ray.wait(self._asked, num_returns=len(self._asked), timeout=wait)[1]) == 0:
            outages, asking, testing = list[Outage](), 0, 0
            for ref in self._asked:
                with suppress(self._ray.exceptions.RayError):  # it died; what it had in hand goes on in a new one
                    found = self._ray.get(ref)
                    outages, asking, testing = outages + found[0], asking + found[1], testing + found[2]
            self._tell(Moment(tuple(outages), flight, asking, min(testing, cores)))
            self._asked = []


class _Lane:
    """The actor."""

    def __init__(self, cores: int, options: dict[str, Any], shares: list[tuple[Endpoint, int, int]]) -> None:
        """`options`: of what is done on a core. `shares`: of the calls at a time that each model can be sent, and of
        how many lanes."""
        import ray

        self._batches, self._deaths, self._testing = Batches(cores), Deaths(), Gauge()
        self._call, self._options = ray.remote(called), options
        for model, share, of in shares:
            model.share(share, of)

    def work(self, parcel: Parcel, task: Task) -> tuple[Outcome, str]:
        """Carry out a task. Returns also why its repository is set aside, "" if it is not."""

        def call(function: Callable[..., Any], ws: Workspace, *args: Any) -> Any:
            return self._called(task.shard, parcel, function, ws.files, *args)

        repo = task.shard.repo
        try:
            with at_hand(parcel) as kit:
                outcome = work(kit, task, call, self._batches)
        except NoSpace:
            raise
        except Exception as fault:
            outcome = Outcome(task.shard, task.past, error=told(fault))
        self._deaths.done[repo] += not outcome.error
        return outcome, self._deaths.aside.get(repo, "")

    def _called(self, shard: Shard, parcel: Parcel, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function on a core elsewhere, again where that is not its own fault. Raises what it raises, and
        Ended."""
        import ray

        # Several shards' edits: one of them did it.
        together = any(isinstance(arg, Shard) and not arg.key for arg in args)
        tried, where = UNTRIED, near(here())
        while True:
            if shard.repo in self._deaths.aside:
                raise Ended(self._deaths.aside[shard.repo])
            try:
                with self._testing.one() if is_run(args) else nullcontext():
                    return ray.get(self._call.options(**{**self._options, **where}).remote(parcel, function, *args))
            except ray.exceptions.RayError as error:
                kind = blame(ray, error)
                if kind == "raised":
                    raise error.cause from None  # type: ignore[attr-defined]
                if kind == "worker" and together:
                    raise Ended(reason(error)) from None
                if kind == "worker":
                    self._deaths.died(shard.repo, shard.key, reason(error))
                found = tried.again(kind, error)
                if isinstance(found, str):
                    raise Ended(found) from None
                tried, where = found, {"scheduling_strategy": "SPREAD", **apart(ray, self._options, found.full)}

    def at(self, models: list[Endpoint]) -> tuple[list[Outage], int, int]:
        """Return which of these models do not answer, how many shards wait for one, and how many runs of commands are
        under way, or wait for a core."""
        return outages(models), UNANSWERED.count, self._testing.count


class Ended(Trouble):
    """What was to be done elsewhere came to no end; the message says why."""


def _concurrency(kit: Kit) -> int:
    return max((model.concurrency for model in kit.models), default=CONCURRENCY)


def _failed(task: Task, error: str) -> Done:
    return [(task, Outcome(task.shard, task.past, error=error))]
