"""What is done to many requests at once, and what tending makes of it."""

from __future__ import annotations

from pipelines.bulk.acts import Bulk, closing, commenting, merging, reopening, reverting
from pipelines.forge import Request
from tests.pipelines.test_tending import B, World, world

__all__ = ["world"]


def requests(world: World) -> list[Request]:
    return list(world.forge.requests("umbau/j/", world.look()[0].repos))


def do(world: World, bulk: Bulk) -> list[str]:
    return [
        one.trouble or one.what
        for one in bulk.each(world.forge, bulk.fitting(requests(world), []), world.store.confirm)
    ]


def test_what_is_closed_in_bulk_stays_closed_until_it_is_reopened(world: World) -> None:
    world.tick()
    assert do(world, closing("not now")) == ["closed", "closed"]
    assert do(world, closing("not now")) == []
    assert world.did() == "wait: closed"
    assert do(world, reopening()) == ["reopened", "reopened"]
    assert world.did() == "wait: waits for review"


def test_trouble_with_one_is_told(world: World) -> None:
    world.tick()
    world.forge.commit("billing", "main", {"a/y.py": "x = 7\n"})
    first, second = do(world, merging())
    assert "cannot be merged" in first
    assert second == "merged"
    assert world.forge.states() == {"billing a": "open", "billing b": "merged"}


def test_what_is_said_on_all_is_said_once(world: World) -> None:
    world.tick()
    for text in ("Holidays", "Holidays", "Back"):
        do(world, commenting(text, f"bulk {text}"))
    assert world.said() == world.said(B) == ["Holidays", "Back"]


def test_what_takes_back_is_nobodys_but_peoples(world: World) -> None:
    world.tick()
    do(world, merging())
    repos = world.look()[0].repos
    assert do(world, reverting(world.job, repos)) == ["taken back", "taken back"]
    world.edits["a/x.py"] = world.edits["a/y.py"] = ""
    world.tick()
    assert world.forge.kept["billing", "revert/umbau/j/a"].state == "open"
    world.look()
    assert (
        do(world, reverting(world.job, ()))
        == ["is not among the repositories of the job today: umbau plan j says why"] * 2
    )
