"""What is noted of a job's life, by whom, and once: on real git, each tick a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from pipelines import steering
from pipelines.audit.noting import audited, entrance, head, raised, sited
from pipelines.dashboard.access import made, read
from pipelines.store import Store
from tests.pipelines.test_tending_story import LINES, PLACE, World, block, world

__all__ = ["world"]


def told(store: Store) -> list[tuple[str, str]]:
    return [(row.who, row.what) for row in store.audit.rows()]


def test_a_request_from_its_opening_to_its_end(world: World) -> None:
    world.endpoint.say(block("x = 1", "x = 2"))
    world.tick(first=True)
    world.tick()
    store = world.stores[-1]
    (row,) = store.audit.rows()
    assert (row.who, row.what, row.job) == ("umbau", "published", "count")
    assert (row.facts["repo"], row.facts["branch"], row.facts["head"]) == (*PLACE, world.forge.head(PLACE))
    assert "x = 2" not in row.body

    world.forge.say(PLACE, "/umbau apply-to-all Count in tens.", "ada")
    world.tick()
    name = store.recall("rules count")[0]["id"]
    world.forge.say(PLACE, f"/umbau confirm {name}", "bob")
    world.endpoint.say(block("x = 1", "x = 10"))
    world.tick()
    assert ("forge/bob", "apply-to-all confirmed") in told(store)
    (rule,) = [row for row in store.audit.rows() if row.what == "apply-to-all confirmed"]
    assert (rule.facts["asked"], rule.facts["confirmed"]) == ("ada", "bob")
    assert "tens" not in rule.body

    before = len(told(store))
    world.forge.say(PLACE, "/umbau close", "ada")
    world.tick()
    world.tick()
    world.forge.say(PLACE, "/umbau reopen", "ada")
    world.tick()
    world.forge.say(PLACE, "/umbau close", "bob")
    world.tick()
    world.tick()
    world.forge.say(PLACE, "/umbau retry", "ada")
    world.tick()
    after = [one for one in told(store)[before:] if one[1] not in {"commanded", "published"}]
    assert after == [
        ("forge/ada", "closed"),
        ("forge/ada", "reopened"),
        ("forge/bob", "closed"),
        ("forge/ada", "reopened"),
    ]
    assert ("forge/ada", "commanded") in told(store)
    assert not store.audit.verify().wrong


def test_killed_after_the_push_it_is_noted_by_the_next_tick(world: World) -> None:
    world.endpoint.say(block("x = 1", "x = 2"))
    world.tick(first=True)
    with world.stores[-1]._database.engine.begin() as connection:  # as if it had been killed right there
        connection.execute(text("drop trigger audit_no_delete"))
        connection.execute(text("delete from audit"))
    world.tick()
    world.tick()
    assert told(world.stores[-1]) == [("umbau", "published")]


def test_what_people_do_on_the_forge_is_seen(world: World) -> None:
    world.endpoint.say(block("x = 1", "x = 2"))
    world.tick(first=True)
    world.forge.kept[PLACE].state = "closed"
    for _ in range(2):
        world.tick()
    assert told(world.stores[-1]) == [("umbau", "published"), ("forge", "closed")]


def test_what_umbau_merges_is_its_own_doing(world: World) -> None:
    world.endpoint.say(block("x = 1", "x = 2"))
    world.tick(first=True)
    world.forge.approve(PLACE)
    world.forge.runs(PLACE, "passed")
    assert world.why() == "merge: approved"
    world.endpoint.say("NO CHANGE NEEDED")
    world.tick()
    assert told(world.stores[-1])[-1] == ("umbau", "merged")
    assert LINES in world.text


def test_runs_and_what_they_may_cost(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for budget in ({"tokens": 10}, {"tokens": 10}, {"tokens": 20}, {}, {"tokens": 5, "per_repo": {"seconds": 1}}):
        world.settings = {"budget": budget}
        with audited(world.driver(), "run", "ada@host"):
            pass
    settings = tmp_path / "umbau.yaml"
    settings.write_text("retention: {code: 30}\n")
    monkeypatch.setenv("UMBAU_SITE", str(settings))
    with pytest.raises(KeyboardInterrupt), audited(world.driver(), "tend", "bob@host"):
        raise KeyboardInterrupt
    run = [("ada@host", "run started"), ("ada@host", "run ended")]
    up, down = [("ada@host", "budget raised")], [("ada@host", "budget lowered")]
    assert told(world.stores[-1]) == [
        ("ada@host", "site read"),
        *run,
        *run,
        *(run[:1] + up + run[1:]) * 2,
        *(run[:1] + down + run[1:]),
        ("bob@host", "site changed"),
        ("bob@host", "tend started"),
        ("bob@host", "tend ended"),
    ]
    rows = list(world.stores[-1].audit.rows())
    assert rows[-1].facts["how"] == "stopped"
    assert head(world.stores[-1]) == f"{rows[-1].number}:{rows[-1].hash}"


@pytest.mark.parametrize(
    ("before", "now", "up"),
    [
        ({"tokens": 10}, {"tokens": 11}, True),
        ({"tokens": 10}, {"tokens": 0}, True),
        ({"tokens": 0}, {"tokens": 10}, False),
        ({"tokens": 10}, {"tokens": 9}, False),
        ({"per_shard": {"money": 1.5}}, {"per_shard": {"money": 2.0}}, True),
        ({"prices": {"read": 1.0}}, {"prices": {"read": 2.0}}, False),
    ],
)
def test_a_limit_that_is_higher_or_gone_is_raised(before: object, now: object, up: bool) -> None:
    assert raised(before, now) is up


def test_pauses_and_keys(home: Path, tmp_path: Path) -> None:
    store, file = Store(home / "store.db"), tmp_path / "dashboard.toml"
    for _ in range(2):
        steering.pause(store, "j", "ada", "a holiday", by="ada@host")
    steering.resume(store, "j", "bob", by="dashboard/bob")
    entrance(store, read(file), "ada@host")
    made(file, "carol", "operator")
    for _ in range(2):
        entrance(store, read(file), "ada@host")
    file.write_text("")
    entrance(store, read(file), "eve@host")
    sited(store, "ada@host")
    sited(store, "ada@host")
    assert told(store) == [
        ("ada@host", "paused"),
        ("dashboard/bob", "resumed"),
        ("ada@host", "access changed"),
        ("eve@host", "access changed"),
        ("ada@host", "site read"),
    ]
    given, removed = (row.facts for row in store.audit.rows() if row.what == "access changed")
    assert (given["given"], removed["removed"]) == (["carol"], ["carol"])
    assert "holiday" not in "".join(row.body for row in store.audit.rows())
    store.close()
