"""What a job has spent, kept in the store: a run that is killed forgets no more than its last second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from pipelines.budget.purse import Purse
from pipelines.errors import Refused
from pipelines.job import Job
from pipelines.limits import Limits
from pipelines.store import Store
from pipelines.store.log import Spent

EVERY = 1.0  # seconds between two entries


def opened(job: Job, store: Store) -> Purse:
    """Return the purse of a job, with what all runs before have spent."""
    budget = job.budget
    spent = store.log.spent(job.name, by_shard=budget.per_shard != Limits())  # there may be a million shards
    return Purse(budget, spent, store.recall(_worked(job)) or 0.0)


@contextmanager
def kept(purse: Purse, job: Job, store: Store, look: Callable[[], None]) -> Iterator[None]:
    """Write down again and again what is spent while shards are worked on; that time counts as well. `look` is called
    as often, from a thread."""
    rows: list[tuple[str, str, Spent]] = []
    ended = Event()

    def write() -> None:
        rows.extend(purse.drain())
        store.log.spend(job.name, rows)
        rows.clear()  # not before they are there
        store.remember(_worked(job), purse.seconds)

    def keep() -> None:
        while not ended.wait(EVERY):
            try:
                write()
                look()
            except Refused:  # who drives the job meets the same, and tells
                return

    thread = Thread(target=keep, daemon=True)
    purse.start()
    thread.start()
    try:
        yield
    finally:
        purse.stop()
        ended.set()
        thread.join()
        write()


def _worked(job: Job) -> str:
    return f"worked {job.name}"
