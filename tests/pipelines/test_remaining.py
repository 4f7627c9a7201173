"""What is left in the code bases, over weeks: two repositories, whose heads move as people merge and write."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.data import Plan
from pipelines.driver import Driver
from pipelines.lanes import InProcess
from pipelines.remaining import KIND, remaining
from pipelines.session import driving
from tests.conftest import Checkout, Files

FILES: Files = {"a/x.py": "x = 1\nv = 1\n", "a/y.py": "y = 1\n", "b/z.py": "z = 1\n", "c.py": "c = 0\n"}
OTHER: Files = {"m.py": "m = 1\n", "n.py": "n = 0\n"}
JOB: dict[str, Any] = {
    "name": "count",
    "repos": [{"git": "billing"}, {"git": "shop"}],
    "select": {"contains": "= 1$"},
    "steps": [{"shell": "sed -i 's/= 1$/= 2/' {paths}"}],
    "checks": ["inside"],
    "merge_request": {"group": {"by": "repository"}},
}


@dataclass
class World:
    billing: Checkout
    shop: Checkout
    file: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def tick(self, *, first: bool = False) -> tuple[Driver, Plan]:
        """Do what `umbau run` does, or `umbau tend`."""
        self.file.write_text(yaml.safe_dump({**JOB, **self.settings}))
        with ExitStack() as stack:
            driver = stack.enter_context(driving(str(self.file), None, quiet=True))
            stack.enter_context(driver.driving())
            plan = driver.plan() if first else driver.look()
            if first:
                driver.adopt(plan)
                driver.run(plan, InProcess())
            driver.tend(plan, InProcess())
            self.left = str(remaining("count", plan, driver.store))
            self.events = driver.store.log.events("count", [KIND])
            return driver, plan

    def merge(self, repo: Checkout) -> None:
        """Bring what Umbau proposes to a head."""
        bare = self.file.parent / "home" / "forge" / repo.folder.name / "repo.git"
        branch = f"umbau/count/{repo.folder.name}"
        repo.git("-c", "protocol.file.allow=always", "pull", "--quiet", "--no-rebase", "--no-edit", str(bare), branch)

    @property
    def hits(self) -> list[tuple[str, int, int, int]]:
        """Return repository, files, lines and files at first, as they were noted."""
        return [(one.repo, one.body["hits"], one.body["lines"], one.body["total"]) for one in self.events]


@pytest.fixture
def world(tmp_path: Path, home: Path, checkout: Callable[..., Checkout]) -> World:
    return World(checkout(FILES), checkout(OTHER, "shop"), tmp_path / "job.yaml")


def test_it_goes_down_to_nothing_and_up_again(world: World) -> None:
    world.tick(first=True)
    assert world.left == "4 of 4 files in 2 of 2 repositories"
    assert sorted(world.hits) == [("billing", 3, 4, 3), ("shop", 1, 1, 1)]

    world.tick()
    world.tick(first=True)
    assert len(world.events) == 2, "what has not changed is not noted again"

    world.merge(world.billing)
    world.tick()
    assert world.left == "1 of 4 files in 1 of 2 repositories"
    assert world.hits[2:] == [("billing", 0, 0, 3)]

    world.merge(world.shop)
    world.tick()
    assert world.left == "0 of 4 files in 0 of 2 repositories"

    world.shop.commit({"new.py": "a = 1\nb = 1\n"}, "somebody writes as before")
    world.tick()
    assert world.left == "1 of 4 files in 1 of 2 repositories"
    assert world.hits[-1] == ("shop", 1, 2, 1)

    world.shop.commit({"new2.py": "a = 1\n", "new3.py": "a = 1\n", "new4.py": "a = 1\n", "new5.py": "a = 1\n"})
    world.tick()
    assert world.left == "5 files (4 at first) in 1 of 2 repositories"


def test_a_head_that_goes_back_is_noted_again(world: World) -> None:
    world.tick(first=True)
    before = world.billing.git("rev-parse", "HEAD")
    world.merge(world.billing)
    world.tick()
    world.billing.git("reset", "--quiet", "--hard", before)
    world.tick()
    assert [hits for repo, hits, _, _ in world.hits if repo == "billing"] == [3, 0, 3]


def test_another_detector_begins_anew(world: World) -> None:
    world.tick(first=True)
    world.merge(world.billing)
    world.tick()
    world.settings = {"select": {"contains": "= [12]$"}}
    world.tick(first=True)
    assert world.left == "4 of 4 files in 2 of 2 repositories"


def test_of_a_repository_that_cannot_be_looked_at_the_last_that_is_known_counts(world: World) -> None:
    world.tick(first=True)
    folder = world.billing.folder
    folder.rename(folder.with_name("away"))
    _, plan = world.tick()
    assert set(plan.trouble) == {"billing"}
    assert world.left == "4 of 4 files in 2 of 2 repositories"


def test_of_a_new_one_that_cannot_be_looked_at_nothing_is_said(world: World) -> None:
    world.settings = {"repos": [{"git": "shop"}, {"git": "nowhere"}]}
    world.tick(first=True)
    assert world.left == "1 of 1 files in 1 of 1 repositories"


def test_files_that_are_left_alone_are_left(world: World) -> None:
    world.billing.commit({".umbauignore": "a/\n"})
    world.tick(first=True)
    assert world.left == "4 of 4 files in 2 of 2 repositories"


@pytest.mark.parametrize("select", [{}, {"files": ["*.py"], "contains": ""}])
def test_where_the_detector_finds_every_file_it_is_known_by_what_would_change(
    world: World, select: dict[str, Any]
) -> None:
    world.settings = {"select": select}
    world.tick(first=True)
    assert world.left == "4 of 4 files in 2 of 2 repositories", "c.py and n.py stay as they are"
    world.merge(world.billing)
    world.tick()
    assert world.left == "1 of 4 files in 1 of 2 repositories", "what a request stood on was tried again"
    world.tick()  # the request is closed, as nothing is left to propose
    world.billing.commit({"new.py": "a = 1\n"}, "somebody writes as before")
    world.tick()
    assert world.left == "1 of 1 files in 1 of 1 repositories, not known of 1", "nobody has tried yet"
    world.tick(first=True)
    assert world.left == "2 of 4 files in 2 of 2 repositories"
    world.billing.commit({"new.py": None}, "and no more")
    world.merge(world.shop)
    world.tick(first=True)
    assert world.left == "0 of 4 files in 0 of 2 repositories"


def test_before_anything_is_known_nothing_is_said(world: World) -> None:
    world.settings = {"select": {}, "steps": [{"shell": "./missing {paths}"}]}
    world.tick(first=True)
    assert world.left == "None"
    assert world.events == []
