"""One fault at a time, while a job runs on three nodes."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread

import libfaketime
import pytest

from tests.chaos.audit import Told, audit
from tests.chaos.nodes import Cluster, Node, beating
from tests.chaos.processes import exposing, shoot, until
from tests.chaos.town import SECRET, Town
from tests.pipelines.store.server import Server

Wanted = dict[tuple[str, str], Told]
SOME = {"repos": 2, "shards": 16}

pytestmark = pytest.mark.slow


@pytest.fixture
def town(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[Town]:
    with Town.built(cluster.driver / request.node.name, **SOME) as made:
        yield made


def all_is_well(town: Town, wanted: Wanted, cluster: Cluster, people: Sequence[tuple[str, str, str]] = ()) -> None:
    cluster.bury()
    assert audit(town.case(wanted, cluster, people)) == []
    assert exposing([one.pid for one in cluster.processes()], [SECRET]) == []


def test_driver_killed_at_points(cluster: Cluster, wanted: Wanted) -> None:
    """As soon as it has planned, among its shards, before and after what it says to the forge got there. Meanwhile a
    person pushes to a branch that it has opened a request for."""
    with Town.built(cluster.driver / "points", gitlab=True, **SOME) as town:
        double = town.double
        assert double
        double.user("ada")
        double.fault("POST /projects/[^/]+/merge_requests$", after=True)  # done, but the answer is lost
        points: list[Callable[[], bool]] = [
            lambda: bool(town.done() or town.keys),
            lambda: town.done() > 8,
            lambda: double.pushes > 0,
            lambda: town.opened() > 0,
            lambda: town.opened() > 2,
        ]
        for point in points:
            child = town.start(cluster)
            town.reaches(child, point)
            child.kill()
            child.wait()
        project = next(project for project in double.projects.values() if project.requests)
        branch = project.requests[1].source
        mine = double.push_as("ada", project.path, branch, {}, "On top")
        town.settle(cluster)
        all_is_well(town, wanted, cluster, [(project.path, branch, mine)])


def test_node_killed(town: Town, wanted: Wanted, cluster: Cluster) -> None:
    """The one that the waiting lane is on: the same run goes on without it."""
    child = town.start(cluster)
    town.reaches(child, lambda: town.done() > 4)
    node = lane_of(cluster)
    node.kill()
    cluster.replace(node)
    assert town.settle(cluster, child) == [1]
    all_is_well(town, wanted, cluster)


def lane_of(cluster: Cluster) -> Node:
    return next(node for node in cluster.nodes.values() if node.lanes())


def test_waiting_lane_killed(town: Town, wanted: Wanted, cluster: Cluster) -> None:
    child = town.start(cluster)
    for count in (0, 12):
        town.reaches(child, lambda count=count: town.done() > count and any(n.lanes() for n in cluster.nodes.values()))
        shoot(lane_of(cluster).lanes())
    assert town.settle(cluster, child) == [1]
    all_is_well(town, wanted, cluster)


def test_worker_frozen_for_a_while(town: Town, wanted: Wanted, cluster: Cluster) -> None:
    """What it was at is late, and counts once."""
    child = town.start(cluster)
    town.reaches(child, lambda: town.done() > 4 and any(node.workers() for node in cluster.nodes.values()))
    frozen = [pid for node in cluster.nodes.values() for pid in node.workers()][:1]
    shoot(frozen, signal.SIGSTOP)
    time.sleep(10)
    shoot(frozen, signal.SIGCONT)
    assert town.settle(cluster, child) == [1]
    all_is_well(town, wanted, cluster)


def test_node_frozen_until_it_is_given_up(town: Town, wanted: Wanted, cluster: Cluster) -> None:
    """Its work is done elsewhere. Thawed, it finds that it is not wanted any more, and its late results count for
    nothing."""
    child = town.start(cluster)
    town.reaches(child, lambda: town.done() > 4)
    node = lane_of(cluster)
    frozen = node.freeze()
    cluster.replace(node)
    town.reaches(child, lambda: town.done() > 26 or child.poll() is not None)
    shoot(frozen, signal.SIGCONT)
    assert town.settle(cluster, child) == [1]
    assert until(lambda: node.child.poll() is not None, 60), "it goes on, though it was given up"
    all_is_well(town, wanted, cluster)


def test_slow_node(town: Town, wanted: Wanted, cluster: Cluster) -> None:
    """It works a quarter of the time."""
    child = town.start(cluster)
    town.reaches(child, lambda: town.done() > 0)
    with beside(lambda: beating(lane_of(cluster), 0.3, 0.9, time.monotonic() + 12)):
        assert town.settle(cluster, child) == [1]
    all_is_well(town, wanted, cluster)


@contextmanager
def beside(act: Callable[[], None]) -> Iterator[None]:
    thread = Thread(target=act)
    thread.start()
    yield
    thread.join()


def test_model_away_for_a_while(cluster: Cluster, wanted: Wanted) -> None:
    """No shard fails for it, and the same run goes on when it is back."""
    with Town.built(cluster.driver / "away", repos=2) as town:  # more than are in hand at a time
        child = town.start(cluster)
        town.reaches(child, lambda: town.done() > 4)
        town.endpoint.stop()
        time.sleep(12)
        assert child.poll() is None
        town.endpoint.start_again()
        assert town.settle(cluster, child) == [1]
        all_is_well(town, wanted, cluster)


def test_object_store_full(cluster: Cluster, wanted: Wanted) -> None:
    """The repositories do not fit into what a node holds of objects."""
    big = {"data/blob": secrets.token_bytes(30 << 20)}
    with Town.built(cluster.driver / "big", repos=3, shards=4, more=big) as town:
        town.settle(cluster)
        all_is_well(town, wanted, cluster)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a node a disk of its own that is small")
def test_disk_full_on_one_node(cluster: Cluster, wanted: Wanted) -> None:
    big = {"data/blob": secrets.token_bytes(6 << 20)}
    node = cluster.add(size=8 << 20)
    cluster.wait()
    try:
        with Town.built(cluster.driver / "disk", repos=3, shards=8, more=big) as town:
            assert town.settle(cluster) == [1]
            all_is_well(town, wanted, cluster)
    finally:
        cluster.remove(node)


def test_database_away_for_a_while(cluster: Cluster, wanted: Wanted, monkeypatch: pytest.MonkeyPatch) -> None:
    """It crashes and comes back, twice: the same run waits for it."""
    with closing(Server(durable=True)) as server:
        monkeypatch.setenv("UMBAU_STORE", server.database())
        monkeypatch.setenv("PGPASSWORD", "secret")
        with Town.built(cluster.driver / "database", **SOME) as town:
            child = town.start(cluster)
            for count in (4, 16):
                town.reaches(child, lambda count=count: town.done() > count)
                server.stop(signal.SIGQUIT)
                time.sleep(6)
                assert child.poll() is None, town.last()
                server.start()
            assert town.settle(cluster, child) == [1]
            all_is_well(town, wanted, cluster)


def test_repository_that_kills_every_worker(cluster: Cluster, wanted: Wanted) -> None:
    """It is set aside, the others are done, and the next run does not try it again."""
    step = "\n  - use: {path: tests.chaos.town.Poison, settings: {repo: r2}}"
    with Town.built(cluster.driver / "poison", repos=3, shards=10, first=step) as town:
        assert town.run(cluster) == 2, town.last()
        assert "r2 is set aside" in town.last(10**6)
        deaths = poisoned(cluster)
        assert 3 <= deaths <= 40, "each shard, in whatever hand, dies three times at most"
        assert town.run(cluster) == 2, town.last()
        assert poisoned(cluster) == deaths
        case = town.case(wanted, cluster)
        assert [one for one in audit(case) if not FAILED.match(one)] == []
        assert {one.repo for one in case.requests} == {"r1", "r3"}


FAILED = re.compile(r"r2 \S+ (has 0 outcomes for 1 goes: \['failed'\]|came out otherwise .*: failed, not)")


def poisoned(cluster: Cluster) -> int:
    return len([*cluster.folder.glob("n*/tmp/poisoned-*")])


def test_clocks_that_are_wrong(cluster: Cluster, wanted: Wanted) -> None:
    """One node is an hour behind, one a day ahead; so is the first of two drivers."""
    behind, ahead = wrong_clock("-1h"), wrong_clock("+1d")
    for node in [*cluster.nodes.values()][:2]:
        cluster.remove(node)
    odd = [cluster.add(env=behind), cluster.add(env=ahead)]
    cluster.wait()
    try:
        with Town.built(cluster.driver / "clocks", **SOME) as town:
            child = town.start(cluster, **ahead)
            town.reaches(child, lambda: town.done() > 10)
            child.kill()
            child.wait()
            town.settle(cluster)
            all_is_well(town, wanted, cluster)
    finally:
        for node in odd:
            cluster.remove(node)


def wrong_clock(by: str) -> dict[str, str]:
    """Return the environment in which the clock on the wall is wrong, and no other."""
    library = Path(libfaketime.__file__).parent / "vendor/libfaketime/src/libfaketime.so.1"
    env = {"LD_PRELOAD": str(library), "FAKETIME": by, "DONT_FAKE_MONOTONIC": "1"}
    now = subprocess.run(["date", "+%s"], env=env, capture_output=True, text=True, check=True).stdout
    if abs(int(now) - time.time()) < 1800:
        pytest.skip("the wheel of libfaketime is not for this kind of machine")
    return env
