"""What a job of many shards costs its driver, in CPU time and memory: each verb by itself, in a process of its own, at
sizes that are a factor of ten apart. What is flat per shard has the same figure in each column.

Target: flat per shard, and the driver below 1 GiB at a million shards.

Repositories have 200 shards each, in 20 merge requests. Doubles stand where it would be others that take the time:
lanes that have an accepted one-line edit at once, and for each repository a map of which of 1,500 tests execute its 500
statements; and a forge that keeps what it says of its requests in memory. Plans are made up, so that planning, which is
git's work (`planning` measures it), is not part of it, nor are commits.

`python -m tests.benchmarks.scale [SHARDS ...]`, by default 10,000, 100,000 and 1,000,000: half an hour.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

from operators.checks.tests import Tests
from operators.data import Edit, Outcome, Shard, Verdict
from pipelines.data import Plan, Planned, Repo, Shards, Task, digest
from pipelines.driver import Driver
from pipelines.forge import Request
from pipelines.lanes import Done, Halted, InProcess, Prepared, Tell
from pipelines.printed import standing
from pipelines.work import Kit
from tests.benchmarks.setting import driver, folder, peak, repository

SIZES = (10_000, 100_000, 1_000_000)
OF_REPO, OF_FOLDER, AT_ONCE = 200, 10, 64
JOB = """\
name: scale
repos: [{git: nowhere}]
steps: [{shell: "true"}]
checks: [inside]
sandbox: none
rollout: {windows: [sun 00:00-00:01]}
"""


class Simulated(InProcess):
    """A double of the lanes: has a map of each repository, and an accepted edit of one line for each task, at once."""

    def prepare(self, kit: Kit, repos: Iterable[str]) -> Iterator[Prepared]:
        for repo in repos:
            executed = [(line, line + 1, [*range(line % 40, 1500, 40)]) for line in range(500)]
            yield repo, {"pytest": {"map": {"tests": [], "files": {"a.py": executed}}}}

    def run(
        self, kit: Kit, tasks: Iterable[Task], tell: Tell = lambda found: None, halted: Halted = lambda: False
    ) -> Iterator[Done]:
        done: Done = []
        for task in tasks:
            edit = Edit(dict.fromkeys(task.shard.paths, "x = 2\n"))
            done.append((task, Outcome(task.shard, (Verdict(edit, (), ("inside: 1 file",)),), seconds=0.1)))
            if len(done) == AT_ONCE:
                yield done
                done = []
        yield done


class Quiet:
    """A double of a forge, on which nothing happens: these requests are there."""

    overview = ""

    def __init__(self, found: Sequence[Request] = ()) -> None:
        self.found = found

    def requests(self, prefix: str, repos: Sequence[Repo]) -> Iterable[Request]:
        return self.found


def planned(size: int, fingerprint: str) -> Plan:
    """Make a plan up, of as many shards."""
    repos = [
        Repo(f"group/repo-{number:05}", "/nowhere", digest(number)[:40], "main")
        for number in range(-(-size // OF_REPO))
    ]

    def shards(repo: Repo, count: int) -> Iterator[Planned]:
        for number in range(count):
            area = f"src/area{number // OF_FOLDER}"
            path = f"{area}/module_{number}.py"
            shard = Shard(digest([repo.name, path]), repo.name, repo.commit, (path,))
            yield Planned(shard, f"umbau/scale/{area.replace('/', '-')}-{digest(area)[:8]}", area)

    packed = {}
    for number, repo in enumerate(repos):
        packed.update(Shards(shards(repo, min(OF_REPO, size - number * OF_REPO))).packed)
    return Plan(tuple(repos), Shards.of_packed(packed), fingerprint=fingerprint)


def save(own: Driver, size: int) -> None:
    own.adopt(planned(size, own.recipe.fingerprint))


def load(own: Driver, size: int) -> None:
    assert len(own.latest().planned) == size


def prepare(own: Driver, size: int) -> None:
    mirror = repository(own.home / "mirror", {"a.py": ""}) / ".git"
    own.recipe = replace(own.recipe, checks=(Tests("pytest"),))
    plan = own.latest()
    plan = replace(plan, repos=tuple(replace(repo, mirror=str(mirror), commit="HEAD") for repo in plan.repos))
    kit = own._kit(plan, Simulated(), [repo.name for repo in plan.repos])
    assert all(base.facts for base in kit.bases.values())


def run(own: Driver, size: int) -> None:
    own.run(own.latest(), Simulated())


def resume(own: Driver, size: int) -> None:
    run(own, size)
    assert own.done() == (size, size)


def gather(own: Driver, size: int) -> None:
    files = sum(len(change.whole) for change in own.gather(own.latest(), Simulated()).changes)
    assert files == size


def tend(own: Driver, size: int) -> None:
    """All merge requests wait for their turn."""
    own.forge = Quiet()  # type: ignore[assignment]
    _, done = own.tend(own.latest(), Simulated())
    assert len(done) == -(-size // OF_FOLDER)
    assert {one.trouble for one in done} == {""}


def merge(own: Driver, size: int) -> None:
    """All have been merged: what the forge says from now on (not measured)."""
    with (own.home / "requests.json").open("w") as file:
        for change in own.gather(own.latest(), None).changes:
            file.write(json.dumps([change.repo.name, change.branch, change.digest]) + "\n")


def tend_merged(own: Driver, size: int) -> None:
    with (own.home / "requests.json").open() as file:
        known = [json.loads(line) for line in file]
    found = [Request(repo, branch, told, "merged", "https://forge/1") for repo, branch, told in known]
    own.forge = Quiet(found)  # type: ignore[assignment]
    _, done = own.tend(own.latest(), Simulated())
    assert {one.action.why for one in done} == {"merged"}


def status(own: Driver, size: int) -> None:
    plan = own.latest()
    gathered = own.gather(plan, None)
    own.forge = Quiet()  # type: ignore[assignment]
    found = standing(plan, own.store.outcomes, gathered, own.requests(plan, gathered))
    assert found.counts == {"accepted": size}


VERBS: dict[str, tuple[str, Callable[[Driver, int], None]]] = {
    "save": ("plan saved", save),
    "load": ("plan read", load),
    "prepare": ("repositories prepared", prepare),
    "run": ("run", run),
    "resume": ("run again, nothing to do", resume),
    "gather": ("gather", gather),
    "tend": ("tend, all wait for their turn", tend),
    "merge": ("", merge),
    "tend_merged": ("tend, all merged", tend_merged),
    "status": ("status", status),
}


def measured(verb: str, size: int, home: Path) -> dict[str, Any]:
    """Do one verb in a process of its own; return its seconds and the most memory it held in MiB."""
    command = [sys.executable, "-m", "tests.benchmarks.scale", verb, str(size), str(home)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def table(sizes: Sequence[int]) -> Iterator[str]:
    figures = {}
    for size in sizes:
        with folder() as home:
            figures[size] = {verb: measured(verb, size, home) for verb in VERBS}
    yield f"{'scale':38}" + "".join(f"{size:>24,}" for size in sizes) + "   a shard, last to first"
    for verb, (name, _) in VERBS.items():
        if name:
            found = [figures[size][verb] for size in sizes]
            each = [one["seconds"] / size for one, size in zip(found, sizes, strict=True)]
            shown = (f"{1e6 * cost:8.0f} us {one['peak']:7.0f} MiB" for cost, one in zip(each, found, strict=True))
            yield f"           {name:27}" + "".join(f"{one:>24}" for one in shown) + f"{each[-1] / each[0]:10.2f} x"


def alone(verb: str, size: int, home: Path) -> None:
    with driver(JOB, home) as own:
        own.clock = lambda: 0.0  # a Thursday
        before = process_time()  # and not what others on the machine take
        VERBS[verb][1](own, size)
        seconds = process_time() - before
    print(json.dumps({"seconds": seconds, "peak": peak()}))


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in VERBS:
        alone(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
        return
    for line in table([int(size.replace(",", "")) for size in sys.argv[1:]] or SIZES):
        print(line, flush=True)


if __name__ == "__main__":
    main()
