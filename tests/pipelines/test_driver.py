"""One job from tick to tick, each tick a process of its own, without Ray."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from operators.data import Outcome
from operators.model import _new_breaker
from pipelines.bulk.acts import merging
from pipelines.console import Watch
from pipelines.data import Plan, Task
from pipelines.driver import REPAIRS, Driver
from pipelines.errors import Refused
from pipelines.forge import AUTOMATED
from pipelines.forges.local import LocalForge
from pipelines.gather import Gathered
from pipelines.job import Job
from pipelines.lanes import Done, Halted, InProcess, Prepared, Tell
from pipelines.recipe import recipe
from pipelines.store import Lost, Store
from pipelines.tend import Tended
from pipelines.work import Kit
from tests.conftest import Checkout, Files
from tests.endpoint import Endpoint, Says

FILES: Files = {"a/x.py": "x = 1\n", "a/y.py": "y = 1\n", "b/z.py": "z = 1\n", "c.py": "c = 0\n"}
SHARDS = ["a/x.py", "a/y.py", "b/z.py"]


@dataclass
class Lanes(InProcess):
    """Remembers what it did; is stopped when it has done so much."""

    most: int = 1000
    tasks: list[Task] = field(default_factory=list)
    looked_at: list[str] = field(default_factory=list)

    @property
    def ran(self) -> list[str]:
        return [task.shard.name for task in self.tasks if not task.offered]

    @property
    def added_up(self) -> list[str]:
        return [task.shard.name for task in self.tasks if task.offered]

    def prepare(self, kit: Kit, repos: Iterable[str]) -> Iterator[Prepared]:
        for repo in repos:
            self.looked_at.append(repo)
            yield from super().prepare(kit, [repo])

    def run(
        self, kit: Kit, tasks: Iterable[Task], tell: Tell = lambda found: None, halted: Halted = lambda: False
    ) -> Iterator[Done]:
        for done in super().run(kit, tasks, tell, halted):
            if len(self.tasks) == self.most:
                raise KeyboardInterrupt
            self.tasks += [task for task, _ in done]
            yield done


@dataclass
class Tick:
    """What one process did."""

    driver: Driver
    plan: Plan
    lanes: Lanes
    gathered: Gathered
    tended: list[Tended]

    @property
    def outcomes(self) -> dict[str, Outcome]:
        names = {one.shard.key: one.shard.name for one in self.plan.planned}
        return {names[key]: found[-1] for key, found in self.driver.store.outcomes(list(names)).items()}

    @property
    def statuses(self) -> dict[str, str]:
        return {name: outcome.status for name, outcome in self.outcomes.items()}

    @property
    def verbs(self) -> dict[str, str]:
        return {done.branch.removeprefix("umbau/count/"): done.action.verb for done in self.tended}


@dataclass
class World:
    """A repository, a job, and what happens to them."""

    made: Checkout
    home: Path
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    stores: list[Store] = field(default_factory=list)

    @property
    def forge(self) -> LocalForge:
        return LocalForge(self.home / "forge")

    def driver(self) -> Driver:
        """Return the driver as the next process has it."""
        said = {
            "name": "count",
            "repos": [{"git": "billing"}],
            "select": {"contains": "= 1$"},
            "steps": [{"shell": "sed -i 's/= 1$/= 2/' {paths}"}],
            "checks": ["inside"],
        }
        job = Job.model_validate({**said, **self.settings})
        self.stores.append(Store(self.home / "store.db"))
        built = recipe(job, self.folder / "job.yaml")
        return Driver(job, built, self.home, self.folder, self.stores[-1], self.forge, Watch(quiet=True))

    def tick(self, lanes: Lanes | None = None) -> Tick:
        """Do what `umbau run` does."""
        driver, lanes = self.driver(), lanes or Lanes()
        plan = driver.plan()
        driver.adopt(plan)
        driver.run(plan, lanes)
        gathered, tended = driver.tend(plan, lanes)
        return Tick(driver, plan, lanes, gathered, tended)

    def states(self) -> dict[str, str]:
        repos = self.driver().latest().repos
        return {
            one.branch.removeprefix("umbau/count/"): one.state for one in self.forge.requests("umbau/count/", repos)
        }

    def proposed(self, branch: str, path: str) -> str:
        bare = self.home / "forge" / "billing" / "repo.git"
        return self.made.git(f"--git-dir={bare}", "show", f"umbau/count/{branch}:{path}")

    def review(self, text: str, path: str = "a/x.py") -> None:
        self.forge.review("billing/1", "ada", text=text, path=path, line=0, approve=False, close=False)

    def said(self) -> list[str]:
        """Return what Umbau said on the first request."""
        events = self.forge.records()[0].events
        said = [one.text for one in events if one.kind == "comment" and one.author != "ada"]
        assert all(text.endswith(f"\n\n{AUTOMATED}") for text in said)
        return [text.removesuffix(f"\n\n{AUTOMATED}") for text in said]


@pytest.fixture
def world(home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> Iterator[World]:
    found = World(checkout(FILES), home, tmp_path)
    yield found
    for store in found.stores:
        store.close()


def test_a_tick_plans_runs_gathers_and_opens(world: World) -> None:
    tick = world.tick()
    assert tick.statuses == dict.fromkeys(SHARDS, "accepted")
    assert tick.verbs == {"a": "push", "b": "push"}
    assert world.states() == {"a": "open", "b": "open"}
    assert [world.proposed("a", path) for path in SHARDS[:2]] == ["x = 2", "y = 2"]
    assert [done.branch for done in world.driver().requests(tick.plan, tick.gathered)] == [
        "umbau/count/a",
        "umbau/count/b",
    ]


def test_a_second_tick_does_nothing(world: World) -> None:
    world.settings = {"checks": ["inside", {"tests": "grep . c.py"}], "final": [{"command": "grep . c.py"}]}
    first, second = world.tick(), world.tick()
    assert (first.lanes.ran, first.lanes.added_up) == (SHARDS, ["a (2 files)", "b/z.py"])
    assert first.lanes.looked_at == ["billing"]
    assert (second.lanes.tasks, second.lanes.looked_at) == ([], [])
    assert second.verbs == {"a": "wait", "b": "wait"}
    assert second.plan == first.plan and second.outcomes == first.outcomes


class Seeing(Lanes):
    """Has seen much of each repository."""

    def prepare(self, kit: Kit, repos: Iterable[str]) -> Iterator[Prepared]:
        for repo in repos:
            self.looked_at.append(repo)
            yield repo, self.seen(repo)

    @staticmethod
    def seen(repo: str) -> dict[str, Any]:
        return {"pytest": {"results": {repo: "passed"}, "map": [[n, n, [n]] for n in range(5_000)]}}


def test_what_was_seen_of_repositories_is_never_all_in_memory(world: World, checkout: Callable[..., Checkout]) -> None:
    names = [checkout({"a.py": f"x = 1\n# {n}\n"}, f"r{n}").folder.name for n in range(8)]
    world.settings = {"repos": [{"git": name} for name in names], "checks": [{"tests": "pytest"}], "sandbox": "none"}
    for looked_at in (names, []):
        driver, lanes = world.driver(), Seeing()
        plan = driver.plan()
        tracemalloc.start()
        bases = driver._kit(plan, lanes, names).bases
        for repo in names:
            assert bases[repo].facts == Seeing.seen(repo)
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert held < 4 << 20, "a repository takes 1 MiB"
        assert lanes.looked_at == looked_at


def test_killed_at_any_moment_it_does_what_is_missing(world: World) -> None:
    world.settings = {"final": [{"command": "! grep -r 'y = 2' a"}]}
    done: list[str] = []
    for _ in range(20):
        lanes = Lanes(most=1)
        try:
            tick = world.tick(lanes)
        except KeyboardInterrupt:
            done += [task.shard.key for task in lanes.tasks]
        else:
            break
    assert len(done) == len(set(done)) >= 6, "something was done twice"
    assert world.tick().lanes.tasks == []
    assert world.states() == {"a": "open", "b": "open"}
    assert [one.part.shard.name for change in tick.gathered.changes for one in change.dropped] == ["a/y.py"]


def test_before_there_is_a_plan(world: World) -> None:
    with pytest.raises(Refused, match="count has not been run yet: umbau run"):
        world.driver().latest()


def test_how_far_it_is(world: World) -> None:
    driver = world.driver()
    plan = driver.plan()
    driver.adopt(plan)
    assert driver.done() == (0, 3)
    with pytest.raises(KeyboardInterrupt):
        driver.run(plan, Lanes(most=2))
    assert world.driver().done() == (2, 3)
    assert world.driver().latest() == plan


class Unsafe(Lanes):
    def without_sandbox(self) -> str:
        return "user namespaces are forbidden"


def test_without_a_sandbox_nothing_is_run_unless_the_job_says_so(world: World) -> None:
    lanes = Unsafe()
    with pytest.raises(Refused, match=r"(?s)user namespaces are forbidden.*`sandbox: none`"):
        world.tick(lanes)
    assert (lanes.ran, lanes.looked_at, world.states()) == ([], [], {})
    world.settings = {"sandbox": "none"}
    done = world.tick(Unsafe())
    assert set(done.statuses.values()) == {"accepted"}
    bodies = {record.body for record in world.forge.records()}
    assert all("ran without a sandbox" in body for body in bodies) and bodies


def test_a_job_that_runs_no_command_needs_no_sandbox(world: World) -> None:
    world.settings = {"steps": [{"codemod": "convert_format_to_fstring.ConvertFormatStringCommand"}]}
    assert set(world.tick(Unsafe()).statuses.values()) == {"unchanged"}


def test_failed_shards_are_done_again(world: World) -> None:
    tool = world.folder / "tool"
    world.settings = {"steps": [{"shell": f"{tool} {{paths}}"}], "sandbox": "none"}
    first = world.tick()
    assert set(first.statuses.values()) == {"failed"}
    assert "tool" in first.outcomes["a/x.py"].error
    assert first.verbs == {"a": "wait", "b": "wait"}
    assert [change.unfinished for change in first.gathered.changes] == [2, 1]
    tool.write_text("#!/bin/sh\nsed -i s/1/2/ $1\n")
    tool.chmod(0o755)
    second = world.tick()
    assert second.lanes.ran == SHARDS
    assert set(second.statuses.values()) == {"accepted"}
    assert world.tick().lanes.ran == []


@pytest.fixture
def strict(world: World) -> World:
    """Nothing is accepted unless it is allowed by a file of that name."""
    command = f"cd {world.folder} && ls allowed/$(basename {{paths}})"
    world.settings = {"checks": ["inside", {"command": command}], "sandbox": "none"}
    world.tick()
    (world.folder / "allowed").mkdir()
    for path in SHARDS:
        (world.folder / "allowed" / Path(path).name).touch()
    assert world.tick().lanes.ran == [], "rejected shards are done"
    return world


@pytest.mark.parametrize(
    ("names", "again"),
    [
        ([], SHARDS),
        (["a/x.py", "b/z.py", "b/z.py"], ["a/x.py", "b/z.py"]),
    ],
)
def test_rejected_shards_have_another_go_when_they_are_asked_for(
    strict: World, names: list[str], again: list[str]
) -> None:
    driver = strict.driver()
    assert driver.retry(driver.latest(), names) == len(again)
    tick = strict.tick()
    assert tick.lanes.ran == again
    assert tick.statuses == {path: "accepted" if path in again else "rejected" for path in SHARDS}
    assert strict.tick().lanes.ran == []
    assert driver.retry(driver.latest(), []) == len(SHARDS) - len(again), "what is accepted by now is not asked for"


def test_what_is_no_shard_cannot_be_retried(strict: World) -> None:
    driver = strict.driver()
    with pytest.raises(Refused, match=r"no shard is called nowhere.py: see `umbau plan count`"):
        driver.retry(driver.latest(), ["a/x.py", "nowhere.py"])
    assert strict.tick().lanes.ran == []


def test_what_is_left_out_of_its_merge_request_has_another_go_as_well(world: World) -> None:
    flag = world.folder / "flag"
    flag.touch()
    command = f"test ! -e {flag} || ! grep -q '= 2' a/y.py"
    world.settings = {"final": [{"command": command}], "sandbox": "none"}
    first = world.tick()
    assert [one.part.shard.name for change in first.gathered.changes for one in change.dropped] == ["a/y.py"]
    flag.unlink()
    assert next(change.dropped for change in world.tick().gathered.changes), "it has been judged"
    driver = world.driver()
    assert driver.retry(driver.latest(), []) == 1
    last = world.tick()
    assert last.lanes.ran == ["a/y.py"]
    assert last.verbs == {"a": "push", "b": "wait"}
    assert not next(change.dropped for change in last.gathered.changes)


def test_a_retry_starts_afresh_and_may_be_of_any_shard(strict: World) -> None:
    driver, lanes = strict.driver(), Lanes()
    key = next(iter(driver.latest().planned)).shard.key
    assert driver.retry(driver.latest(), [key[:12]]) == 1
    strict.tick(lanes)
    assert driver.retry(driver.latest(), ["a/x.py"]) == 1
    tick = strict.tick(lanes)
    assert [(task.shard.name, task.past, task.go) for task in lanes.tasks if not task.offered] == [
        ("a/x.py", (), 1),
        ("a/x.py", (), 2),
    ]
    assert tick.outcomes["a/x.py"].status == "accepted"


@pytest.fixture
def pair(world: World, checkout: Callable[..., Checkout]) -> tuple[World, Checkout]:
    """Two repositories; the tests of the second are broken."""
    shop = checkout({"shop.py": "s = 1\n", "check.sh": "echo no till; exit 3\n"}, "shop")
    world.made.commit({"check.sh": "exit 0\n"})
    world.settings = {"repos": [{"git": "billing"}, {"git": "shop"}], "checks": ["inside", {"tests": "sh check.sh"}]}
    return world, shop


def test_a_repository_whose_tests_fail_untouched_bars_its_own_shards(pair: tuple[World, Checkout]) -> None:
    world, shop = pair
    tick = world.tick()
    assert tick.statuses == {**dict.fromkeys(SHARDS, "accepted"), "shop.py": "failed"}
    assert "no till" in tick.outcomes["shop.py"].error
    assert "`sh check.sh` ends with exit code 3 on the untouched commit" in tick.driver.trouble["shop"]
    assert "shop.py" not in tick.lanes.ran, "nothing is tried that cannot be judged"
    again = world.tick()
    assert (again.lanes.looked_at, again.lanes.ran) == (["shop"], []), (
        "what was well is known, what was not is looked at again"
    )
    shop.commit({"check.sh": "exit 0\n"})
    repaired = world.tick()
    assert (repaired.lanes.looked_at, repaired.lanes.ran) == (["shop"], ["shop.py"])
    assert repaired.statuses["shop.py"] == "accepted"


def test_why_the_sums_of_a_repository_cannot_be_judged_is_told(pair: tuple[World, Checkout]) -> None:
    world, shop = pair
    shop.commit({"check.sh": "exit 0\n"})
    world.tick()
    shop.commit({"check.sh": "echo no till; exit 3\n"})
    tick = world.tick()
    assert tick.statuses["shop.py"] == "accepted"
    assert (tick.gathered.trouble, tick.gathered.waiting) == ({}, (("shop", "umbau/count/shop"),))
    assert "`sh check.sh` ends with exit code 3 on the untouched commit" in tick.driver.trouble["shop"]
    assert len(list(world.forge.requests("umbau/count/shop", tick.plan.repos))) == 1, "what was opened stays open"


def test_a_repository_that_is_not_there_stops_no_other(world: World) -> None:
    world.settings = {"repos": [{"git": "billing"}, {"git": "missing"}]}
    tick = world.tick()
    assert list(tick.plan.trouble) == ["missing"]
    assert tick.statuses == dict.fromkeys(SHARDS, "accepted")


def test_a_base_that_moves_elsewhere_redoes_nothing(world: World) -> None:
    first = world.tick()
    world.made.commit({"README.md": "# Billing\n", "c.py": "c = 3\n"})
    second = world.tick()
    assert second.plan.repos[0].commit != first.plan.repos[0].commit
    assert (second.lanes.ran, second.verbs) == ([], {"a": "wait", "b": "wait"})


def test_a_base_that_moves_here_redoes_what_moved(world: World) -> None:
    world.tick()
    world.made.commit({"a/x.py": "# new\nx = 1\n", "a/y.py": "y = 5\n", "d/w.py": "w = 1\n"})
    tick = world.tick()
    assert tick.lanes.ran == ["a/x.py", "d/w.py"]
    assert tick.verbs == {"a": "push", "b": "wait", "d": "push"}
    assert [world.proposed("a", path) for path in SHARDS[:2]] == ["# new\nx = 2", "y = 5"]


def test_a_base_that_moves_has_its_sums_judged_again(world: World) -> None:
    world.settings = {"final": [{"tests": "! grep -q strict README.md || grep 'x = 1' a/x.py"}]}
    world.tick()
    world.made.commit({"README.md": "strict\n"})
    tick = world.tick()
    assert tick.lanes.looked_at == ["billing"], "another commit, other facts"
    assert [one.part.shard.name for change in tick.gathered.changes for one in change.dropped] == ["a/x.py"]
    assert [world.proposed("a", path) for path in SHARDS[:2]] == ["x = 1", "y = 2"]


def test_what_left_the_scope_is_closed(world: World) -> None:
    world.tick()
    world.made.commit({"b/z.py": "z = 5\n"})
    assert world.tick().verbs == {"a": "wait", "b": "close"}
    assert world.states() == {"a": "open", "b": "closed"}


def test_files_stay_in_the_merge_request_that_they_were_planned_for(world: World) -> None:
    world.settings = {"merge_request": {"group": {"by": "repository", "max_files": 2}}}
    world.tick()
    world.made.commit({"a/x.py": "x = 5\n", "a/new.py": "n = 1\n"})
    branches = {one.shard.name: one.branch.removeprefix("umbau/count/") for one in world.tick().plan.planned}
    assert branches == {"a/y.py": "billing", "b/z.py": "billing.2", "a/new.py": "billing.2"}


def test_without_lanes_nothing_is_judged(world: World) -> None:
    world.settings = {"final": [{"command": "true"}]}
    driver, lanes = world.driver(), Lanes()
    plan = driver.plan()
    driver.adopt(plan)
    driver.run(plan, lanes)
    assert len(driver.gather(plan, None).waiting) == 2
    assert world.states() == {}
    driver.gather(plan, lanes)
    found = world.driver().gather(plan, None)
    assert not found.trouble and not found.waiting
    assert [len(change.whole) for change in found.changes] == [2, 1]


def test_a_sum_that_could_not_be_judged_is_judged_again(world: World) -> None:
    tool = world.folder / "tool"
    world.settings = {"final": [{"command": str(tool)}], "sandbox": "none"}
    first = world.tick()
    assert ["cannot run" in why for why in first.gathered.trouble.values()] == [True, True]
    assert (first.tended, world.states()) == ([], {})
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert world.tick().lanes.added_up == ["a (2 files)", "b/z.py"]
    assert world.states() == {"a": "open", "b": "open"}


@pytest.fixture
def counting(world: World, endpoint: Endpoint) -> World:
    """A model counts in a/x.py, which is proposed."""
    model = {"url": endpoint.url, "name": "scripted", "timeout": 20}
    world.settings = {
        "select": {"files": ["a/x.py"]},
        "steps": [{"rewrite": {"prompt": "Count up.", "model": model}}],
        "attempts": 2,
    }
    endpoint.say(block("x = 1", "x = 2"))
    world.tick()
    return world


def block(old: str, new: str) -> str:
    return f"a/x.py\n<<<<<<< SEARCH\n{old}\n=======\n{new}\n>>>>>>> REPLACE\n"


def asked(endpoint: Endpoint) -> list[str]:
    """Return the last conversation."""
    return [message["content"] for message in endpoint.requests[-1]["messages"]]


def test_a_repair_goes_on_from_what_was_said_before(counting: World, endpoint: Endpoint) -> None:
    before = asked(endpoint)
    counting.review("Count by ten, please")
    endpoint.say(block("x = 2", "x = 10"))
    tick = counting.tick()
    assert asked(endpoint)[: len(before) + 1] == [*before, block("x = 1", "x = 2")]
    assert "Count by ten, please" in asked(endpoint)[-1]
    assert tick.verbs == {"a": "push"}
    assert counting.proposed("a", "a/x.py") == "x = 10"
    assert counting.said() == ["Umbau changed `a/x.py` as you asked; every check passes."]
    count = len(endpoint.requests)
    assert counting.tick().verbs == {"a": "wait"}
    assert len(endpoint.requests) == count


def test_comments_that_come_together_are_all_seen_to(counting: World, endpoint: Endpoint) -> None:
    counting.review("Count by ten, please")
    counting.review("And say why")
    endpoint.say(block("x = 2", "x = 10"))
    counting.tick()
    assert "Count by ten, please" in asked(endpoint)[-1]
    assert "And say why" in asked(endpoint)[-1]


def test_later_comments_find_earlier_ones_in_the_conversation_once(counting: World, endpoint: Endpoint) -> None:
    counting.review("Count by ten, please")
    endpoint.say(block("x = 2", "x = 10"))
    counting.tick()
    before = asked(endpoint)
    counting.review("And say why")
    endpoint.say(block("x = 10", "x = 10  # by ten"))
    counting.tick()
    assert asked(endpoint)[: len(before)] == before
    assert ["Count by ten" in text for text in asked(endpoint)] == [text in before[-1:] for text in asked(endpoint)]
    assert "And say why" in asked(endpoint)[-1]


def test_the_same_comment_again_is_another_comment(counting: World, endpoint: Endpoint) -> None:
    for old, new in ((2, 10), (10, 20)):
        counting.review("More!")
        endpoint.say(block(f"x = {old}", f"x = {new}"))
        counting.tick()
    assert counting.proposed("a", "a/x.py") == "x = 20"
    assert sum("More!" in text for text in asked(endpoint)) == 2


def test_a_retry_keeps_what_was_asked_for(counting: World, endpoint: Endpoint) -> None:
    counting.review("Count by ten, please")
    endpoint.say(Says(status=400))
    endpoint.ping = Says("pong")
    counting.tick()
    driver = counting.driver()
    driver.retry(driver.latest(), ["a/x.py"])
    endpoint.say(block("x = 1", "x = 10"))
    counting.tick()
    assert "Count by ten, please" in asked(endpoint)[-1]
    assert not any("SEARCH\nx = 1\n" in text for text in asked(endpoint)[1:]), "it starts afresh"
    assert counting.proposed("a", "a/x.py") == "x = 10"


def test_what_was_asked_for_is_asked_for_again_when_the_base_moves(counting: World, endpoint: Endpoint) -> None:
    counting.review("Count by ten, please")
    endpoint.say(block("x = 2", "x = 10"))
    counting.tick()
    counting.made.commit({"a/x.py": "x = 1\ny = 1\n"})
    endpoint.say(block("x = 1", "x = 10"))
    assert counting.tick().lanes.ran == ["a/x.py"]
    assert "Count by ten, please" in asked(endpoint)[-1]
    assert counting.proposed("a", "a/x.py") == "x = 10\ny = 1"
    assert counting.tick().lanes.ran == []


def test_killed_between_a_repair_and_its_answer(counting: World, endpoint: Endpoint) -> None:
    counting.review("Count by ten, please")
    endpoint.say(block("x = 2", "x = 10"))
    driver, lanes = counting.driver(), Lanes(most=0)
    with pytest.raises(KeyboardInterrupt):
        driver.tend(driver.latest(), lanes)
    again = counting.driver()
    again.tend(again.latest(), Lanes())
    assert counting.proposed("a", "a/x.py") == "x = 10"
    assert counting.said() == ["Umbau changed `a/x.py` as you asked; every check passes."]


def test_a_job_that_has_changed_is_run_before_it_is_tended(world: World) -> None:
    world.tick()
    world.settings = {"steps": [{"shell": "sed -i 's/= 1$/= 3/' {paths}"}]}
    driver = world.driver()
    with pytest.raises(Refused, match="has changed since count was run: umbau run"):
        driver.tend(driver.latest(), Lanes())


def test_a_look_does_not_change_what_the_job_stands_by(world: World) -> None:
    first = world.tick()
    world.made.commit({"a/x.py": "x = 1\nz = 1\n"})
    world.driver().plan()
    assert world.driver().latest() == first.plan


def test_all_that_was_done_on_the_way_is_told(counting: World, endpoint: Endpoint) -> None:
    counting.review("Count by ten, please")
    endpoint.say(block("x = 2", "x = 10"))
    assert [done.action.verb for done in counting.tick().tended] == ["repair", "push"]


def test_a_repair_that_fails_is_done_again_as_if_nothing_had_been(counting: World, endpoint: Endpoint) -> None:
    counting.review("Count by ten, please")
    endpoint.say(Says(status=400))
    endpoint.ping = Says("pong")
    tick = counting.tick()
    assert tick.statuses == {"a/x.py": "failed"}
    assert tick.verbs == {"a": "wait"}, "what was accepted stays proposed"
    assert counting.said() == [], "it is not done yet"
    failed = asked(endpoint)
    endpoint.say(block("x = 2", "x = 10"))
    counting.tick()
    assert counting.said() == ["Umbau changed `a/x.py` as you asked; every check passes."]
    assert asked(endpoint) == failed
    assert counting.proposed("a", "a/x.py") == "x = 10"


def test_a_repair_that_changes_nothing_is_told_as_that(counting: World, endpoint: Endpoint) -> None:
    counting.review("Is this right?")
    endpoint.say("NO CHANGE NEEDED\n\nIt is: one and one is two.")
    assert counting.tick().verbs == {"a": "wait"}
    assert "could not change `a/x.py` as you asked, so it stays as it is" in counting.said()[0]
    assert "It is: one and one is two." in counting.said()[0]


def test_a_repair_may_take_everything_back(counting: World, endpoint: Endpoint) -> None:
    counting.review("Leave this file alone")
    endpoint.say(block("x = 2", "x = 1"))
    tick = counting.tick()
    assert tick.statuses == {"a/x.py": "unchanged"}
    assert tick.verbs == {"a": "close"}
    assert counting.states() == {"a": "closed"}
    assert counting.said() == ["Umbau took back what it had changed in `a/x.py`, as you asked."]


def test_a_repair_that_is_rejected_leaves_what_was_proposed(counting: World, endpoint: Endpoint) -> None:
    counting.review("Count by ten, please")
    endpoint.say("I would rather not.")
    tick = counting.tick()
    assert tick.statuses == {"a/x.py": "rejected"}
    assert counting.proposed("a", "a/x.py") == "x = 2"
    assert "could not change `a/x.py` as you asked" in counting.said()[0]


def test_tending_ends_even_if_somebody_comments_all_the_time(
    counting: World, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Talkative(LocalForge):
        def comment(self, request: Any, text: str, key: str, thread: str = "") -> None:
            super().comment(request, text, key, thread)
            number = len(self.records()[0].events)
            counting.review(f"More! {number}")

    endpoint.script = lambda request: block(f"x = {len(endpoint.requests)}", f"x = {len(endpoint.requests) + 1}")
    counting.review("More!")
    driver, count = counting.driver(), len(endpoint.requests)
    driver.forge = Talkative(counting.home / "forge")
    _, tended = driver.tend(driver.latest(), Lanes())
    assert len(endpoint.requests) - count <= REPAIRS
    assert tended[0].action.verb in {"push", "repair"}


def test_who_lost_the_turn_saves_nothing_and_opens_nothing(world: World) -> None:
    driver, rival, lanes = world.driver(), world.driver(), Lanes()
    plan = driver.plan()
    with driver.store.driving("count"):
        driver.adopt(plan)
        driver.run(plan, lanes)
        driver.gather(plan, lanes)
        (world.home / "locks" / "count").unlink()  # as when a machine has vanished for a while
        with rival.store.driving("count"):
            with pytest.raises(Lost, match="another process drives count now"):
                driver.tend(plan, lanes)
            with pytest.raises(Lost):
                driver.retry(plan, ["a/x.py"])
            assert not world.forge.records() and rival.done() == (len(SHARDS), len(SHARDS))
            assert {one.action.verb for one in rival.tend(plan, lanes)[1]} == {"push"}
            with pytest.raises(Lost):
                merging().each(driver.forge, [*driver.forge.requests("umbau/count/", plan.repos)], driver.store.confirm)
    assert world.states() == {"a": "open", "b": "open"}


@pytest.fixture
def mixed(world: World, endpoint: Endpoint) -> World:
    """A codemod does what it can; only where it leaves a `y` the model is asked."""
    model = {"url": endpoint.url, "name": "scripted"}
    steps = [
        {"shell": "sed -i 's/^\\([xz]\\) = 1$/\\1 = 2/' {paths}"},
        {"rewrite": {"prompt": "Count.", "model": model}},
    ]
    world.settings = {"steps": steps}
    return world


BLOCK = "<<<<<<< SEARCH\ny = 1\n=======\ny = 2\n>>>>>>> REPLACE\n"


def test_a_model_that_is_gone_pauses_what_needs_it_and_nothing_else(mixed: World, endpoint: Endpoint) -> None:
    endpoint.say(Says(status=401, body=b"who are you?"))
    tick = mixed.tick()
    assert tick.statuses == {"a/x.py": "accepted", "b/z.py": "accepted"}, "the one that asked has no outcome"
    assert tick.driver.paused == (
        f"model endpoint {endpoint.url} answered 401: who are you? (the key is read from UMBAU_MODEL_KEY): "
        "paused after 2 shards; 1 shard waits; run again when it answers"
    )
    assert tick.verbs == {"a": "push", "b": "push"}, "what is done is proposed"
    assert (len(endpoint.requests), len(endpoint.pings)) == (1, 1)
    _new_breaker.cache_clear()  # as in the next process
    endpoint.say(BLOCK)
    again = mixed.tick()
    assert again.lanes.ran == ["a/y.py"]
    assert (again.statuses["a/y.py"], again.driver.paused) == ("accepted", "")
    assert mixed.proposed("a", "a/y.py") == "y = 2"


def test_a_model_that_is_gone_is_found_out_once(world: World, endpoint: Endpoint) -> None:
    model = {"url": endpoint.url, "name": "scripted"}
    world.settings = {"steps": [{"rewrite": {"prompt": "Count.", "model": model}}]}
    world.made.commit({f"d/{number}.py": "d = 1\n" for number in range(40)})
    endpoint.say(Says(status=404, body=b"no model `scripted`"))
    tick = world.tick()
    assert (len(endpoint.requests), len(endpoint.pings)) == (1, 1)
    assert tick.outcomes == {}
    assert "paused after 0 shards; 43 shards wait" in tick.driver.paused
    assert world.forge.records() == []


def test_a_run_with_a_fresh_store_asks_nothing_that_is_known(counting: World, endpoint: Endpoint) -> None:
    (counting.home / "store.db").rename(counting.home / "old.db")
    for file in counting.home.glob("store.db-*"):
        file.unlink()
    count = len(endpoint.requests)
    outcome = counting.tick().outcomes["a/x.py"]
    assert (outcome.status, outcome.tokens, outcome.cached) == ("accepted", (0, 0), 1)
    assert len(endpoint.requests) == count


def test_a_retry_is_drawn_anew(counting: World, endpoint: Endpoint) -> None:
    driver = counting.driver()
    driver.retry(driver.latest(), ["a/x.py"])
    endpoint.say(block("x = 1", "x = 7"))
    outcome = counting.tick().outcomes["a/x.py"]
    assert outcome.cached == 0
    assert counting.proposed("a", "a/x.py") == "x = 7"
    first, second = endpoint.requests
    assert first["messages"] == second["messages"]
    assert (first["temperature"], second["temperature"]) == (0.0, 0.15)
    assert first["seed"] != second["seed"]
