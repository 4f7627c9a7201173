"""What a job's driver counts and measures, tick by tick."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipelines.metrics import METRICS, Metric
from tests.conftest import Checkout
from tests.endpoint import Endpoint, Says
from tests.pipelines.test_driver import FILES, SHARDS, Lanes, Tick, World

GOOD = "```python\n{path}\n<<<<<<< SEARCH\n{name} = 1\n=======\n{name} = 2\n>>>>>>> REPLACE\n```\n"


@dataclass
class Kept:
    """A meter that keeps what it is told."""

    counts: Counter[str] = field(default_factory=Counter)
    noted: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    gauges: dict[str, float] = field(default_factory=dict)

    def tell(self, metric: Metric, value: float, *labels: str) -> None:
        assert metric in METRICS and len(labels) == len(metric.labels) and labels[0] == "count"
        name = " ".join([metric.name, *labels[1:]])
        if metric.kind == "counter":
            assert value > 0, "Ray takes no others"
            self.counts[name] += value  # type: ignore[assignment]
        elif metric.kind == "gauge":
            self.gauges[name] = value
        else:
            self.noted[name].append(value)


@dataclass
class Measured(World):
    meter: Kept = field(default_factory=Kept)

    def tick(self, lanes: Lanes | None = None) -> Tick:
        lanes = lanes or Lanes()
        lanes.meter = self.meter
        return super().tick(lanes)

    def shards(self) -> dict[str, float]:
        states = {
            name.split()[1]: value for name, value in self.meter.gauges.items() if name.startswith("umbau_shards ")
        }
        return {state: value for state, value in states.items() if value}


@pytest.fixture
def world(home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> Iterator[Measured]:
    found = Measured(checkout(FILES), home, tmp_path)
    yield found
    for store in found.stores:
        store.close()


def test_shards_by_state_and_those_that_ended(world: Measured) -> None:
    world.settings = {"checks": ["inside", {"command": "! grep -q 'z = 2' b/z.py"}]}
    with pytest.raises(KeyboardInterrupt):
        world.tick(Lanes(most=1))
    assert world.shards() == {"accepted": 1, "waiting": 2}
    world.tick()
    assert world.shards() == {"accepted": 2, "rejected": 1}
    ended = {
        name.split()[1]: count for name, count in world.meter.counts.items() if name.startswith("umbau_shards_ended")
    }
    assert ended == {"accepted": 2, "rejected": 1}, "each once, however many ticks"
    assert len(world.meter.noted["umbau_shard_duration_seconds"]) == 3
    assert len(world.meter.noted["umbau_check_duration_seconds inside"]) == 3
    world.tick()
    assert (world.shards(), sum(ended.values())) == ({"accepted": 2, "rejected": 1}, 3)
    assert world.meter.gauges["umbau_repositories_set_aside"] == 0


def test_what_failed_waits_for_another_run(world: Measured) -> None:
    tool = world.folder / "tool"
    world.settings = {"steps": [{"shell": f"{tool} {{paths}}"}], "sandbox": "none"}
    world.tick()
    assert world.shards() == {"failed": 3}
    tool.write_text("#!/bin/sh\nsed -i s/1/2/ $1\n")
    tool.chmod(0o755)
    world.tick()
    assert world.shards() == {"accepted": 3}
    assert world.meter.counts["umbau_shards_ended failed"] == world.meter.counts["umbau_shards_ended accepted"] == 3


def test_a_cluster_that_is_started_on_the_way_counts_the_same(world: Measured) -> None:
    class Late(Lanes):
        started = False

        @property
        def meter(self) -> Kept | None:  # type: ignore[override]
            return world.meter if self.started else None

        @meter.setter
        def meter(self, value: object) -> None: ...

        def run(self, *given: Any) -> Iterator[Any]:
            self.started = True
            yield from super().run(*given)

    world.settings = {"checks": ["inside", {"command": "! grep -q 'z = 2' b/z.py"}]}
    world.tick(Late())
    assert world.shards() == {"accepted": 2, "rejected": 1}


def test_questions_to_models(world: Measured, endpoint: Endpoint) -> None:
    def script(request: dict[str, Any]) -> Says | str:
        asked = request["messages"][1]["content"]
        path = next(path for path in SHARDS if path in asked)
        return GOOD.format(path=path, name=path[2]) if len(request["messages"]) > 2 or path != "a/x.py" else "No idea."

    endpoint.script = script
    model = {"url": endpoint.url, "name": "devstral", "gpus": 2}
    world.settings = {"steps": [{"rewrite": {"prompt": "One more.", "model": model}}]}
    tick = world.tick()
    asked = "chat openai_compatible devstral"
    meter, outcomes = world.meter, tick.outcomes.values()
    assert len(meter.noted[f"gen_ai_client_operation_duration_seconds {asked}"]) == len(endpoint.requests) == 4
    read, written = (meter.noted[f"gen_ai_client_token_usage {asked} {kind}"] for kind in ("input", "output"))
    assert (sum(read), sum(written)) == tuple(sum(each) for each in zip(*(one.tokens for one in outcomes), strict=True))
    assert meter.counts["umbau_attempts"] == 4
    assert meter.counts["umbau_gpu_seconds devstral"] == pytest.approx(sum(one.gpu_seconds for one in outcomes))
    assert meter.counts["umbau_cached_replies"] == 0
    driver = world.driver()
    driver.retry(driver.latest(), SHARDS)
    world.tick()
    assert meter.counts["umbau_attempts"] == 8, "those of the first go are not counted again"
    assert len(read) == len(endpoint.requests) == 8


def test_a_reply_that_was_known_is_no_question(world: Measured, endpoint: Endpoint) -> None:
    endpoint.say("NO CHANGE NEEDED")
    world.settings = {"steps": [{"rewrite": {"prompt": "Look.", "model": {"url": endpoint.url, "name": "devstral"}}}]}
    world.tick()
    (world.home / "store.db").unlink()
    world.tick()
    assert world.meter.counts["umbau_cached_replies"] == 3
    assert len(world.meter.noted["gen_ai_client_operation_duration_seconds chat openai_compatible devstral"]) == 3


def test_merge_requests_and_what_remains(world: Measured) -> None:
    world.settings = {"merge_request": {"merge": "approved"}}

    def requests() -> dict[str, float]:
        told = {
            name.split()[1]: value for name, value in world.meter.gauges.items() if name.startswith("umbau_merge_r")
        }
        return {state: value for state, value in told.items() if value}

    world.tick()
    assert requests() == {"open": 2} and world.meter.gauges["umbau_remaining_files"] == 3
    world.forge.review("billing/1", "ada", text="", path="", line=0, approve=True, close=False)
    world.forge.review("billing/2", "ada", text="", path="", line=0, approve=False, close=True)
    for _ in range(2):
        world.tick()
    world.made.commit({"a/x.py": "x = 2\n", "a/y.py": "y = 2\n"})  # as the merge left it
    world.tick()
    assert requests() == {"merged": 1, "closed": 1} and world.meter.gauges["umbau_remaining_files"] == 1
    (took,) = world.meter.noted["umbau_time_to_merge_seconds"]
    opened, merged = (
        next(one.body["at"] for one in world.stores[-1].log.events("count", [kind])) for kind in ("opened", "merged")
    )
    assert took == pytest.approx(merged - opened) and took > 0


def test_a_merge_that_nobody_could_be_told_of_is_told_when_somebody_can(world: Measured) -> None:
    world.settings = {"merge_request": {"merge": "approved"}}
    world.tick()
    world.forge.review("billing/1", "ada", text="", path="", line=0, approve=True, close=False)
    World.tick(world)
    World.tick(world)
    assert world.meter.noted["umbau_time_to_merge_seconds"] == []
    for _ in range(2):
        world.tick()
    assert len(world.meter.noted["umbau_time_to_merge_seconds"]) == 1


def test_a_part_of_the_repositories_changes_no_count_of_the_whole(
    world: Measured, checkout: Callable[..., Checkout]
) -> None:
    checkout({"shop.py": "s = 1\n"}, "shop")
    world.settings = {"repos": [{"git": "billing"}, {"git": "shop"}]}
    tick = world.tick()
    assert world.shards() == {"accepted": 4}
    part = tick.driver.look(["shop"])
    tick.driver.tend(part, tick.lanes, part=True)
    assert world.shards() == {"accepted": 4} and world.meter.gauges["umbau_remaining_files"] == 4
