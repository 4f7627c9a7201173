"""On a Ray of this machine's own, started once for all of these."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines.cluster import OnRay
from pipelines.data import Task
from pipelines.lanes import InProcess, Moment
from pipelines.store import Store
from tests.conftest import Checkout
from tests.endpoint import Endpoint, Says
from tests.pipelines.cluster.setting import job, outcomes, planned, used


@pytest.fixture(scope="module")
def lanes() -> Iterator[OnRay]:
    with closing(OnRay(cores=2)) as made:
        yield made


def test_same_outcomes_as_in_process(lanes: OnRay, home: Path, checkout: Callable[..., Checkout]) -> None:
    files = {f"m{n}.py": f"x = 'a {{}}'.format({n})\ny = '{{}}'.format(x)\n" for n in range(30)}
    repo = checkout({**files, "bad.py": "x = '{}'.format(1\n"})
    step = "{codemod: convert_format_to_fstring.ConvertFormatStringCommand}"
    kit, found = planned(job(repo.folder, contains=r"\.format\(", step=step), home)
    there = outcomes(lanes, kit, found)
    assert there == outcomes(InProcess(), kit, found)
    assert sorted({one.status for one in there.values()}) == ["accepted", "skipped"]


def test_a_plugin_in_a_worker_talks_to_nobody(
    lanes: OnRay, home: Path, checkout: Callable[..., Checkout], allow: Callable[..., None]
) -> None:
    allow(models=["gpu.example"])
    repo = checkout({"a.py": "x = 1\n"})
    kit, found = planned(job(repo.folder, step=used("Phoning")), home)
    (done,) = outcomes(lanes, kit, found).values()
    assert done.error.count("Forbidden: ") == 3
    assert "203.0.113.66 (port 80) is not among the hosts" in done.error
    assert "'evil.example' is not among the hosts that this site allows, so nobody is asked" in done.error


def test_killed_workers(lanes: OnRay, home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> None:
    repo = checkout({f"{name}.py": "x = 1\n" for name in ["always", "once", *(f"fine{n}" for n in range(20))]})
    kit, found = planned(job(repo.folder, step=used("Deadly", marks=tmp_path)), home)
    done = outcomes(lanes, kit, found)
    assert done["billing/always.py"].status == "failed"
    assert "died" in done["billing/always.py"].error
    assert {one.status for name, one in done.items() if name != "billing/always.py"} == {"accepted"}
    assert len(done) == 22


@pytest.mark.slow
def test_lanes_tell_what_they_are_at(lanes: OnRay, home: Path, checkout: Callable[..., Checkout]) -> None:
    repo = checkout({f"m{n}.py": f"x = 1\n# {n}\n" for n in range(6)})
    block = "<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n"
    with Endpoint(Says(block, after=3)) as endpoint:
        asking = f'{{rewrite: {{prompt: Count., model: {{url: "{endpoint.url}", name: slow}}}}}}'
        told = moments(
            lanes, job(repo.folder, step=asking, more=', {command: "sleep 3"}', rest="sandbox: none\n"), home
        )
    assert (6, 6, 0) in told, "all are in hand, and wait for the model"
    assert {testing for _, _, testing in told} & {1, 2}, "then for the command, two at a time as there are two cores"
    assert max(testing for _, _, testing in told) <= 2
    working = job(repo.folder, step='{shell: "sleep 2; sed -i s/1/2/ {paths}"}', rest="sandbox: none\n")
    told = moments(lanes, working, home)
    assert {(flight > 0, asking, testing) for flight, asking, testing in told} >= {(True, 0, 2), (False, 0, 0)}


def moments(lanes: OnRay, text: str, home: Path) -> list[tuple[int, int, int]]:
    """Run a job; return what the lanes told meanwhile: what is in hand, asks a model, and is being tested."""
    kit, found = planned(text, home)
    told: list[Moment] = []
    done = [one for some in lanes.run(kit, [Task(one.shard) for one in found.planned], told.append) for one in some]
    assert {outcome.status for _, outcome in done} == {"accepted"}
    return [(one.flight, one.asking, one.testing) for one in told]


@pytest.mark.slow
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
        kit, found = planned(job(repo.folder, step=step), home)
        before = ray_processes()
        start, most = time.monotonic(), 0
        tasks = [Task(one.shard) for one in found.planned]
        statuses = []
        for done in lanes.run(kit, tasks):
            most = max(most, ray_processes())
            statuses += [outcome.status for _, outcome in done]
        took = time.monotonic() - start
    assert statuses == ["accepted"] * 500
    assert most - before < 30, "500 wait at a time; a busy machine keeps some workers more"
    assert took < 60, "one after another they would have taken 2,000 s"


@pytest.mark.parametrize("waits", [False, True])
def test_commands_are_run_in_the_jobs_environment(
    lanes: OnRay, home: Path, checkout: Callable[..., Checkout], waits: bool
) -> None:
    """Also where a shard waits in the one lane, and is judged in the other."""
    repo = checkout({"m.py": "x = 1\n"})
    more = ', {command: "command -v python | grep environments"}'
    with Endpoint(Says("m.py\n<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n")) as endpoint:
        model = f'{{rewrite: {{prompt: Count., model: {{url: "{endpoint.url}", name: scripted}}}}}}'
        step = model if waits else "{shell: echo x = 2 > m.py}"
        kit, found = planned(job(repo.folder, step=step, more=more, rest="environment: {}"), home)
        (done,) = outcomes(lanes, kit, found).values()
    assert (done.status, done.error) == ("accepted", "")


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
    file = tmp_path / "job.yaml"
    with Endpoint(script=first_only) as endpoint:
        step = f'{{rewrite: {{prompt: Wait., model: {{url: "{endpoint.url}", name: slow}}}}}}'
        file.write_text(job(repo.folder, step=step))
        argv = [sys.executable, "-c", "from pipelines.cli import main; main()", "run", str(file)]
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


def test_stopped_while_ray_comes_up_it_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[dict[str, Any]] = []

    def stopped(**settings: Any) -> None:
        begun.append(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr("ray.init", stopped)
    with closing(OnRay(cores=2)) as own, pytest.raises(KeyboardInterrupt):
        own.without_sandbox()
    assert len(begun) == 1


def test_a_model_that_is_gone_costs_no_shard(lanes: OnRay, home: Path, checkout: Callable[..., Checkout]) -> None:
    """All in hand find out by one probe; each comes back as it was."""
    repo = checkout({f"m{n}.py": "x = 1\n" for n in range(60)})
    with Endpoint(Says(status=401, body=b"who are you?")) as endpoint:
        step = f'{{rewrite: {{prompt: Count., model: {{url: "{endpoint.url}", name: scripted, concurrency: 4}}}}}}'
        kit, found = planned(job(repo.folder, step=step), home)
        done = outcomes(lanes, kit, found)
    assert len(done) == 60
    assert {(one.away, one.error.partition(" (")[0], one.verdicts) for one in done.values()} == {
        (True, f"model endpoint {endpoint.url} answered 401: who are you?", ())
    }
    assert (len(endpoint.requests) <= 4, len(endpoint.pings)) == (True, 1)


@pytest.mark.slow
def test_an_endpoint_that_goes_away_and_comes_back_is_told_meanwhile(
    home: Path, tmp_path: Path, checkout: Callable[..., Checkout]
) -> None:
    repo = checkout({f"m{n}.py": "x = 1\n" for n in range(12)})
    file, told = tmp_path / "job.yaml", tmp_path / "told"
    block = "<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n"
    with Endpoint(Says(block, after=0.2)) as endpoint, told.open("w") as err:
        step = f'{{rewrite: {{prompt: Count., model: {{url: "{endpoint.url}", name: scripted, concurrency: 1}}}}}}'
        file.write_text(job(repo.folder, step=step))
        argv = [sys.executable, "-c", "from pipelines.cli import main; main()", "run", "--json", str(file)]
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
