"""A budget on Ray: one actor counts for all lanes, may die, and forgets nothing for long."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from operators.chain import Chain
from operators.data import Completion
from pipelines.budget.purse import Purse
from pipelines.cluster import OnRay
from pipelines.cluster.metering import metered
from pipelines.data import Recipe
from pipelines.limits import Budget
from pipelines.store import Store
from pipelines.work import Kit
from tests.conftest import Checkout
from tests.endpoint import Endpoint, Says
from tests.pipelines.cluster.setting import job, outcomes, planned

pytestmark = pytest.mark.slow
BLOCK = "{0}\n<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n"


class Counted(Endpoint):
    """Adds up what it has served."""

    def __init__(self, after: float = 0.0) -> None:
        super().__init__(script=self.reply)
        self.after, self.tokens, self.largest = after, 0, 0

    def reply(self, request: dict[str, Any]) -> Says:
        path = re.search(r"^(m\d+\.py)$", request["messages"][1]["content"], re.M)
        assert path
        text = BLOCK.format(path[1])
        cost = sum(len(message["content"]) for message in request["messages"]) // 4 + len(text) // 4
        self.tokens, self.largest = self.tokens + cost, max(self.largest, cost)
        return Says(text, after=self.after)


def step(endpoint: Endpoint, concurrency: int) -> str:
    model = f'{{url: "{endpoint.url}", name: scripted, concurrency: {concurrency}}}'
    return f"{{rewrite: {{prompt: Count., model: {model}}}}}"


@pytest.fixture(scope="module")
def lanes() -> Iterator[OnRay]:
    with closing(OnRay(cores=2)) as made:
        yield made


def test_two_lanes_do_not_exceed_a_limit_by_more_than_a_call_each(
    lanes: OnRay, home: Path, checkout: Callable[..., Checkout], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.cluster.waiting.PER_LANE", 12)  # so that there are several
    repo = checkout({f"m{n}.py": "x = 1\n" for n in range(60)})
    with Counted(after=0.05) as endpoint:
        kit, found = planned(job(repo.folder, step=step(endpoint, 4)), home)
        purse = Purse(Budget(tokens=3_000), {})
        done = outcomes(lanes, replace(kit, meter=purse), found)
    total = purse.total()
    assert total.read + total.written == endpoint.tokens, "all of it is the driver's when the run is over"
    assert 3_000 <= endpoint.tokens < 3_000 + 4 * endpoint.largest
    kept = [one for one in done.values() if not one.away]
    assert {one.status for one in kept} == {"accepted"} and len(kept) == len(endpoint.requests) == total.calls
    assert {one.error for one in done.values() if one.away} == {"the job has reached its limit of tokens"}
    assert sum(one.calls for _, _, one in purse.drain()) == total.calls


def test_what_counts_may_die_at_any_time(lanes: OnRay) -> None:
    lanes.start()
    ray, kit = lanes._ray, Kit(Recipe(Chain(()), (), (), 1, "none"))
    purse = Purse(Budget(tokens=400), {})
    with metered(ray, lanes._place, replace(kit, meter=purse)) as given:
        meter = given.meter
        assert meter
        actor = meter.actor  # type: ignore[attr-defined]
        for _ in range(100):
            assert meter.ask("r", "k") == ""
            meter.tell("r", "k", Completion("", 1, 1))
        end = time.monotonic() + 30
        while purse.total().calls < 100 and time.monotonic() < end:
            time.sleep(0.1)
        assert purse.total().calls == 100, "the driver takes over what was counted as it goes"
        ray.kill(actor, no_restart=False)  # as any other death

        def spend(name: int) -> int:
            count = 0
            while not meter.ask("r", f"k{name}"):
                meter.tell("r", f"k{name}", Completion("", 1, 1))
                count += 1
            return count

        with ThreadPoolExecutor(4) as pool:
            more = sum(pool.map(spend, range(4)))
        assert 100 <= more < 104, "what was spent before it died is known to who takes its place"
    assert purse.total().calls == 100 + more


def test_a_driver_that_is_killed_forgets_nothing(home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> None:
    """It is killed while a call takes its time."""
    repo = checkout({f"m{n}.py": "x = 1\n" for n in range(6)})
    file = tmp_path / "job.yaml"
    with Counted() as endpoint, closing(Store(home / "store.db")) as store:

        def limited(tokens: int) -> list[str]:
            file.write_text(job(repo.folder, step=step(endpoint, 1), rest=f"budget: {{tokens: {tokens}}}\n"))
            return [sys.executable, "-c", "from pipelines.cli import main; main()", "run", str(file)]

        def spent() -> int:
            return sum(one.read + one.written for one in store.log.spent("lanes").values())

        def third(request: dict[str, Any]) -> Says:
            return replace(endpoint.reply(request), after=60.0 if len(endpoint.requests) > 2 else 0.0)

        endpoint.script = third
        with subprocess.Popen(limited(100_000), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as driver:
            while len(endpoint.requests) < 3 or spent() == 0:
                assert driver.poll() is None
                time.sleep(0.1)
            time.sleep(3)
            driver.kill()
        known, endpoint.script = spent(), endpoint.reply
        assert known == endpoint.tokens - endpoint.largest, "all but the call that is cut off with the driver"
        ran = subprocess.run(limited(known), capture_output=True, text=True, check=False, timeout=300)
        assert ran.returncode == 2 and len(endpoint.requests) == 3, ran.stderr
        assert f"the job has spent {known:,} of {known:,} tokens (`budget.tokens`)" in ran.stdout
        assert "spent    " in ran.stdout and "umbau resume" not in ran.stdout
        ran = subprocess.run(limited(100_000), capture_output=True, text=True, check=False, timeout=300)
        assert ran.returncode == 0 and "6 accepted" in ran.stdout, ran.stderr
        assert spent() == endpoint.tokens - endpoint.largest
