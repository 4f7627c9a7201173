"""On three nodes and a head that has no CPUs, started once for all of these: two are labelled for judging."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.cluster import OnRay
from pipelines.data import Task
from pipelines.lanes import InProcess
from tests.conftest import Checkout
from tests.endpoint import Endpoint, Says
from tests.pipelines.cluster.setting import Nodes, job, outcomes, planned, used

BLOCK = "<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n"
WORKING = {"umbau.dev/lane": "working"}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with closing(Nodes()) as made:
        made.add("one", num_cpus=2, labels=WORKING)
        made.add("two", num_cpus=2, labels=WORKING)
        made.add("replicas", num_cpus=2)
        yield made


@pytest.fixture(scope="module")
def lanes(nodes: Nodes) -> Iterator[OnRay]:
    with closing(OnRay(nodes.address)) as made:
        made.start()
        yield made


def test_three_nodes_judge_as_this_process_does(
    nodes: Nodes, lanes: OnRay, home: Path, checkout: Callable[..., Checkout]
) -> None:
    """What is sent is sent once, and nothing runs on the head or where replicas are."""
    files = {f"m{n}.py": f"x = 'a {{}}'.format({n})\ny = '{{}}'.format(x)\n" for n in range(3)}
    repos = [checkout({**files, "bad.py": "x = '{}'.format(1\n"}, f"repo{n}").folder for n in range(3)]
    step = "{codemod: convert_format_to_fstring.ConvertFormatStringCommand}"
    more = ', {command: "python -m py_compile {paths}"}, {complaints: "grep -rn never . || true"}'
    kit, found = planned(job(*repos, contains=r"\.format\(", step=step, more=more), home)
    assert lanes.without_sandbox() == ""
    here, there = InProcess(), lanes
    facts = dict(there.prepare(kit, [repo.name for repo in found.repos]))
    assert facts == dict(here.prepare(kit, [repo.name for repo in found.repos]))
    done = outcomes(there, kit, found)
    assert done == outcomes(here, kit, found)
    assert Counter(one.status for one in done.values()) == {"accepted": 9, "skipped": 3}
    assert lanes.bundled == 3
    assert nodes.mirrors("head") == nodes.mirrors("replicas") == []
    assert {*nodes.mirrors("one"), *nodes.mirrors("two")} == set(facts)


def test_what_waits_for_a_model_waits_there_as_well(
    nodes: Nodes, lanes: OnRay, home: Path, checkout: Callable[..., Checkout]
) -> None:
    repo = checkout({f"m{n}.py": "x = 1\n" for n in range(20)}, "waits")
    with Endpoint(script=lambda request: Says(BLOCK, after=0.1)) as endpoint:
        step = f'{{rewrite: {{prompt: Count., model: {{url: "{endpoint.url}", name: scripted}}}}}}'
        kit, found = planned(job(repo.folder, step=step), home)
        done = outcomes(lanes, kit, found)
    assert {one.status for one in done.values()} == {"accepted"}
    assert "waits" not in nodes.mirrors("head") + nodes.mirrors("replicas")


def test_work_lands_where_its_files_are(
    nodes: Nodes, lanes: OnRay, home: Path, tmp_path: Path, checkout: Callable[..., Checkout]
) -> None:
    def sent(time: str) -> int:
        files = {f"m{n}.py": "x = 1\n" for n in range(10)}
        repos = [checkout(files, f"local-{time}-{n}").folder for n in range(6)]
        marks = tmp_path / time
        marks.mkdir()
        kit, found = planned(job(*repos, step=used("Slow", marks=marks, seconds=0.1)), home)
        outcomes(lanes, kit, found)
        lines = [line.split() for line in (marks / "done").read_text().splitlines()]
        assert len(lines) == 60
        return len({(repo, mirror) for repo, _, mirror in lines})

    # A node whose core others take gives work away: then once more. How many are sent the benchmark tells.
    assert any(sent(time) < 12 for time in ("first", "second", "third")), "12 if each is sent to both nodes"


def test_one_poisonous_shard_is_no_quarantine_but_a_poisonous_repository_is(
    lanes: OnRay, home: Path, tmp_path: Path, checkout: Callable[..., Checkout]
) -> None:
    fine = checkout({"always.py": "x = 1\n", **{f"m{n}.py": "x = 1\n" for n in range(20)}}, "fine").folder
    poison = checkout({f"always{n}.py": "x = 1\n" for n in range(20)}, "poison").folder
    other = checkout({f"m{n}.py": "x = 1\n" for n in range(5)}, "other").folder
    kit, found = planned(job(fine, poison, other, step=used("Deadly", marks=tmp_path)), home)
    done = outcomes(lanes, kit, found)
    failed = {name: one.error for name, one in done.items() if one.error}
    assert set(failed) == {"fine/always.py", *(f"poison/always{n}.py" for n in range(20))}
    assert failed["fine/always.py"].startswith("the worker died 3 times (WorkerCrashedError")
    assert list(lanes.aside) == ["poison"]
    told = Counter(error.partition(": ")[0] for name, error in failed.items() if name.startswith("poison"))
    assert told["poison is set aside"] >= 17, "what was in flight may have died as well"


def test_a_node_that_is_gone_takes_nothing_with_it(
    nodes: Nodes, lanes: OnRay, home: Path, tmp_path: Path, checkout: Callable[..., Checkout]
) -> None:
    nodes.add("three", num_cpus=2, labels=WORKING)
    repos = [checkout({f"m{n}.py": "x = 1\n" for n in range(15)}, f"gone{n}").folder for n in range(3)]
    kit, found = planned(job(*repos, step=used("Slow", marks=tmp_path, seconds=0.2)), home)
    done = []
    for some in lanes.run(kit, (Task(one.shard) for one in found.planned)):
        done += some
        if "three" in nodes.folders and nodes.mirrors("three"):
            nodes.kill("three")
    assert "three" not in nodes.folders
    assert Counter(outcome.status for _, outcome in done) == {"accepted": 45}
    assert len({task.shard.key for task, _ in done}) == 45


def test_a_full_disk_is_no_fault_of_a_repository(
    nodes: Nodes, lanes: OnRay, home: Path, tmp_path: Path, checkout: Callable[..., Checkout]
) -> None:
    (nodes.top / "full").mkdir()
    if not mounted(nodes.top / "full", "2m"):
        pytest.skip("needs the right to mount")
    try:
        nodes.add("full", num_cpus=2, labels=WORKING)
        large = checkout({"large": os.urandom(4 << 20), **{f"m{n}.py": "x = 1\n" for n in range(30)}}, "large")
        kit, found = planned(job(large.folder, step=used("Slow", marks=tmp_path, seconds=0.3)), home)
        done = outcomes(lanes, kit, found)
        tried = list(nodes.folders["full"].glob("umbau-*/used/*large*.lock"))
        nodes.kill("full")
    finally:
        subprocess.run(["umount", "--lazy", nodes.top / "full"], check=True)
    assert tried, "it was given some of them"
    assert Counter(one.status for one in done.values()) == {"accepted": 30}
    assert not lanes.aside


def test_a_hungry_command_ends_before_its_neighbours_do(
    nodes: Nodes, lanes: OnRay, home: Path, checkout: Callable[..., Checkout], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is reserved for it is what the smallest node has for each core, and it gets no more."""
    monkeypatch.setattr("pipelines.cluster.placement.LOOK", 0.0)
    nodes.add("small", num_cpus=2, memory=1 << 30, labels=WORKING)
    repo = checkout({"hungry.py": "x = 1\n", "modest.py": "x = 1\n"}, "hungry")
    step = '{shell: "sed -i s/1/2/ {paths}"}'
    eats = "python -c 'import time; much = 900 * 2**20 * bytes([1]); time.sleep(9)'"
    more = f', {{command: "case {{paths}} in *hungry*) {eats};; esac"}}'
    kit, found = planned(job(repo.folder, step=step, more=more), home)
    done = outcomes(lanes, kit, found)
    nodes.kill("small")
    assert done["hungry/modest.py"].status == "accepted"
    assert "took more than 0.5 GB of memory" in done["hungry/hungry.py"].verdicts[-1].findings[0].message


def test_a_lane_goes_on_elsewhere_when_its_node_is_gone(
    nodes: Nodes, lanes: OnRay, home: Path, checkout: Callable[..., Checkout]
) -> None:
    repo = checkout({f"m{n}.py": "x = 1\n" for n in range(60)}, "moves")
    with Endpoint(script=lambda request: Says(BLOCK, after=1.0)) as endpoint:
        step = f'{{rewrite: {{prompt: Count., model: {{url: "{endpoint.url}", name: scripted, concurrency: 8}}}}}}'
        kit, found = planned(job(repo.folder, step=step), home)
        done = []
        for some in lanes.run(kit, [Task(one.shard) for one in found.planned]):
            done += some
            if len(done) == 10:
                nodes.kill(nodes.of("ray::_Lane"))
    assert Counter(outcome.status for _, outcome in done) == {"accepted": 60}
    assert len({task.shard.key for task, _ in done}) == 60


def mounted(folder: Path, size: str) -> bool:
    """Say whether a small disk could be mounted there."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "umbau", folder]
    return not subprocess.run(mount, capture_output=True, check=False).returncode
