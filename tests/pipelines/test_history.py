from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.forge import Request
from pipelines.forges.local import LocalForge
from pipelines.history import note
from pipelines.store import Store
from tests.pipelines.test_remaining import JOB, World, world  # noqa: F401 (fixture)

ONE = Request("billing", "umbau/count/a", "d", "branch", "u/1", number=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "store.db")
    yield made
    made.close()


def told(store: Store) -> list[tuple[str, int, float]]:
    return [(one.kind, one.body["number"], one.body["at"]) for one in store.log.events("count")]


def test_each_is_noted_once_with_the_forges_time(store: Store) -> None:
    opened = replace(ONE, state="open", opened=100.0)
    merged = replace(opened, state="merged", ended=300.0)
    assert note([ONE], "count", store, 50.0) == []
    assert [kind for kind, _, _ in note([opened], "count", store, 150.0)] == ["opened"]
    assert note([opened], "count", store, 200.0) == []
    assert [kind for kind, _, _ in note([opened, merged], "count", store, 350.0)] == ["merged"]
    assert note([merged], "count", store, 400.0) == []
    assert told(store) == [("opened", 1, 100.0), ("merged", 1, 300.0)]
    assert store.log.events("count")[0].body == {"branch": ONE.branch, "url": "u/1", "number": 1, "at": 100.0}


def test_where_the_forge_tells_no_time_it_is_when_it_was_seen(store: Store) -> None:
    note([replace(ONE, state="closed")], "count", store, 50.0)
    assert told(store) == [("opened", 1, 50.0), ("closed", 1, 50.0)]


def test_what_is_opened_again_is_no_news_and_another_request_is(store: Store) -> None:
    note([replace(ONE, state="closed", opened=1.0, ended=2.0)], "count", store, 50.0)
    assert note([replace(ONE, state="open", opened=1.0)], "count", store, 60.0) == []
    another = replace(ONE, branch="umbau/count/a.again", number=2, state="open", opened=3.0)
    assert note([another], "count", store, 70.0) == [("opened", "billing", store.log.events("count")[-1].body)]


def test_killed_in_between_the_rest_is_noted_the_next_time(store: Store) -> None:
    merged = replace(ONE, state="merged", opened=1.0, ended=2.0)
    store.log.note(
        "count", "opened", "billing", {"branch": ONE.branch, "number": 1, "at": 1.0}, "billing umbau/count/a 1"
    )
    assert [kind for kind, _, _ in note([merged], "count", store, 50.0)] == ["merged"]


def test_a_tick_notes_what_it_does_and_what_people_did(world: World, home: Path) -> None:  # noqa: F811
    world.settings = {"merge_request": {**JOB["merge_request"], "merge": "approved"}}
    world.tick(first=True)
    assert kinds(home) == [("opened", "billing"), ("opened", "shop")]
    forge = LocalForge(home / "forge")
    forge.review("billing/1", "ada", text="", path="", line=0, approve=True, close=False)
    forge.review("shop/1", "ada", text="", path="", line=0, approve=False, close=True)
    world.tick()
    assert kinds(home)[2:] == [("merged", "billing"), ("closed", "shop")]
    world.tick()
    assert len(kinds(home)) == 4


def kinds(home: Path) -> list[tuple[str, str]]:
    with closing(Store(home / "store.db")) as store:
        return [(one.kind, one.repo) for one in store.log.events("count") if one.kind != "remaining"]
