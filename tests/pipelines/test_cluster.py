"""On a real Ray cluster, started once for all of these."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from operators.data import Edit, Outcome, Shard, Verdict
from operators.workspace import Workspace
from pipelines.cluster import OnRay
from pipelines.data import Plan, Task
from pipelines.jobfile import parse
from pipelines.lanes import InProcess, Lanes
from pipelines.plan import plan
from pipelines.recipe import recipe
from pipelines.store import Store
from pipelines.work import Kit
from tests.conftest import Checkout
from tests.endpoint import Endpoint, Says

JOB = """\
name: lanes
repos: [{{git: {repo}}}]
select: {{contains: '{contains}'}}
steps: [{step}]
checks: [inside, parses]
attempts: 2
"""


@dataclass(frozen=True, slots=True)
class Deadly:
    """Kills the worker: for a shard called `always` each time, for one called `once` the first time."""

    marks: str
    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        mark = Path(self.marks) / shard.name.replace("/", "-")
        if "always" in shard.name or ("once" in shard.name and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Edit({shard.paths[0]: "x = 2\n"})


@pytest.fixture(scope="module")
def lanes() -> Iterator[OnRay]:
    with closing(OnRay(cores=2)) as made:
        yield made


def kit_of(text: str, home: Path) -> tuple[Kit, Plan]:
    job = parse(text.encode(), "job.yaml")
    built = recipe(job, home / "job.yaml")
    found = plan(job, built, home, home)
    assert not found.trouble
    return Kit(built, None, {repo.name: repo.base for repo in found.repos}), found


def outcomes(lanes: Lanes, kit: Kit, found: Plan) -> dict[str, Outcome]:
    tasks = [Task(one.shard) for one in found.planned]
    return {task.shard.name: outcome for done in lanes.run(kit, tasks) for task, outcome in done}


def test_same_outcomes_as_in_process(lanes: OnRay, home: Path, checkout: Callable[..., Checkout]) -> None:
    files = {f"m{n}.py": f"x = 'a {{}}'.format({n})\ny = '{{}}'.format(x)\n" for n in range(30)}
    repo = checkout({**files, "bad.py": "x = '{}'.format(1\n"})
    step = "{codemod: convert_format_to_fstring.ConvertFormatStringCommand}"
    kit, found = kit_of(JOB.format(repo=repo.folder, contains=r"\.format\(", step=step), home)
    here, there = outcomes(InProcess(), kit, found), outcomes(lanes, kit, found)
    assert {name: replace(one, seconds=0) for name, one in here.items()} == {
        name: replace(one, seconds=0) for name, one in there.items()
    }
    assert sorted({one.status for one in there.values()}) == ["accepted", "skipped"]


def test_killed_workers(lanes: OnRay, home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> None:
    repo = checkout({f"{name}.py": "x = 1\n" for name in ["always", "once", *(f"fine{n}" for n in range(20))]})
    step = f"{{use: {{path: tests.pipelines.test_cluster.Deadly, settings: {{marks: {tmp_path}}}}}}}"
    kit, found = kit_of(JOB.format(repo=repo.folder, contains="x = ", step=step), home)
    done = outcomes(lanes, kit, found)
    assert done["always.py"].status == "failed"
    assert "died" in done["always.py"].error
    assert {one.status for name, one in done.items() if name != "always.py"} == {"accepted"}
    assert len(done) == 22


def test_shards_that_wait_hold_neither_processes_nor_cores(
    lanes: OnRay, home: Path, checkout: Callable[..., Checkout]
) -> None:
    def slow(request: dict[str, Any]) -> Says:
        path = re.search(r"^(m\d+\.py)$", request["messages"][1]["content"], re.M)
        assert path
        return Says(f"{path[1]}\n<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n", after=4)

    repo = checkout({f"m{n}.py": "x = 1\n" for n in range(500)})
    with Endpoint(script=slow) as endpoint:
        model = f'{{url: "{endpoint.url}", name: slow, concurrency: 500}}'
        step = f"{{rewrite: {{prompt: Count., model: {model}}}}}"
        kit, found = kit_of(JOB.format(repo=repo.folder, contains="x = 1", step=step), home)
        before = ray_processes()
        start, most = time.monotonic(), 0
        tasks = [Task(one.shard) for one in found.planned]
        statuses = []
        for done in lanes.run(kit, tasks):
            most = max(most, ray_processes())
            statuses += [outcome.status for _, outcome in done]
        took = time.monotonic() - start
    assert statuses == ["accepted"] * 500
    assert most - before < 15
    assert took < 60, "one after another they would have taken 2,000 s"


def ray_processes() -> int:
    found = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found += (folder / "cmdline").read_bytes().startswith(b"ray::")
        except OSError:
            continue
    return found


def test_ctrl_c_keeps_what_is_done(home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> None:
    def first_only(request: dict[str, Any]) -> Says:
        first = "m0.py" in request["messages"][1]["content"]
        return Says("NO CHANGE NEEDED", after=0 if first else 60)

    repo = checkout({f"m{n}.py": "x = 1\n" for n in range(3)})
    job = tmp_path / "job.yaml"
    with Endpoint(script=first_only) as endpoint:
        step = f'{{rewrite: {{prompt: Wait., model: {{url: "{endpoint.url}", name: slow}}}}}}'
        job.write_text(JOB.format(repo=repo.folder, contains="x", step=step))
        argv = [sys.executable, "-c", "from pipelines.cli import main; main()", "run", str(job)]
        driver = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        with closing(Store(home / "store.db")) as store:
            while not store.find("m0.py") or not store.outcomes([store.find("m0.py")[0][1]]):
                assert driver.poll() is None
                time.sleep(0.2)
        driver.send_signal(signal.SIGINT)
        _, said = driver.communicate(timeout=60)
    assert driver.returncode == 130
    assert "Stopped: 1 of 3 shards are done and kept" in said
    assert "Traceback" not in said


def test_a_model_that_is_gone_costs_no_shard(lanes: OnRay, home: Path, checkout: Callable[..., Checkout]) -> None:
    """All in hand find out by one probe; each comes back as it was."""
    repo = checkout({f"m{n}.py": "x = 1\n" for n in range(60)})
    with Endpoint(Says(status=401, body=b"who are you?")) as endpoint:
        step = f'{{rewrite: {{prompt: Count., model: {{url: "{endpoint.url}", name: scripted, concurrency: 4}}}}}}'
        kit, found = kit_of(JOB.format(repo=repo.folder, contains="x = 1", step=step), home)
        done = outcomes(lanes, kit, found)
    assert len(done) == 60
    assert {(one.away, one.error.partition(" (")[0], one.verdicts) for one in done.values()} == {
        (True, f"model endpoint {endpoint.url} answered 401: who are you?", ())
    }
    assert (len(endpoint.requests) <= 4, len(endpoint.pings)) == (True, 1)


def test_an_endpoint_that_goes_away_and_comes_back_is_told_meanwhile(
    home: Path, tmp_path: Path, checkout: Callable[..., Checkout]
) -> None:
    repo = checkout({f"m{n}.py": "x = 1\n" for n in range(12)})
    job, told = tmp_path / "job.yaml", tmp_path / "told"
    block = "<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n"
    with Endpoint(Says(block, after=0.2)) as endpoint, told.open("w") as err:
        step = f'{{rewrite: {{prompt: Count., model: {{url: "{endpoint.url}", name: scripted, concurrency: 1}}}}}}'
        job.write_text(JOB.format(repo=repo.folder, contains="x = 1", step=step))
        argv = [sys.executable, "-c", "from pipelines.cli import main; main()", "run", "--json", str(job)]
        driver = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=err, text=True)
        while len(endpoint.requests) < 3:
            assert driver.poll() is None
            time.sleep(0.02)
        endpoint.stop()
        gone = time.monotonic()
        while "cannot be reached" not in told.read_text():
            assert driver.poll() is None and time.monotonic() < gone + 10
            time.sleep(0.1)
        endpoint.start_again()
        said, _ = driver.communicate(timeout=60)
    away, back = told.read_text().splitlines()
    assert re.fullmatch(rf"model endpoint {endpoint.url} cannot be reached .* wait, until [\d:]+ at most", away)
    assert re.fullmatch(rf"model endpoint {endpoint.url} answers again, after \d+ s or more: going on", back)
    assert json.loads(said)["counts"] == {"accepted": 12}, "none was lost for it"
    assert driver.returncode == 0
