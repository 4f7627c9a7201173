"""What is known of each job, kept up to date by one thread of its own while somebody looks: a page shows what is known
and when it was counted, and waits for nothing that takes long."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

from pipelines.dashboard.tally import Counted, Tally
from pipelines.store import Store
from pipelines.store.browse import Outline
from pipelines.store.log import Event, Spent
from pipelines.tell import About, Told, about_of, memories, requests_of

FRESH = 2.0  # seconds for which nothing is asked again
PATIENCE = 0.15  # seconds that a page waits for what is asked
EVENTS = 300  # that are kept to be shown


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a job at one moment."""

    at: float
    """Seconds since 1970."""
    outline: Outline
    counted: Counted
    spent: Mapping[str, Spent]
    """By repository."""
    about: About
    asked: float
    """When a driver asked the forge last."""
    requests: tuple[Told, ...]
    """Open ones first, and of these the oldest."""
    states: Mapping[str, int]
    """Requests by state."""
    events: tuple[Event, ...]
    """The last ones."""
    remaining: tuple[tuple[float, int, int], ...]
    """When, how many hits of the detector were left in all repositories, and how many there had been at first."""


@dataclass(slots=True)
class _Job:
    """What is carried from one time to the next."""

    tally: Tally
    spent: dict[str, Spent] = field(default_factory=dict)
    spent_to: int = 0
    event: int = 0
    events: list[Event] = field(default_factory=list)
    detector: str = ""
    """What the hits are of."""
    hits: dict[str, tuple[int, int]] = field(default_factory=dict)
    """How many are left in each repository, and how many there were at first."""
    left: int = 0
    """In all of them."""
    total: int = 0
    """Likewise."""
    remaining: list[tuple[float, int, int]] = field(default_factory=list)
    memories: dict[str, tuple[bytes, Any]] = field(default_factory=dict)


class Ledger:
    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self._store, self._clock = store, clock
        self._pool = ThreadPoolExecutor(1, "ledger")
        self._jobs: dict[str, _Job] = {}
        self._known: dict[str, Known] = {}
        self._under_way: dict[str, Future[None]] = {}

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def known(self, jobs: Mapping[str, int], patience: float = PATIENCE) -> dict[str, Known]:
        """Return what is known of these jobs, by the numbers of their latest plans; those that are still being counted
        are left out. Raises what went wrong with the store."""
        for job, number in jobs.items():
            found, future = self._known.get(job), self._under_way.get(job)
            if future and not future.done():
                continue
            if found and found.outline.number == number and self._clock() - found.at < FRESH:
                continue
            self._under_way[job] = self._pool.submit(self._look, job, number)
        done, _ = wait([self._under_way[job] for job in jobs if job in self._under_way], patience)
        for future in done:
            future.result()
        return {job: self._known[job] for job in jobs if job in self._known}

    def stale(self, job: str) -> None:
        """Have the job looked at again, as something was done to it."""
        self._under_way.pop(job, None)
        if found := self._known.get(job):
            self._known[job] = replace(found, at=0.0)

    def _look(self, job: str, number: int) -> None:
        at, own = self._clock(), self._jobs.get(job)
        if own is None:
            own = self._jobs[job] = _Job(Tally(self._store.browse.outline(number), self._store.browse))
        elif own.tally.outline.number != number:
            own.tally = Tally(self._store.browse.outline(number), self._store.browse)
        else:
            own.tally.catch_up()
        self._spend(job, own)
        self._hear(job, own)
        about, requests = (self._recalled(own, key) for key in memories(job))
        asked, told, states = requests
        self._known[job] = Known(
            at,
            own.tally.outline,
            own.tally.counted(),
            dict(own.spent),
            about,
            asked,
            told,
            states,
            tuple(own.events),
            tuple(own.remaining),
        )

    def _spend(self, job: str, own: _Job) -> None:
        new, own.spent_to = self._store.browse.spent(job, own.spent_to)
        for repo, spent in new.items():
            own.spent[repo] = own.spent.get(repo, Spent()) + spent

    def _hear(self, job: str, own: _Job) -> None:
        for event in self._store.log.events(job, after=own.event):
            own.event = event.number
            if event.kind != "remaining":
                own.events.append(event)
                continue
            body = event.body if isinstance(event.body, dict) else {}
            if own.detector != (
                detector := str(body.get("detector", ""))
            ):  # what another found says nothing of this one
                own.detector = detector
                own.hits.clear()
                own.remaining.clear()
                own.left = own.total = 0
            before, now = own.hits.get(event.repo, (0, 0)), (int(body.get("hits") or 0), int(body.get("total") or 0))
            own.hits[event.repo] = now
            own.left += now[0] - before[0]
            own.total += now[1] - before[1]
            own.remaining.append((event.at, own.left, own.total))
        del own.events[:-EVENTS]

    def _recalled(self, own: _Job, key: str) -> Any:
        """Return what a driver remembered, read once for each time that it is another."""
        packed = self._store.browse.memory(key)
        if own.memories.get(key, (None, None))[0] != packed:
            value = self._store.browse.opened(packed)
            read = about_of(value) if key.startswith("about ") else _sorted(value)
            own.memories[key] = (packed, read)
        return own.memories[key][1]


def _sorted(memory: Any) -> tuple[float, tuple[Told, ...], Mapping[str, int]]:
    asked, told = requests_of(memory)
    first = sorted(told, key=lambda one: (one.state != "open", one.opened or inf, one.repo, one.branch))
    return asked, tuple(first), Counter(one.state for one in told)
