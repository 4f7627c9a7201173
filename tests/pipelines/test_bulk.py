from __future__ import annotations

import pytest

from pipelines.bulk import close, comment, merge, reopen, revert
from pipelines.forge import Request
from tests.pipelines.test_tending import A, B, World, world

__all__ = ["world"]


def requests(world: World) -> list[Request]:
    return list(world.forge.requests("umbau/j/", world.look()[0].repos))


def test_what_is_closed_in_bulk_stays_closed_until_it_is_reopened(world: World) -> None:
    world.tick()
    assert [one.action.verb for one in close(requests(world), "not now", world.forge)] == ["close", "close"]
    assert [one.action.why for one in close(requests(world), "not now", world.forge)] == ["it is closed"] * 2
    assert world.did() == "wait: closed"
    assert [one.action.verb for one in reopen(requests(world), world.forge)] == ["reopen", "reopen"]
    assert world.did() == "wait: waits for review"


def test_trouble_with_one_is_told(world: World) -> None:
    world.tick()
    world.forge.commit("billing", "main", {"a/y.py": "x = 7\n"})
    done = merge(requests(world), world.forge)
    assert ["cannot be merged" in one.trouble for one in done] == [True, False]
    assert world.forge.states() == {"billing a": "open", "billing b": "merged"}


def test_what_is_said_on_all_is_said_once(world: World) -> None:
    world.tick()
    for text in ("Holidays", "Holidays", "Back"):
        comment(requests(world), text, world.forge)
    assert world.said() == world.said(B) == ["Holidays", "Back"]


def test_reverting(world: World) -> None:
    world.tick()
    for _ in merge(requests(world)[:1], world.forge):
        world.forge.commit("billing", "main", {"a/x.py": "x = 2\n\n\n\ny = 9\n"})
    repos = {repo.name: repo for repo in world.look()[0].repos}
    for _ in range(2):
        done = revert(world.job, repos, requests(world), world.forge, world.store)
        assert [(one.action.verb, one.branch) for one in done] == [("push", "umbau/j-revert/1"), ("wait", B[1])]
    text = world.forge.text
    assert text("billing", "umbau/j-revert/1", "a/x.py") == "x = 1\n\n\n\ny = 9\n", "what came later stays"
    assert text("billing", "umbau/j-revert/1", "a/y.py") == "x = 1\n"
    world.edits["a/x.py"] = world.edits["a/y.py"] = ""
    world.tick()
    assert world.forge.kept["billing", "umbau/j-revert/1"].state == "open", "it is nobody's but people's"


@pytest.mark.parametrize("text", ["x = 7\n", "x = 1\n"])
def test_what_cannot_be_reverted(text: str, world: World) -> None:
    world.tick()
    merge(requests(world), world.forge)
    world.forge.commit("billing", "main", {"b/x.py": text})
    repos = {repo.name: repo for repo in world.look()[0].repos}
    done = revert(world.job, repos, requests(world), world.forge, world.store)[1]
    assert done.trouble in {
        "its base branch has changed in the same places since: revert it by hand",
        "nothing of it is left to be reverted",
    }
    assert A in world.forge.kept and ("billing", "umbau/j-revert/2") not in world.forge.kept
