"""A job with a budget, from tick to tick, each a process of its own: a model over HTTP, repositories in git."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from operators.model import _new_breaker
from pipelines.budget.account import opened
from pipelines.lanes import Done
from pipelines.printed import standing
from pipelines.session import standing_of
from pipelines.steering import pause, paused, resume
from pipelines.store import Store
from pipelines.watching import tick as watched
from tests.conftest import Checkout
from tests.endpoint import Endpoint, Says
from tests.pipelines import test_evidence as evidence
from tests.pipelines.test_driver import Lanes, Tick, World

NAMES = [f"m{number}" for number in range(8)]
FILES = {f"{name}.py": "x = 1\n" for name in NAMES}
BLOCK = "<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n"


class Counted(Endpoint):
    """An endpoint that adds up what it has served. What it says may depend on how often it was asked for a file."""

    def __init__(self, says: Callable[[str, int], Says | str] = lambda name, count: BLOCK) -> None:
        super().__init__(script=self.reply)
        self.says, self.tokens, self.largest = says, 0, 0
        self.names: list[str] = []

    def reply(self, request: dict[str, Any]) -> Says:
        found = re.search(r"^(\w+)\.py$", request["messages"][1]["content"], re.M)
        assert found
        self.names.append(found[1])
        said = self.says(found[1], self.names.count(found[1]))
        says = said if isinstance(said, Says) else Says(f"{found[1]}.py\n{said}" if said == BLOCK else said)
        if says.status == 200:
            cost = sum(len(message["content"]) for message in request["messages"]) // 4 + len(says.text) // 4
            self.tokens, self.largest = self.tokens + cost, max(self.largest, cost)
        return says


@pytest.fixture
def counted() -> Iterator[Counted]:
    with Counted() as endpoint:
        yield endpoint


@pytest.fixture
def world(home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> Iterator[World]:
    found = World(checkout(FILES), home, tmp_path)
    yield found
    for store in found.stores:
        store.close()
    _new_breaker.cache_clear()


def asking(world: World, endpoint: Endpoint, **more: Any) -> World:
    model = {"url": endpoint.url, "name": "scripted", "gpus": 2.0}
    world.settings = {
        "steps": [{"rewrite": {"prompt": "Count.", "model": model, "reply": "blocks"}}],
        "merge_request": {"group": {"by": "file"}},
        **more,
    }
    return world


def spent(world: World) -> int:
    total = opened(world.driver().job, world.stores[-1]).total()
    return total.read + total.written


def code(tick: Tick) -> int:
    found = standing(
        tick.plan, tick.driver.store.outcomes, tick.gathered, tick.tended, tick.driver.short, "", tick.driver.paused
    )
    return found.code


def events(world: World) -> list[tuple[str, str]]:
    world.driver()
    return [(one.kind, one.body["kind"]) for one in world.stores[-1].log.events("count", ("paused", "resumed"))]


def test_a_limit_is_reached_raised_and_the_job_goes_on(world: World, counted: Counted) -> None:
    asking(world, counted, budget={"tokens": 1_000})
    tick = world.tick()
    done = len(tick.outcomes)
    assert 0 < done < len(FILES) and code(tick) == 2
    assert 1_000 <= counted.tokens < 1_000 + counted.largest, "one slot: exceeded by one call at most"
    assert spent(world) == counted.tokens
    told = re.fullmatch(
        r"the job has spent ([\d,]+) of 1,000 tokens \(`budget.tokens`\): (\d) of 8 shards (?:is|are) done, (\d) "
        r"waits?\. Doing the \d that waits? takes about ([\d,]+) tokens more: `budget: \{tokens: (\d+)\}`",
        tick.driver.paused,
    )
    assert told, tick.driver.paused
    assert (int(told[1].replace(",", "")), int(told[2]), int(told[3])) == (counted.tokens, done, 8 - done)
    assert list(tick.verbs.values()).count("push") == done, "what is done is proposed"

    before = len(counted.requests)
    again = world.tick()
    assert again.driver.paused == tick.driver.paused and len(counted.requests) == before
    assert tick.driver.short == again.driver.short == {}
    assert events(world) == [("paused", "budget")]

    world.settings["budget"] = {"tokens": int(told[5])}
    last = world.tick()
    assert set(last.statuses.values()) == {"accepted"} and len(last.statuses) == 8
    assert (last.driver.paused, code(last)) == ("", 0), "what was offered was enough"
    assert spent(world) == counted.tokens and len(counted.requests) == 8
    assert events(world) == [("paused", "budget"), ("resumed", "budget")]


def test_a_limit_that_the_last_shard_reaches_pauses_nothing(world: World, counted: Counted) -> None:
    asking(world, counted)
    assert world.tick().driver.paused == ""
    world.settings["budget"] = {"tokens": 1}
    tick = world.tick()
    assert (tick.driver.paused, code(tick)) == ("", 0)


def test_a_repository_that_has_spent_its_share_lets_the_others_go_on(
    world: World, counted: Counted, checkout: Callable[..., Checkout]
) -> None:
    checkout({"n0.py": "x = 1\n"}, "small")
    asking(world, counted, repos=[{"git": "billing"}, {"git": "small"}], budget={"per_repo": {"tokens": 700}})
    tick = world.tick()
    assert tick.statuses["n0.py"] == "accepted" and 0 < len(tick.outcomes) < 9
    (told,) = tick.driver.short.items()
    assert told[0] == "billing"
    left = 9 - len(tick.outcomes)
    assert re.fullmatch(rf"{left} shards? waits?: [\d,]+ of 700 tokens are spent \(`budget.per_repo.tokens`\)", told[1])
    assert (tick.driver.paused, code(tick)) == ("", 2)
    before = len(counted.requests)
    again = world.tick()
    assert dict(again.driver.short) == {"billing": told[1]} and len(counted.requests) == before
    driver = world.driver()
    driver.waits(driver.latest())
    assert dict(driver.short) == {"billing": told[1]}, "as `umbau status` tells it"
    world.settings["budget"] = {}
    assert set(world.tick().statuses.values()) == {"accepted"}
    assert spent(world) == counted.tokens


def test_a_shard_that_has_spent_its_share_waits_alone(world: World) -> None:
    def wordy(name: str, count: int) -> str:
        return BLOCK if name != "m3" else "I would rather not. " * 100

    with Counted(wordy) as counted:
        asking(world, counted, budget={"per_shard": {"tokens": 900}})
        tick = world.tick()
        assert sorted(tick.statuses) == sorted(f"{name}.py" for name in NAMES if name != "m3")
        assert tick.driver.short == {
            "billing": "1 shard waits: 900 tokens are spent on each (`budget.per_shard.tokens`)"
        }
        asked = counted.names.count("m3")
        assert 0 < asked < 4 and code(tick) == 2, "unusable replies count"
        assert world.tick().driver.short == tick.driver.short and counted.names.count("m3") == asked
        driver = world.driver()
        driver.waits(driver.latest())
        assert driver.short == tick.driver.short
        world.settings["budget"] = {}
        assert world.tick().statuses["m3.py"] == "rejected"
        assert spent(world) == counted.tokens, "what was said before the pause was not asked for again"


def test_calls_that_fail_cost_their_time(world: World) -> None:
    def failing(name: str, count: int) -> Says:
        return Says(status=400, body=b"oh", after=0.2)

    with Counted(failing) as counted:
        counted.ping = Says("pong")
        asking(world, counted, budget={"gpu_seconds": 1.0})
        tick = world.tick()
        failed = len(tick.outcomes)
        assert set(tick.statuses.values()) == {"failed"} and 1 <= failed < 8
    assert re.match(r"the job has spent \d\.\d\d of 1 GPU seconds \(`budget.gpu_seconds`\): 0 of 8", tick.driver.paused)
    total = opened(world.driver().job, world.stores[-1]).total()
    assert (total.calls, total.read) == (failed, 0) and total.gpu_seconds >= 1.0


def test_replies_that_are_known_are_free_but_not_beyond_the_limit(world: World, counted: Counted) -> None:
    asking(world, counted, budget={"tokens": 1_000})
    done = len(world.tick().outcomes)
    for file in world.home.glob("store.db*"):
        file.unlink()
    before = len(counted.requests)
    tick = world.tick()  # nobody knows what was spent, and the replies are there
    assert len(counted.requests) - before == len(tick.outcomes) - done > 0
    assert sum(outcome.cached for outcome in tick.outcomes.values()) == done
    before, total = len(counted.requests), spent(world)
    world.settings |= {"select": {"contains": "x = 1$"}, "budget": {"tokens": total}}  # other shards with the same code
    tick = world.tick()
    assert (len(tick.outcomes), len(counted.requests), spent(world)) == (0, before, total)
    assert "0 of 8 shards are done" in tick.driver.paused


class Killed(Lanes):
    """Dies with a call that is paid and written down nowhere else."""

    def run(self, *args: Any) -> Iterator[Done]:
        for count, done in enumerate(super().run(*args)):
            if count == 2:
                raise KeyboardInterrupt
            yield done


def test_a_run_that_is_stopped_forgets_nothing(world: World, counted: Counted) -> None:
    asking(world, counted, budget={"tokens": 1_000_000})
    with pytest.raises(KeyboardInterrupt):
        world.tick(Killed())
    assert len(counted.requests) == 3 and spent(world) == counted.tokens
    world.tick()
    assert spent(world) == counted.tokens and len(counted.requests) == 8


def test_wall_time_of_all_runs_together(world: World) -> None:
    with Counted(lambda name, count: Says(f"{name}.py\n{BLOCK}", after=0.6)) as counted:
        asking(world, counted, budget={"seconds": 2.0})
        first = world.tick()
        assert 0 < len(first.outcomes) < 8 and "of 2 seconds (`budget.seconds`)" in first.driver.paused
        assert world.tick().outcomes == first.outcomes
        world.settings["budget"] = {"seconds": 60.0}
        assert len(world.tick().outcomes) == 8


def test_tests_that_are_written_as_evidence_count(world: World) -> None:
    """Of an edit that no model made."""
    world.made.commit({**dict.fromkeys(FILES, None), **evidence.FILES})
    with Endpoint(Says("no test from me")) as endpoint:
        world.settings = {**evidence.settings(endpoint), "budget": {"per_shard": {"tokens": 10}}}
        tick = world.tick()
        assert tick.statuses == {"app/third.py": "accepted"}, "its tests were there"
        assert len(endpoint.requests) == 2
        told = "2 shards wait: 10 tokens are spent on each (`budget.per_shard.tokens`)"
        assert tick.driver.short == {"billing": told}


def rejecting(world: World, endpoint: Counted, **more: Any) -> World:
    return asking(world, endpoint, attempts=1, stop_loss={"last": 5, "rejected": 0.6}, **more)


def test_a_stop_loss_pauses_once_and_a_resume_begins_anew(world: World) -> None:
    world.made.commit({f"m{number}.py": "x = 1\n" for number in range(8, 20)})

    def mostly(name: str, count: int) -> str:
        return BLOCK if int(name[1:]) in (0, 2, 11, 12) else "no"

    with Counted(mostly) as counted:
        tick = rejecting(world, counted).tick()
        done = len(tick.outcomes)
        rejected = sum(status == "rejected" for status in tick.statuses.values())
        assert done >= 5 and rejected >= 3
        why = r"3 of the last 5 shards were rejected \(`stop_loss`\)\. See what .*: umbau status count"
        standing = rf"{done} of 20 shards are done, {20 - done} wait"
        told = rf"paused by umbau on [\d-]+ [\d:]+: {why}\. {standing}\. It goes on after: umbau resume count"
        assert re.fullmatch(told, tick.driver.paused), tick.driver.paused
        assert code(tick) == 2
        assert set(tick.verbs.values()) <= {"wait"}, "nothing new is opened"
        assert len(world.tick().outcomes) == done, "it stays paused"
        assert events(world) == [("paused", "stop_loss")]

        resume(world.stores[-1], "count", "ada")
        again = world.tick()
        new = len(again.outcomes) - done
        assert new >= 5, "not again right after"
        assert events(world)[:2] == [("paused", "stop_loss"), ("resumed", "stop_loss")]
        assert "push" in again.verbs.values() or again.driver.paused


def test_a_stop_loss_looks_beyond_one_run(world: World) -> None:
    with Counted(lambda name, count: "no") as counted:
        rejecting(world, counted)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                world.tick(Lanes(most=2))
            assert not paused(world.stores[-1], "count")
        assert "5 of the last 5 shards" in world.tick().driver.paused


class Paused(Lanes):
    """Somebody pauses the job, with a store of their own, while the third shard is worked on."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self.home = home

    def run(self, *args: Any) -> Iterator[Done]:
        for count, done in enumerate(super().run(*args)):
            if count == 2:
                store = Store(self.home / "store.db")
                pause(store, "count", "ada", "a release is due\x1b[2J")
                pause(store, "count", "bob", "me too")
                store.close()
                end = time.monotonic() + 30
                while not args[3]() and time.monotonic() < end:
                    time.sleep(0.05)
            yield done


