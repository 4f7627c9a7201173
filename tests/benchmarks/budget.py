"""What it costs to ask a purse before each call of a model and to tell it after, in process and on Ray; and, to compare
with, what a call over HTTP costs that is answered at once.

A line for each: milliseconds of a call, the median of calls one after another, and calls a second of 32 threads.

`python -m tests.benchmarks.budget [CALLS]`, by default 1,000; half a minute, most of it the start of Ray.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from statistics import median

from operators.chain import Chain
from operators.data import Completion, Message, Model
from operators.metered import Meter, Metered
from operators.model import Endpoint as Asked
from pipelines.budget.purse import Purse
from pipelines.cluster import OnRay
from pipelines.cluster.metering import metered
from pipelines.data import Recipe
from pipelines.limits import Budget
from pipelines.work import Kit
from tests.endpoint import Endpoint

THREADS = 32
ASKED: Sequence[Message] = [{"role": "user", "content": "x = 1"}]
BUDGET = Budget.model_validate({"tokens": 1 << 40, "per_repo": {"tokens": 1 << 40}, "per_shard": {"tokens": 1 << 40}})


@dataclass(frozen=True, slots=True)
class Instant:
    """A double of a model, which answers at once."""

    bare = False
    revision = ""
    concurrency = THREADS
    room = 1 << 20

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        return Completion("x = 2", 100, 100)


def each(model: Model, calls: int) -> float:
    """Return the median milliseconds of a call, one after another."""
    took = []
    for number in range(calls):
        start = time.perf_counter()
        model.complete(ASKED, shard=f"{number}", attempt=0)
        took.append(time.perf_counter() - start)
    return 1000 * median(took)


def at_once(model: Model, calls: int) -> float:
    """Return calls a second, of many threads."""
    start = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda number: model.complete(ASKED, shard=f"{number}", attempt=0), range(calls)))
    return calls / (time.perf_counter() - start)


def through(model: Model, meter: Meter) -> Model:
    return Metered(model, meter, "billing", "key")


def on_ray(show: Callable[[str, Model], None]) -> None:
    kit = Kit(Recipe(Chain(()), (), (), 1, "none"), meter=Purse(BUDGET, {}))
    with closing(OnRay(cores=2)) as lanes:
        lanes.start()
        with metered(lanes._ray, lanes._place, kit) as own:
            assert own.meter
            show("on Ray", through(Instant(), own.meter))


def main(calls: int = 1000) -> None:
    def show(name: str, model: Model) -> None:
        print(
            f"{name:28} {each(model, calls):8.3f} ms a call {at_once(model, calls):10,.0f} calls a second", flush=True
        )

    with Endpoint("x = 2") as endpoint:
        show("over HTTP, answered at once", Asked(endpoint.url, "scripted", concurrency=THREADS))
    show("a model that does nothing", Instant())
    show("in process", through(Instant(), Purse(BUDGET, {})))
    on_ray(show)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
