"""Clusters that are small: no node yet, object stores that are smaller than what is sent."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.cluster import OnRay
from tests.conftest import Checkout
from tests.pipelines.cluster.setting import Nodes, job, outcomes, planned, used


@pytest.mark.slow
def test_repositories_that_are_larger_than_the_object_store_are_sent(
    home: Path, tmp_path: Path, checkout: Callable[..., Checkout]
) -> None:
    sizes = [30, 40, 50, 120]  # MiB, which no compression makes smaller
    repos = [
        checkout({"large": os.urandom(size << 20), **{f"m{n}.py": "x = 1\n" for n in range(4)}}, f"large{size}").folder
        for size in sizes
    ]
    kit, found = planned(job(*repos, step=used("Slow", marks=tmp_path)), home)
    with closing(Nodes(object_store_memory=76 << 20)) as nodes:
        for name in ("one", "two"):
            nodes.add(name, num_cpus=2, object_store_memory=76 << 20)
        with closing(OnRay(nodes.address)) as lanes:
            done = outcomes(lanes, kit, found)
            assert lanes.bundled == 4
        assert {*nodes.mirrors("one"), *nodes.mirrors("two")} == {f"large{size}" for size in sizes}
    assert Counter(one.status for one in done.values()) == {"accepted": 16}


@pytest.mark.slow
def test_a_cluster_without_a_node_is_waited_for_and_that_is_told(
    home: Path,
    tmp_path: Path,
    checkout: Callable[..., Checkout],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("pipelines.cluster.placement.LONG", 3.0)
    repo = checkout({"m.py": "x = 1\n"})
    kit, found = planned(job(repo.folder, step=used("Slow", marks=tmp_path)), home)
    with closing(Nodes()) as empty, closing(OnRay(empty.address)) as lanes, ThreadPoolExecutor(1) as pool:
        lanes.start()
        running = pool.submit(outcomes, lanes, kit, found)
        time.sleep(12)
        assert not running.done()
        empty.add("late", num_cpus=1)
        assert running.result(timeout=60)["billing/m.py"].status == "accepted"
    assert capsys.readouterr().err.count("the cluster has had no node for this work for 3 s: waiting for a node") == 1
