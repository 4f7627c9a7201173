"""Whatever is killed at random while a job runs, each shard has one outcome and each change one request."""

from __future__ import annotations

import os
import random

import pytest

from tests.chaos.audit import Told, audit
from tests.chaos.killers import Killer
from tests.chaos.nodes import Cluster
from tests.chaos.town import Town

Wanted = dict[tuple[str, str], Told]
SEED = 6  # the other one is from the environment, or new each time
OTHER = int(os.environ.get("UMBAU_SEED") or random.SystemRandom().randrange(10**6))

pytestmark = pytest.mark.slow


def test_undisturbed_on_three_nodes(cluster: Cluster, wanted: Wanted) -> None:
    with Town.built(cluster.driver / "undisturbed") as town:
        assert town.run(cluster) == 1, town.last()
        assert audit(town.case(wanted, cluster)) == []


def test_killed_at_random(cluster: Cluster, wanted: Wanted) -> None:
    with Town.built(cluster.driver / "local") as town:
        killed(Killer(cluster, town, SEED), wanted)


def test_killed_at_random_with_gitlab(cluster: Cluster, wanted: Wanted) -> None:
    with Town.built(cluster.driver / "gitlab", gitlab=True, repos=4) as town:
        killed(Killer(cluster, town, OTHER), wanted)


def killed(killer: Killer, wanted: Wanted) -> None:
    try:
        killer.play()
    finally:
        print(killer)  # shown when it fails
    assert killer.killed.total() >= 8, f"little was killed: {killer.killed}"
    assert audit(killer.town.case(wanted, killer.cluster)) == []
