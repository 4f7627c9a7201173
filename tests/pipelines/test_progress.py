from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from pipelines import progress
from pipelines.errors import Refused
from pipelines.progress import Progress, kept, latest
from pipelines.store import Store
from tests.pipelines.store.conftest import opening, place, server, store  # noqa: F401 (fixtures)

RUN = Progress("count", 1.0, "run", "box 7", 2, {"waiting": 3}, 3, 0.5, 6.0, asking=3, replicas=(1, 2), total=3)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.02)
    monkeypatch.setattr(progress, "BEAT", 0.2)


def until(store: Store, at: float) -> Progress:  # noqa: F811
    for _ in range(500):
        found = latest(store, "count")
        if found and found.at >= at:
            return found
        time.sleep(0.01)
    raise AssertionError("nothing was written")


def test_it_is_written_down_again_and_again_and_that_it_is_over(store: Store) -> None:  # noqa: F811
    now = [RUN]
    with store.driving("count"), kept(store, lambda: now[0]):
        assert until(store, 1.0) == RUN
        now[0] = replace(RUN, at=2.0, counts={"accepted": 3}, flight=0)
        assert until(store, 2.0).counts == {"accepted": 3}
    over = latest(store, "count")
    assert over and (over.stage, over.flight, over.asking, over.rate, over.left, over.replicas) == (
        "",
        0,
        0,
        0,
        None,
        None,
    )
    assert over.counts == {"accepted": 3}


def test_also_when_it_fails(store: Store) -> None:  # noqa: F811
    with pytest.raises(ZeroDivisionError), store.driving("count"), kept(store, lambda: RUN):
        until(store, 1.0)
        raise ZeroDivisionError
    assert replace(latest(store, "count") or RUN, at=1.0).stage == ""


def test_unchanged_it_is_written_down_now_and_then(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    written: list[float] = []
    monkeypatch.setattr(progress, "put", lambda store, found: written.append(found.at))
    start = time.monotonic()
    with kept(store, lambda: replace(RUN, at=time.monotonic() - start)):
        time.sleep(1.0)
    assert 3 <= len(written) <= 7, written


def test_who_has_lost_the_turn_writes_nothing_and_is_not_told_by_it(store: Store) -> None:  # noqa: F811
    def refuse() -> None:
        raise Refused("another process drives count now")

    before = threading.active_count()
    store.remember = lambda key, value: refuse()  # type: ignore[method-assign]
    with kept(store, lambda: RUN):
        time.sleep(0.1)
    assert latest(store, "count") is None
    assert threading.active_count() == before
