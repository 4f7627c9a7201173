"""The head, killed and started again while a job runs. What it knows is kept on disk (RocksDB, as Ray has it)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.audit import Told, audit
from tests.chaos.nodes import Cluster
from tests.chaos.town import Town

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lasting() -> Iterator[Cluster]:
    with Cluster.started(2, lasting=True) as cluster:
        yield cluster


def test_head_killed_and_started_again(lasting: Cluster, wanted: dict[tuple[str, str], Told]) -> None:
    """The nodes go on. The driver, which was on the head, ends with it; run again, it does what is missing."""
    with Town.built(lasting.driver / "head", repos=2) as town:
        child = town.start(lasting)
        town.reaches(child, lambda: town.done() > 4)
        nodes = {node.name: node.raylet for node in lasting.nodes.values()}
        lasting.behead()
        assert town.end(child) != 0
        kept = town.done()
        assert 4 < kept < 80, "it ended as if nothing had been"
        lasting.wait()
        assert {node.name: node.raylet for node in lasting.nodes.values()} == nodes
        town.settle(lasting)
        assert audit(town.case(wanted, lasting)) == []
