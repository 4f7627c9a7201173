"""Where a job's driver stands, written down again and again for whoever looks from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from threading import Event, Thread
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from pipelines.errors import Refused

if TYPE_CHECKING:
    from pipelines.store import Store

EVERY = 1.0  # seconds between two snapshots, at least
BEAT = 5.0  # at most, also when nothing has changed: who is silent for longer may be gone
STATUSES = ("accepted", "unchanged", "skipped", "rejected", "failed")


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment of a run."""

    job: str
    at: float
    """Seconds since 1970, by the driver's clock."""
    stage: str
    """plan, prepare, run, gather or tend; "" once the driver has ended."""
    where: str = ""
    """Host and process of the driver."""
    repos: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    """Shards by status; `waiting` have no outcome yet."""
    flight: int = 0
    """Shards in hand."""
    rate: float = 0.0
    """Shards that come to an end in a second, of late."""
    left: float | None = None
    """Seconds until no shard waits, as far as can be told."""
    read: float = 0.0
    """Tokens a second that models read, of late."""
    written: float = 0.0
    testing: int = 0
    """Runs of tests and commands under way."""
    asking: int = 0
    """Shards that wait for a model right now."""
    replicas: tuple[int, int] | None = None
    """Of the model: busy, and all; None when that is not known."""
    failures: Mapping[str, int] = field(default_factory=dict)
    """What was wrong with shards of late, by kind."""
    paused: str = ""
    """Why shards are left for another run."""
    began: float = 0.0
    """When the driver began, by its clock."""
    done: int = 0
    """Of what the stage counts: repositories, shards, sums of edits."""
    total: int | None = None
    """How many there are; None when nobody can know."""
    away: tuple[str, ...] = ()
    """What is known of each model endpoint that does not answer."""


_PROGRESS = TypeAdapter(Progress)


def put(store: Store, progress: Progress) -> None:
    """Write it down in place of the last one."""
    store.remember(f"progress {progress.job}", asdict(progress))


def latest(store: Store, job: str) -> Progress | None:
    """Return what was written down last, None when nothing was."""
    found = store.recall(f"progress {job}")
    return None if found is None else _PROGRESS.validate_python(found)


@contextmanager
def kept(store: Store, now: Callable[[], Progress]) -> Iterator[None]:
    """Write down again and again what `now` gives, from a thread of its own, and at last that the driver has ended.

    The store is written to within the driver's turn; that it cannot be is found out by the driver's own writes.
    """
    ended = Event()

    def keep() -> None:
        last = None
        while not ended.wait(EVERY):
            found = now()
            if last is None or found.at >= last.at + BEAT or replace(found, at=last.at) != last:
                with suppress(Refused):
                    put(store, found)
                last = found

    thread = Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(Refused):
            put(store, over(now()))


def over(last: Progress) -> Progress:
    """Return what stays of a snapshot when the driver has ended."""
    rest = replace(last, stage="", flight=0, asking=0, testing=0, rate=0.0, read=0.0, written=0.0, left=None)
    return replace(rest, replicas=None, done=0, total=None, away=())
