"""One request from its opening to its merge, with all that happens to it on the way; each tick a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipelines.console import Watch
from pipelines.driver import Driver
from pipelines.errors import Refused
from pipelines.job import Job
from pipelines.lanes import InProcess
from pipelines.recipe import recipe
from pipelines.store import Store
from pipelines.tend import Tended
from pipelines.watching import watching
from tests.endpoint import Endpoint
from tests.pipelines.scripted import ScriptedForge

PLACE = ("billing", "umbau/count/billing")
LINES = "".join(f"line_{number} = 0\n" for number in range(9))


@dataclass
class World:
    forge: ScriptedForge
    home: Path
    endpoint: Endpoint
    settings: dict[str, Any] = field(default_factory=dict)
    stores: list[Store] = field(default_factory=list)

    def driver(self) -> Driver:
        """Return the driver as the next process has it."""
        model = {"url": self.endpoint.url, "name": "scripted", "timeout": 20}
        said = {
            "name": "count",
            "repos": [{"git": str(self.forge.bare("billing"))}],
            "select": {"files": ["x.py"], "contains": "^x = "},
            "steps": [{"rewrite": {"prompt": "Count up.", "model": model}}],
            "checks": ["inside"],
            "attempts": 2,
            "merge_request": {"merge": "approved", "tend": {"ci_attempts": 2, "maintainers": ["bob"]}},
        }
        job = Job.model_validate({**said, **self.settings})
        self.stores.append(Store(self.home / "store.db"))
        built = recipe(job, self.home / "job.yaml")
        store, clock = self.stores[-1], lambda: self.forge.now
        return Driver(job, built, self.home, self.home, store, self.forge, Watch(quiet=True), clock=clock)

    def tick(self, first: bool = False) -> list[Tended]:
        """Do what `umbau tend` does, or at first `umbau run`."""
        driver, lanes = self.driver(), InProcess()
        if first:
            plan = driver.plan()
            driver.adopt(plan)
            driver.run(plan, lanes)
        else:
            plan = driver.look()
        self.forge.now += 60
        return driver.tend(plan, lanes)[1]

    def verbs(self, first: bool = False) -> list[str]:
        return [one.action.verb for one in self.tick(first)]

    def why(self) -> str:
        (one,) = self.tick()
        assert not one.trouble
        return f"{one.action.verb}: {one.action.why}"

    @property
    def text(self) -> str:
        return self.forge.text("billing", PLACE[1], "x.py")

    @property
    def said(self) -> list[str]:
        """What Umbau said, from the last time it was looked at on."""
        new = [text for _, text, _ in self.forge.kept[PLACE].said][self.seen :]
        self.seen += len(new)
        return new

    seen: int = 0


@pytest.fixture
def world(home: Path, tmp_path: Path, endpoint: Endpoint) -> Iterator[World]:
    forge = ScriptedForge(tmp_path / "forge", begins="pending")
    forge.folder.mkdir()
    forge.create("billing", {"x.py": f"x = 1\n{LINES}y = 1\n", "README.md": "# Billing\n"})
    found = World(forge, home, endpoint)
    yield found
    for store in found.stores:
        store.close()


def block(old: str, new: str) -> str:
    return f"x.py\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


def asked(endpoint: Endpoint) -> str:
    return str(endpoint.requests[-1]["messages"][-1]["content"])


def test_from_opening_to_merge(world: World) -> None:
    forge, endpoint = world.forge, world.endpoint
    endpoint.say(block("x = 1", "x = 2"))
    assert world.verbs(first=True) == ["push"]
    assert world.why() == "wait: waits for review"

    forge.runs(PLACE, "failed")
    forge.logs = "test_x.py: expected 3, not 2"
    endpoint.say(block("x = 2", "x = 3"))
    assert world.verbs() == ["repair", "push"]
    assert "The pipeline of the merge request failed" in asked(endpoint)
    assert "expected 3, not 2" in asked(endpoint)
    assert world.text.startswith("x = 3\n")
    forge.runs(PLACE, "passed")
    assert world.why() == "wait: waits for review"

    forge.say(PLACE, "Why not ten?", "bob", path="x.py", line=1)
    endpoint.say(block("x = 3", "x = 10"))
    assert world.verbs() == ["repair", "push"]
    assert world.text.startswith("x = 10\n")
    assert forge.kept[PLACE].said[-1][1:] == ("Umbau changed `x.py` as you asked; every check passes.", "t1")
    forge.runs(PLACE, "passed")

    theirs = forge.commit("billing", PLACE[1], {"NOTES.md": "by hand\n"}, "Say why")
    world.said  # noqa: B018
    assert "hands off" in world.why()
    assert len(world.said) == 1
    assert "hands off" in world.why()
    assert world.said == [], "it is said once"
    assert forge.head(PLACE) == theirs

    forge.say(PLACE, "/umbau continue")
    assert world.why() == "wait: waits for review"
    assert forge.head(PLACE) == theirs
    assert world.said == ["Umbau looks after this request again. What somebody else pushed is kept."]

    forge.approve(PLACE)
    forge.runs(PLACE, "pending")
    forge.commit("billing", "main", {"README.md": "# Billing, new\n"})
    assert world.why() == "wait: approved"
    assert forge.head(PLACE) == theirs, "a base that has only moved is no reason to push"

    forge.commit("billing", "main", {"x.py": f"x = 5\n{LINES}y = 1\n"})
    endpoint.say(block("x = 5", "x = 11"))
    assert world.why() == "push: the change is another now"
    assert world.text.startswith("x = 11\n")
    assert forge.text("billing", PLACE[1], "NOTES.md") == "by hand\n", "what a person pushed is carried"
    assert not next(iter(forge.requests("umbau/count/", world.driver().latest().repos))).conflicts

    forge.approve(PLACE)
    forge.runs(PLACE, "passed")
    assert world.why() == "merge: approved"
    assert forge.text("billing", "main", "x.py").startswith("x = 11\n")
    assert forge.text("billing", "main", "NOTES.md") == "by hand\n"
    assert forge.states() == {"billing billing": "merged"}
    endpoint.say("NO CHANGE NEEDED")
    assert world.why() in {"wait: merged", "wait: nothing to propose"}
    assert forge.states() == {"billing billing": "merged"}


class Enough(Exception):
    pass


def test_watching_tells_each_time_in_one_line(world: World) -> None:
    world.endpoint.say(block("x = 1", "x = 2"))
    world.verbs(first=True)
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line.partition("  ")[2])
        if len(told) == 1:
            world.forge.commit("billing", "main", {"x.py": f"x = 5\n{LINES}y = 1\n"})
            world.endpoint.say(block("x = 5", "x = 6"))
        if len(told) == 2:
            world.forge.bare("billing").rename(world.home / "away")
        if len(told) == 3:
            (world.home / "away").rename(world.forge.bare("billing"))
        if len(told) == 4:
            raise Enough

    with pytest.raises(Enough):
        watching(world.driver(), InProcess(), 0.0, tell)
    assert told[:2] == ["1 merge request, nothing to do", "1 merge request, 1 pushed"]
    assert "billing: there is no folder" in told[2]
    assert told[3] == "1 merge request, nothing to do"
    assert world.text.startswith("x = 6\n")


def test_watching_a_job_that_was_not_run_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="has not been run yet"):
        watching(world.driver(), InProcess(), 0.0, print)


def test_a_rule_reaches_shards_that_are_not_done_yet(world: World) -> None:
    forge, endpoint = world.forge, world.endpoint
    endpoint.say(block("x = 1", "x = 2"))
    world.tick(first=True)
    forge.say(PLACE, "/umbau apply-to-all Never count to seven")
    world.tick()
    forge.say(PLACE, "/umbau confirm", "bob", thread="t1")
    endpoint.say(block("x = 2", "x = 3"))
    assert world.verbs() == ["repair", "push"]
    assert "Never count to seven" in asked(endpoint)
    world.settings = {"select": {"files": ["*.py"], "contains": "^x = "}}
    forge.commit("billing", "main", {"z.py": "x = 1\n"})
    endpoint.say("z.py\n<<<<<<< SEARCH\nx = 1\n=======\nx = 8\n>>>>>>> REPLACE\n")
    world.tick(first=True)
    (one,) = [found for found in endpoint.requests if "z.py" in str(found["messages"])]
    assert "Never count to seven" in str(one["messages"][-1]["content"])
