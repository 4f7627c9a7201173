from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from operators.data import Outage
from pipelines.data import Task
from pipelines.job import Job
from pipelines.lanes import InProcess, Moment
from pipelines.plan import plan
from pipelines.recipe import recipe
from pipelines.work import Kit
from tests.conftest import Checkout
from tests.endpoint import Endpoint

BLOCK = "<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n"


def test_what_waits_for_an_endpoint_is_told_of_by_another_thread(
    home: Path, tmp_path: Path, checkout: Callable[..., Checkout], endpoint: Endpoint
) -> None:
    checkout({"a.py": "x = 1\n", "b.py": "x = 1\n"})
    model = {"url": endpoint.url, "name": "scripted"}
    steps = [{"rewrite": {"prompt": "Count.", "model": model}}]
    job = Job.model_validate({"name": "j", "repos": [{"git": "billing"}], "steps": steps, "checks": ["inside"]})
    built = recipe(job, tmp_path / "job.yaml")
    found = plan(job, built, home, tmp_path)
    kit = Kit(built, None, {repo.name: repo.base for repo in found.repos})
    told: list[list[Outage]] = []
    seen: list[tuple[int, int, int]] = []
    back = threading.Event()

    def tell(moment: Moment) -> None:
        told.append(list(moment.outages))
        seen.append((moment.flight, moment.asking, moment.testing))
        if moment.outages and not back.is_set():
            back.set()
            endpoint.start_again()

    endpoint.say(BLOCK)
    statuses = []
    for ((task, outcome),) in InProcess().run(kit, [Task(one.shard) for one in found.planned], tell):
        statuses.append((task.shard.name, outcome.status))
        if len(statuses) == 1:
            endpoint.stop()
            gone = time.monotonic()
    assert statuses == [("a.py", "accepted"), ("b.py", "accepted")]
    assert time.monotonic() < gone + 20
    away = [one for outages in told for one in outages]
    assert {(one.url, one.left > 0) for one in away} == {(endpoint.url, True)}
    assert told[-1] == [], "at the end it is told that it is back"
    assert set(seen) == {(1, 1, 0), (0, 0, 0)}, "the second waits for the model; then nothing is in hand"
