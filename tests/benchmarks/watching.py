"""What it costs the driver to tell how far it is: for each shard that comes to an end, for each snapshot that is
written to the store, and for the figure of what is left in a repository.

Processor time of one thread, as the snapshots are written by another than the one that drives. Stated against a run
without any steps to speak of: 2 ms a shard, which is about the least that Ray takes for a task.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

from operators.data import Edit, Finding, Outcome, Shard, Verdict
from pipelines.console import Watch
from pipelines.data import Task
from pipelines.job import Job
from pipelines.plan import Repo
from pipelines.progress import put
from pipelines.remaining import left, note
from pipelines.select import select
from pipelines.store import Store
from tests.benchmarks.setting import folder, repository

SHARDS, BATCH, SNAPSHOTS, FILES = 50_000, 10, 200, 400
LEAST = 0.002  # seconds that a shard takes
JOB = {"name": "bench", "repos": [{"git": "."}], "select": {"contains": r"\.format\("}, "steps": [{"shell": "true"}]}


def main() -> None:
    with folder() as home, closing(Store(home / "store.db")) as store:
        shard, snapshot, (count, total) = _shard(store), _snapshot(store), _remaining(store)
    share = 100 * (shard / LEAST + snapshot)
    print(f"watching   a shard        {1e6 * shard:9.1f} us")
    print(f"           a snapshot     {1e3 * snapshot:9.2f} ms, one a second")
    print(f"           together       {share:9.2f} % of a run with {1 / LEAST:.0f} shards/s")
    found = f"{1e3 * count:9.2f} ms for {FILES} files, beside {1e3 * total:.1f} ms of finding them"
    print(f"           what is left   {found}")


def _shard(store: Store) -> float:
    """Return the seconds of processor time for one shard."""
    watch, made = Watch(quiet=True), Shard("k", "billing", "c", ("a.py",))
    verdicts = (
        Verdict(Edit({"a.py": "x"}, tokens_in=900, tokens_out=200), (Finding("tests", "broken"),)),
        Verdict(Edit({"a.py": "y"}, tokens_in=1200, tokens_out=200)),
    )
    batch = [(Task(made), Outcome(made, verdicts))] * BATCH
    with watch.driving(store, "bench"), watch.stage("run", SHARDS) as stage:
        assert watch.course
        watch.course.counted(1, {"waiting": SHARDS})

        def act() -> None:
            for _ in range(SHARDS // BATCH):
                stage.landed(batch)

        return _seconds(act) / SHARDS


def _snapshot(store: Store) -> float:
    watch = Watch(quiet=True)
    with watch.driving(store, "bench"):
        course = watch.course
        assert course

        def act() -> None:
            for _ in range(SNAPSHOTS):
                put(store, course.now())

        return _seconds(act) / SNAPSHOTS


def _remaining(store: Store) -> tuple[float, float]:
    """Return the seconds for what is left in one repository, without and with finding it."""
    text = "".join(f"value_{number} = '{{}}'.format({number})\n" for number in range(200))
    job = Job.model_validate(JOB)
    with folder() as home:
        where = repository(home / "billing", {f"m{number}.py": text for number in range(FILES)})
        repo, found = Repo("billing", str(where / ".git"), "HEAD", "main"), select(where / ".git", "HEAD", job.select)
        start = time.perf_counter()
        select(where / ".git", "HEAD", job.select)
        total = time.perf_counter() - start
        return _seconds(lambda: note(job, {"billing": left(job, repo, found.hits)}, store)), total


def _seconds(act: Callable[[], None] | Callable[[], object]) -> float:
    start = time.thread_time()
    act()
    return time.thread_time() - start


if __name__ == "__main__":
    main()
