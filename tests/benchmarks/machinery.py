"""What the machinery costs: 5,000 shards, an operator that does nothing, no checks.

Target: at least 200 shards/s on two cores, the driver below 300 MiB.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from operators.data import Edit, Shard, Verdict
from operators.workspace import Workspace
from tests.benchmarks.setting import Clock, driver, folder, peak, ray, repository

SHARDS = 5_000
JOB = """\
name: machinery
repos: [{{git: {repo}}}]
steps: [{{use: tests.benchmarks.machinery.Nothing}}]
checks: []
"""


@dataclass(frozen=True, slots=True)
class Nothing:
    """An operator with nothing to change."""

    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        return None


def main() -> None:
    with folder() as home:
        repo = repository(home / "repo", {f"pkg{n % 50}/mod{n}.py": f"x = {n}\n" for n in range(SHARDS)})
        with ExitStack() as stack:
            with Clock() as start:
                lanes = stack.enter_context(ray())
            own = stack.enter_context(driver(JOB.format(repo=repo), home))
            with Clock() as planning:
                plan = own.plan()
            with Clock() as running:
                own.run(plan, lanes)
            with Clock() as again:
                own.run(plan, lanes)
    assert len(plan.planned) == SHARDS
    print(f"machinery  start of Ray          {start.seconds:8.2f} s")
    print(f"           plan {SHARDS:,} shards      {planning.seconds:8.2f} s")
    print(f"           run                   {running.seconds:8.2f} s  {SHARDS / running.seconds:8.0f} shards/s")
    print(f"           run again             {again.seconds:8.2f} s")
    print(f"           driver's peak memory  {peak():8.0f} MiB")


if __name__ == "__main__":
    main()
