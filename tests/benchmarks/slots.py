"""Whether model slots stay busy: a simulated endpoint with 32 slots, latencies drawn from a log-normal distribution
(median 1.5 s, the long tail of real completions), and checks that use the cores meanwhile.

Target: at least 95 % of the slots busy between the first and the last tenth of the run.

A double of a model server, because a fixed number of slots and known latencies cannot be had from a real one here; it
speaks the OpenAI protocol over real HTTP (tests/endpoint.py).
"""

from __future__ import annotations

import math
import random
import re
import threading
import time
from typing import Any

from tests.benchmarks.setting import Clock, driver, folder, ray, repository
from tests.endpoint import Endpoint, Says

SLOTS, SHARDS, MEDIAN, SPREAD = 32, 600, 1.5, 0.5
FUNCTION = '''\
def total{n}(prices):
    """Add the prices up and say so."""
    result = sum(prices)
    return "the total is {{}}".format(result)
'''
JOB = """\
name: slots
repos: [{{git: {repo}}}]
select: {{contains: 'format\\('}}
steps:
  - rewrite:
      model: {{url: "{url}", name: simulated, concurrency: {slots}}}
      prompt: Use f-strings.
checks: [inside, parses, {{scope: {{nodes: [Call, FormattedString]}}}}]
"""


class Slots:
    """Serves at most SLOTS requests at a time and notes when each slot is busy."""

    def __init__(self) -> None:
        self.free = threading.Semaphore(SLOTS)
        self.random = random.Random(1)
        self.busy: list[tuple[float, float]] = []

    def __call__(self, request: dict[str, Any]) -> Says:
        with self.free:
            start = time.monotonic()
            time.sleep(self.random.lognormvariate(math.log(MEDIAN), SPREAD))
            self.busy.append((start, time.monotonic()))
        code = re.search(r'    return "the total.*', request["messages"][1]["content"])
        assert code
        new = '    return f"the total is {result}"'
        return Says(f"<<<<<<< SEARCH\n{code[0]}\n=======\n{new}\n>>>>>>> REPLACE\n")

    def share(self) -> float:
        """Return the share of slots that was busy between the first and the last tenth of the run."""
        first, last = min(start for start, _ in self.busy), max(end for _, end in self.busy)
        begin, stop = first + 0.1 * (last - first), last - 0.1 * (last - first)
        inside = sum(max(0.0, min(end, stop) - max(start, begin)) for start, end in self.busy)
        return inside / (SLOTS * (stop - begin))


def main() -> None:
    slots = Slots()
    with folder() as home, Endpoint(script=slots) as endpoint, ray() as lanes:
        repo = repository(home / "repo", {f"mod{n}.py": FUNCTION.format(n=n) for n in range(SHARDS)})
        with driver(JOB.format(repo=repo, url=endpoint.url, slots=SLOTS), home) as own:
            plan = own.plan()
            with Clock() as running:
                own.run(plan, lanes)
            statuses = list(own.store.statuses([one.shard.key for one in plan.planned]).values())
    assert statuses.count("accepted") == SHARDS, f"{SHARDS - statuses.count('accepted')} shards were not accepted"
    mean = sum(end - start for start, end in slots.busy) / len(slots.busy)
    print(f"slots      {SLOTS} slots, {SHARDS} shards, {mean:.2f} s a reply   {running.seconds:8.2f} s")
    print(f"           busy between the tenths {100 * slots.share():8.1f} %")
    print(f"           against the ideal       {running.seconds / (mean * SHARDS / SLOTS):8.2f} x")


if __name__ == "__main__":
    main()