def test_somebody_pauses_a_run_and_lets_it_go_on(world: World, counted: Counted) -> None:
    asking(world, counted)
    tick = world.tick(Paused(world.home))
    assert len(tick.outcomes) == 3 and code(tick) == 2, "what was in hand is kept"
    assert tick.driver.paused.startswith("paused by ada on 2") and "a release is due" in tick.driver.paused
    assert "3 of 8 shards are done, 5 wait. It goes on after: umbau resume count" in tick.driver.paused
    assert set(tick.verbs.values()) == {"wait"} and world.forge.records() == []
    assert world.tick().lanes.ran == []
    assert events(world) == [("paused", "person")]
    resume(world.stores[-1], "count", "bob")
    resume(world.stores[-1], "count", "bob")
    assert len(world.tick().outcomes) == 8 and len(world.states()) == 8
    assert events(world) == [("paused", "person"), ("resumed", "person")]


def test_what_is_open_is_looked_after_while_the_job_is_paused(world: World, counted: Counted) -> None:
    asking(world, counted, merge_request={"group": {"by": "file"}, "merge": "approved"})
    world.tick(Lanes())
    pause(world.stores[-1], "count", "ada", "")
    world.made.commit({"n.py": "x = 1\n"})
    world.forge.review("billing/1", "ada", text="", path="", line=0, approve=True, close=False)
    tick = world.tick()
    assert {done.branch: done.action.verb for done in tick.tended if done.action.verb != "wait"} == {
        world.forge.records()[0].branch: "merge"
    }
    assert "n.py" not in tick.outcomes
    told = watched(world.driver(), Lanes())
    assert told.startswith("9 merge requests, nothing to do; paused by ada on 2")


def test_status_tells_what_was_spent(world: World, counted: Counted, capsys: pytest.CaptureFixture[str]) -> None:
    tick = asking(world, counted, budget={"tokens": 1_000, "gpu_seconds": 1000.0}).tick()
    driver = world.driver()
    driver.waits(driver.latest())
    with pytest.raises(BaseException) as ended:
        standing_of(driver, tick.plan, tick.gathered, tick.tended, False)
    assert getattr(ended.value, "exit_code", 0) == 2
    said = capsys.readouterr().out
    assert re.search(
        rf"^spent    {counted.tokens:,} of 1,000 tokens, [\d.]+ of 1,000 GPU seconds, [\d.]+ seconds of wall time$",
        said,
        re.M,
    )
    assert said.rstrip().endswith(tick.driver.paused)
