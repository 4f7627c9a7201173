"""A pilot, and the run after it, on real repositories with a model endpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines.pilot.estimate import Estimate
from pipelines.pilot.forecast import NO_GPUS, NO_PRICES
from pipelines.pilot.piloting import Missed, pilot
from pipelines.pilot.sample import sample
from pipelines.pilot.told import text
from pipelines.store.log import Spent
from tests.conftest import Checkout, Files
from tests.endpoint import Endpoint, Says
from tests.pipelines.test_driver import Lanes, World

NAMES = [f"p{number:02}.py" for number in range(12)]
FILES: Files = {name: f"total = old_sum({number})\n" for number, name in enumerate(NAMES)}
BAD = {"p03.py", "p09.py"}


def mends(request: dict[str, Any]) -> str:
    """Do what is asked for, and get some files wrong."""
    user = request["messages"][1]["content"]
    path, number = re.findall(r"(p\d+\.py)\n```python\ntotal = old_sum\((\d+)\)", user)[-1]
    after = f"total = new_sum({number})" + (")" if path in BAD else "")
    return f"{path}\n<<<<<<< SEARCH\ntotal = old_sum({number})\n=======\n{after}\n>>>>>>> REPLACE\n"


def settings(endpoint: Endpoint, learn: int = 0, **more: Any) -> dict[str, Any]:
    rewrite = {"prompt": "Use the new name.", "learn": learn, "model": {"url": endpoint.url, "name": "scripted"}}
    return {
        "select": {"contains": "old_sum"},
        "steps": [{"rewrite": rewrite}],
        "checks": ["inside", "parses"],
        "attempts": 1,
        **more,
    }


@pytest.fixture
def world(home: Path, tmp_path: Path, checkout: Callable[..., Checkout], endpoint: Endpoint) -> Iterator[World]:
    endpoint.script = mends
    found = World(checkout(FILES), home, tmp_path, settings(endpoint))
    yield found
    for store in found.stores:
        store.close()


def piloted(world: World, count: int = 8, lanes: Lanes | None = None) -> tuple[Estimate | None, Lanes]:
    """Do what `umbau pilot` does."""
    driver, lanes = world.driver(), lanes or Lanes()
    plan = driver.plan()
    driver.adopt(plan)
    return pilot(driver, plan, lanes, count), lanes


def opened(world: World) -> int:
    return len(world.states())


def test_a_pilot_does_a_sample_and_the_run_after_it_exactly_the_rest(world: World, endpoint: Endpoint) -> None:
    found, lanes = piloted(world)
    assert found and (found.sampled, found.shards, len(lanes.ran)) == (8, 12, 8)
    assert lanes.added_up == [] and opened(world) == 0, "nothing is gathered, and no request opened"
    assert len(endpoint.requests) == 8
    tick = world.tick()
    assert sorted([*lanes.ran, *tick.lanes.ran]) == NAMES
    assert {name for name, status in tick.statuses.items() if status == "rejected"} == BAD
    assert opened(world) == 1


def test_done_twice_it_is_the_same_sample_and_asks_nothing(world: World, endpoint: Endpoint) -> None:
    first, _ = piloted(world)
    second, lanes = piloted(world)
    assert lanes.ran == [] and len(endpoint.requests) == 8
    assert second == first
    assert len(world.driver().store.log.events("count", ["pilot"])) == 1, "it is news once"


def test_killed_it_goes_on_with_the_same_shards(world: World) -> None:
    with pytest.raises(KeyboardInterrupt):
        piloted(world, lanes=Lanes(most=3))
    found, lanes = piloted(world)
    assert found and found.sampled == 8 and len(lanes.ran) == 5
    driver = world.driver()
    drawn = sample(driver.latest(), "count", 8)
    assert driver.store.missing([*drawn.weights]) == {}


def test_what_it_says(world: World) -> None:
    found, _ = piloted(world, 10)
    assert found
    rejected = found.statuses["rejected"]
    assert found.statuses == {"accepted": 10 - rejected, "rejected": rejected} and rejected >= 1
    (failure,) = found.failures
    assert (failure.count, failure.example in BAD) == (rejected, True)
    assert failure.kind.startswith("rejected: parses: Syntax error on line 1")
    assert found.forecast.accepted.low <= 10 <= found.forecast.accepted.high
    assert found.forecast.read and found.forecast.read.low <= found.taken.read / 10 * 12 <= found.forecast.read.high
    assert found.taken.attempts == 1 and found.taken.judging > 0 and found.forecast.seconds
    assert (found.forecast.gpu_seconds, found.forecast.money) == (None, None)
    assert found.notes == (NO_GPUS, NO_PRICES)
    told = "\n".join(text(found))
    assert "10 of 12 shards" in told and NO_GPUS in told and f"({rejected})\n  {failure.example}" in told
    assert found.code == 1


def test_what_is_paid_is_forecast_where_prices_and_gpus_are_known(world: World, endpoint: Endpoint) -> None:
    prices = {"read": 1.0, "written": 2.0, "gpu_hour": 3600.0, "core_hour": 0.0, "currency": "CHF"}
    world.settings["steps"][0]["rewrite"]["model"]["gpus"] = 2
    world.settings["budget"] = {"prices": prices}
    found, _ = piloted(world, 6)
    assert found and found.notes == () and found.currency == "CHF"
    assert found.forecast.gpu_seconds and found.forecast.gpu_seconds.middle > 0
    said = found.forecast
    assert said.read and said.written and said.money
    amount = said.read.middle / 1e6 + said.written.middle * 2 / 1e6 + said.gpu_seconds.middle
    assert said.money.middle == pytest.approx(amount)


def test_more_are_asked_for_than_there_are(world: World) -> None:
    found, _ = piloted(world, 1000)
    assert found and found.sampled == 12
    accepted = found.forecast.accepted
    assert (accepted.low, accepted.high) == pytest.approx((10, 10)), "all is known"


def test_there_is_nothing_to_sample(world: World) -> None:
    world.settings["select"] = {"contains": "nowhere"}
    found, lanes = piloted(world)
    assert found is None and lanes.ran == []
    world.settings["pilot"] = {}
    assert world.tick().statuses == {}


def test_a_missed_bound_stops_the_run(world: World, endpoint: Endpoint) -> None:
    world.settings["pilot"] = {"shards": 12, "min_accept": 0.9}
    with pytest.raises(Missed, match=r"The pilot missed its bound: 83 % accepted or unchanged, .* is 90 %") as missed:
        world.tick()
    assert missed.value.code == 2
    assert "10 of 12 shards" in str(missed.value) and "rejected: parses" in str(missed.value)
    assert opened(world) == 0
    driver = world.driver()
    (event,) = driver.store.log.events("count", ["pilot"])
    assert (event.body["passed"], event.body["good"]["middle"]) == (False, pytest.approx(10 / 12))
    driver.tend(driver.latest(), Lanes())
    assert opened(world) == 0, "nor does tending open one"
    asked = len(endpoint.requests)
    with pytest.raises(Missed):
        world.tick()
    assert len(endpoint.requests) == asked
    world.settings["pilot"]["min_accept"] = 0.8
    assert len(world.tick().statuses) == 12 and opened(world) == 1


def test_a_passed_one_goes_on_and_is_not_done_again_until_the_recipe_changes(world: World) -> None:
    world.settings["pilot"] = {"shards": 6, "min_accept": 0.1}
    tick = world.tick()
    assert sorted(tick.lanes.ran) == NAMES and opened(world) == 1
    world.made.commit({"p30.py": "total = old_sum(30)\n"})
    assert world.tick().lanes.ran == ["p30.py"]
    events = world.driver().store.log.events("count", ["pilot"])
    assert len(events) == 1
    world.settings["steps"][0]["rewrite"]["prompt"] = "Use the new name everywhere."
    world.tick()
    events = world.driver().store.log.events("count", ["pilot"])
    assert len({event.body["fingerprint"] for event in events}) == len(events) == 2


def test_one_of_other_repositories_is_none_of_the_job(world: World) -> None:
    world.settings["pilot"] = {"shards": 6, "min_accept": 0.1}
    world.tick()
    driver = world.driver()
    driver.complete = True
    plan = driver.plan()
    driver.run(plan, Lanes())
    assert [event.body["whole"] for event in driver.store.log.events("count", ["pilot"])] == [False, True]


def test_a_model_that_is_gone_pauses_it(world: World, endpoint: Endpoint) -> None:
    world.settings["pilot"] = {"shards": 6}
    endpoint.say(Says(status=404, body=b"no model `scripted`"))
    endpoint.script = None
    tick = world.tick()
    assert "paused after 0 shards; 6 shards wait" in tick.driver.paused
    assert tick.statuses == {} and opened(world) == 0
    assert tick.driver.store.log.events("count", ["pilot"]) == []


def test_what_the_first_shards_teach_the_sample_learns_too(world: World, endpoint: Endpoint) -> None:
    world.settings = settings(endpoint, learn=3)
    _, lanes = piloted(world, 8)
    drawn = sample(world.driver().latest(), "count", 8)
    names = {one.shard.name for own in drawn.drawn.values() for one, _ in own}
    assert lanes.ran[:3] == NAMES[:3] and set(lanes.ran) == {*names, *NAMES[:3]} | set(lanes.ran[:6])
    shown = ["Of an accepted edit" in request["messages"][1]["content"] for request in endpoint.requests]
    assert any(shown) and not any(shown[:3])
    piloting = endpoint.requests
    endpoint.requests = []
    world.tick()
    together = [*piloting, *endpoint.requests]
    endpoint.requests = []
    World(world.made, world.home / "other", world.folder, world.settings, world.stores).tick()

    def told(requests: list[dict[str, Any]]) -> set[str]:
        return {request["messages"][1]["content"] for request in requests}

    assert told(together) == told(endpoint.requests), "the model is asked what a run without a pilot asks"


def test_replies_that_were_known_from_before_are_told(world: World) -> None:
    found, _ = piloted(world)
    assert found
    for file in world.home.glob("store.db*"):
        file.rename(file.with_name(f"old-{file.name}"))
    again, _ = piloted(world)
    assert again and (again.taken.cached, again.forecast.read) == (8, None)
    assert any("all were known from before" in note for note in again.notes)


def test_replies_that_were_known_from_before_count_as_what_they_cost_then(world: World) -> None:
    paid, _ = piloted(world)
    for file in world.home.glob("store.db*"):
        file.rename(file.with_name(f"old-{file.name}"))
    driver = world.driver()
    drawn = sample(driver.plan(), "count", 8)
    driver.store.log.spend("count", [("billing", key, Spent(1, 100, 10, 0.0, 1.0)) for key in drawn.weights])
    found, _ = piloted(world)
    assert paid and found and found.forecast.read and found.forecast.written
    assert (found.forecast.read.middle, found.forecast.written.middle) == pytest.approx((1200, 120))


def test_a_failed_shard_is_told_and_is_no_cost(world: World, endpoint: Endpoint) -> None:
    endpoint.ping = Says("pong")
    endpoint.script = lambda request: Says(status=400) if "p05.py" in str(request["messages"]) else mends(request)
    found, _ = piloted(world, 12)
    assert found and found.statuses["failed"] == 1 and found.code == 2
    assert any(one.kind.startswith("failed: ") and one.example == "p05.py" for one in found.failures)
