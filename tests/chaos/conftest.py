"""One cluster for all stories that leave it well, and what an undisturbed run gives."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.chaos.audit import Told
from tests.chaos.nodes import Cluster
from tests.chaos.town import Town


@pytest.fixture(scope="session")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Told]:
    """What comes of every shard of the largest town where nothing dies."""
    with Town.built(tmp_path_factory.mktemp("undisturbed")) as town:
        return town.in_process()


@pytest.fixture(scope="session")
def standing() -> Iterator[Cluster]:
    with Cluster.started() as cluster:
        yield cluster


@pytest.fixture
def cluster(standing: Cluster) -> Cluster:
    """Three nodes that are up, no driver's folder in sight."""
    standing.bury()
    for node in [*standing.nodes.values()]:
        if node.child.poll() is not None or not node.raylet:
            standing.remove(node)
    while len(standing.nodes) < 3:
        standing.add()
    for known in standing.folder.glob("n*/tmp/umbau-*/responses"):
        shutil.rmtree(known)  # else the model would not be asked again what it was asked in another story
    standing.wait()
    return standing
