"""What metrics and traces cost: shards of one line, a codemod and two checks, with both and without, in turns; then
shards of real jobs, whose time was recorded (`forecast.json`), with what is told of one that was tried twice.

Target: metrics under 1 % of the run. What the driver spends on them is timed by itself as well, as time of its thread's
CPU: two runs differ by more, and so does the time by the clock where the machine is busy.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from time import thread_time
from typing import Any

from operators.data import Completion, Edit, Outcome, Shard, Timed, Verdict
from pipelines import metrics
from pipelines.cluster import OnRay
from pipelines.data import Task
from pipelines.metrics import Meter
from pipelines.observed import Observed
from pipelines.tracing.export import asked
from tests.benchmarks.forecast import RECORDED
from tests.benchmarks.setting import Clock, driver, folder, ray, repository
from tests.collector import Collector

SHARDS = 1_000
CHECKS = ("inside", "parses", "honest", "keeps", "operators.checks.claims.Claims", "tests")
JOB = """\
name: metrics
repos: [{{git: {repo}}}]
steps: [{{codemod: convert_format_to_fstring.ConvertFormatStringCommand}}]
checks: [inside, parses]
"""


@dataclass
class Spent(Observed):
    """Times what is told, unless nobody listens."""

    listens: bool = True
    seconds: float = 0.0

    def begun(self, *given: Any) -> None:
        self._timed(Observed.begun, *given)

    def ended(self, *given: Any) -> None:
        self._timed(Observed.ended, *given)

    def looked(self, *given: Any) -> None:
        self._timed(Observed.looked, *given)

    def _timed(self, tell: Callable[..., None], *given: Any) -> None:
        if self.listens:
            began = thread_time()
            tell(self, *given)
            self.seconds += thread_time() - began


def main(shards: int = SHARDS) -> None:
    with ExitStack() as stack:
        home, collector = stack.enter_context(folder()), stack.enter_context(Collector())
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.url
        repo = repository(
            home / "repo", {f"pkg{n % 50}/mod{n}.py": f"x = '{{}} {n}'.format(y)\n" for n in range(shards)}
        )
        lanes = stack.enter_context(ray())
        _run(repo, lanes, "warm", None)
        for name in ("without", "metrics", "both", "both", "metrics", "without"):
            with asked() if name == "both" else _nowhere() as traces:
                wall, own = _run(repo, lanes, name, traces)
            share = f"of it {own / shards * 1e6:6.0f} us told, {own / wall:6.2%}" if own else ""
            print(f"metrics    {name:8} {wall / shards * 1e6:8.0f} us a shard  {share}", flush=True)
        if lanes.meter:
            real(lanes.meter)


def real(meter: Meter) -> None:
    """Print what it costs to tell of a shard that was tried twice, and what share that is of shards of real jobs."""
    for name, shards in json.loads(RECORDED.read_text()).items():
        task, outcome = _twice(replies=10 if any(tokens for *_, tokens, _ in shards) else 0)
        began = thread_time()
        for _ in range(SHARDS):
            metrics.ended(name, [(task, outcome)], meter)
        own, whole = (thread_time() - began) / SHARDS, mean(seconds for *_, seconds in shards)
        print(
            f"metrics    {name:20} {whole * 1000:6.0f} ms a shard, of it {own * 1e6:4.0f} us told, {own / whole:7.3%}"
        )


def _twice(replies: int) -> tuple[Task, Outcome]:
    shard = Shard("0123456789abcdef", "repo", "0" * 40, ("tests/test_it.py",))
    reply = Completion("", 200, 20, seconds=1.0, model="model", server="localhost:8000")
    edit = Edit({"tests/test_it.py": ""}, replies=(reply,) * replies)
    timed = tuple(Timed(kind, 1.0, 0.1, 0.1, 0) for kind in CHECKS)
    return Task(shard), Outcome(shard, (Verdict(edit, timed=timed, start=1.0),) * 2, seconds=2.0)


@contextmanager
def _nowhere() -> Iterator[None]:
    yield None


def _run(repo: Path, lanes: OnRay, name: str, traces: Any) -> tuple[float, float]:
    """Return the seconds of a run, and those of them in which something was told."""
    with folder() as own_home, driver(JOB.format(repo=repo), own_home) as own:
        observed = own.observed = Spent(own.job.name, own.store, traces, listens=name in {"metrics", "both"})
        plan = own.plan()
        with Clock() as running:
            own.run(plan, lanes)
        return running.seconds, observed.seconds


if __name__ == "__main__":
    main()
