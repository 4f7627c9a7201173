"""What a cluster brings and costs: shards that need a core each, on one, two and four workers; Umbau's own cost for
each shard beside that of a Ray task; and how much of what is sent to nodes is sent once.

More workers than cores bring nothing: on a small machine the last ratios say that, and no more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from operators.data import Edit, Shard, Verdict
from operators.workspace import Workspace
from pipelines.cluster import OnRay
from pipelines.data import Task
from pipelines.jobfile import parse
from pipelines.plan import plan
from pipelines.recipe import recipe
from pipelines.work import Kit, kit_of
from tests.benchmarks.setting import Clock, folder, repository
from tests.pipelines.cluster.setting import Nodes

SHARDS, SECONDS = 120, 0.2  # of work for each
REPOS, EACH = 12, 10
JOB = """\
name: cluster
repos: [{repos}]
steps: [{{use: {{path: tests.benchmarks.cluster.Busy, settings: {{seconds: {seconds}, marks: {marks}}}}}}}]
checks: []
"""


@dataclass(frozen=True, slots=True)
class Busy:
    """Keeps a core busy for so many of its seconds, and notes where."""

    seconds: float
    marks: str
    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        end = time.thread_time() + self.seconds
        while time.thread_time() < end:
            pass
        with Path(self.marks).open("a") as marks:
            marks.write(f"{shard.repo} {ws.base.mirror}\n")
        return None


def work(repos: Sequence[Path], seconds: float, home: Path) -> tuple[Kit, list[Task]]:
    listed = ", ".join(f"{{git: {repo}}}" for repo in repos)
    text = JOB.format(repos=listed, seconds=seconds, marks=home / "marks")
    (home / "marks").write_text("")
    spec = parse(text.encode(), "bench.yaml")
    built = recipe(spec, home / "bench.yaml")
    found = plan(spec, built, home, home)
    return kit_of(spec, built, [repo.base for repo in found.repos]), [Task(one.shard) for one in found.planned]


def taken(lanes: OnRay, kit: Kit, tasks: Sequence[Task]) -> float:
    """Return the seconds that the tasks take where workers are up already."""
    list(lanes.run(kit, tasks[:8]))
    with Clock() as clock:
        done = sum(len(some) for some in lanes.run(kit, tasks))
    assert done == len(tasks)
    return clock.seconds


def speed(home: Path) -> None:
    repo = repository(home / "repo", {f"m{n}.py": f"x = {n}\n" for n in range(SHARDS)})
    kit, tasks = work([repo], SECONDS, home)
    first = 0.0
    for workers in (1, 2, 4):
        with closing(OnRay(cores=workers)) as lanes:
            took = taken(lanes, kit, tasks)
        first = first or took
        told = (
            f"{SHARDS / took:6.1f} shards/s  {first / took:4.2f} times one, {first / took / workers:4.0%} of {workers}"
        )
        print(f"cluster    {workers} workers, {os.cpu_count()} cores  {told}")


def cost(home: Path) -> None:
    import ray

    repo = repository(home / "small", {f"m{n}.py": f"x = {n}\n" for n in range(2000)})
    kit, tasks = work([repo], 0.0, home)
    with closing(OnRay(cores=2)) as lanes:
        took = taken(lanes, kit, tasks)
        nothing = ray.remote(lambda: None)
        ray.get([nothing.remote() for _ in range(50)])
        with Clock() as clock:
            ray.get([nothing.remote() for _ in range(len(tasks))])
    print(f"           a shard with nothing to do {took / len(tasks) * 1e3:6.2f} ms, batched as it is")
    print(f"           a Ray task                 {clock.seconds / len(tasks) * 1e3:6.2f} ms")


def sent(home: Path) -> None:
    repos = [repository(home / f"repo{r}", {f"m{n}.py": f"x = {r}, {n}\n" for n in range(EACH)}) for r in range(REPOS)]
    kit, tasks = work(repos, 0.05, home)
    with closing(Nodes()) as nodes:
        for name in ("one", "two", "three"):
            nodes.add(name, num_cpus=2)
        with closing(OnRay(nodes.address)) as lanes:
            list(lanes.run(kit, tasks))
            puts = lanes.bundled
    seen: set[str] = set()
    there = 0
    lines = (home / "marks").read_text().splitlines()
    for line in lines:
        there += line in seen
        seen.add(line)
    print(f"           {REPOS} repositories of {EACH} shards on 3 nodes: {puts} bundles put, {len(seen)} unpacked")
    print(f"           shards that found their repository there {there / len(lines):4.0%}")


def main() -> None:
    for part in (speed, cost, sent):
        with folder() as home:
            part(home)


if __name__ == "__main__":
    main()
