"""What happened to a job, and what it has cost."""

from __future__ import annotations

import time
from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.store import Store
from pipelines.store.log import Spent
from tests.pipelines.store.conftest import Open
from tests.pipelines.store.test_store import outcome


def test_events_come_in_their_order_with_their_times(store: Store) -> None:
    began = time.time()
    store.log.note("a", "opened", "billing", {"branch": "umbau/a/x", "number": 1})
    store.log.note("b", "opened", "billing")
    store.log.note("a", "paused", body={"who": "ada"})
    first, second = store.log.events("a")
    assert (first.kind, first.repo, first.body["number"]) == ("opened", "billing", 1)
    assert (second.kind, second.repo, second.body) == ("paused", "", {"who": "ada"})
    assert began - 2 < first.at < time.time() + 2
    assert first.number < second.number
    assert store.log.events("a", after=first.number) == [second]
    assert store.log.events("a", ["opened"]) == [first]
    assert store.log.events("c") == []


def test_the_same_mark_is_noted_once(opening: Open) -> None:
    for text in ("first", "again"):
        opening().log.note("a", "merged", "billing", text, mark="umbau/a/x 1")
    opening().log.note("a", "closed", "billing", "another kind", mark="umbau/a/x 1")
    opening().log.note("b", "merged", "billing", "another job", mark="umbau/a/x 1")
    assert [one.body for one in opening().log.events("a")] == ["first", "another kind"]


def test_without_a_mark_it_happened_again(store: Store) -> None:
    for _ in range(2):
        store.log.note("a", "paused")
    assert len(store.log.events("a")) == 2


def test_what_was_spent_is_added_up(opening: Open) -> None:
    opening().log.spend("a", [("billing", "k1", Spent(1, 100, 10, 0.5, 2.0)), ("billing", "k2", Spent(2, 5, 5))])
    opening().log.spend("a", [("billing", "k1", Spent(1, 1 << 40, 1, 0.25, 1.0))])
    opening().log.spend("b", [("billing", "k1", Spent(9, 9, 9, 9, 9))])
    opening().log.spend("b", [])
    found = opening().log.spent("a")
    assert found == {
        ("billing", "k1"): Spent(2, (1 << 40) + 100, 11, 0.75, 3.0),
        ("billing", "k2"): Spent(2, 5, 5, 0.0, 0.0),
    }
    assert all(isinstance(one.read, int) and isinstance(one.seconds, float) for one in found.values())
    assert opening().log.spent("a", by_shard=False) == {("billing", ""): Spent(4, (1 << 40) + 105, 16, 0.75, 3.0)}
    assert opening().log.spent("c") == opening().log.spent("c", by_shard=False) == {}


amounts = st.builds(Spent, *[st.integers(0, 1 << 30)] * 3, *[st.floats(0, 1e6)] * 2)


@given(st.lists(amounts, max_size=6))
def test_sums_do_not_depend_on_the_order(given: list[Spent]) -> None:
    there, back = sum(given, Spent()), sum(reversed(given), Spent())
    assert astuple(there) == pytest.approx(astuple(back))


def test_when_an_outcome_was_kept(store: Store) -> None:
    began = time.time()
    done = outcome("k1")
    store.save([(done, 0)])
    found = store.times([done.shard.key, "unknown"])
    assert list(found) == [done.shard.key]
    assert began - 2 < found[done.shard.key] < time.time() + 2
