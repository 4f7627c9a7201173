"""Umbau is killed at every call that it makes, before it takes place and after, and runs again: all is there once."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.data import Change
from pipelines.forge import ForgeError
from tests.pipelines.forges.github.conftest import PREFIX, World
from tests.pipelines.forges.github.double import Fault

BRANCH = f"{PREFIX}app"
CALLS = 40  # more than any of these makes
LAST = 10  # of those that push and open: the one that opens


def _child(world: World, act: Callable[[], object], kill: int = 0, effect: bool = False) -> int:
    """Run something in a process of its own, which the site kills at its call number `kill`; return how it ended."""
    ready, go = os.pipe()
    with world.site.lock:  # what the site starts to answer a call would else be kept open by our child
        child = os.fork()
    if child == 0:
        code = 1
        try:
            os.read(ready, 1)
            world.again()
            act()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    world.site.kill = (child, kill, effect) if kill else None
    os.write(go, b"x")
    _, status = os.waitpid(child, 0)
    os.close(ready)
    os.close(go)
    world.site.kill = None
    return os.waitstatus_to_exitcode(status)


def _killed_everywhere(world: World, act: Callable[[int], object], check: Callable[[int], None], first: int = 1) -> int:
    """Do `act`, killed at its first call, its second and so on, until it is done without; each time again to its end.
    Every round is about something else, and has to be done exactly once. Return the number of calls."""
    for effect in (False, True):
        for number in range(first, CALLS):
            round_ = number + CALLS * effect
            ended = _child(world, lambda n=round_: act(n), number, effect)  # type: ignore[misc]
            assert ended in {0, -9}
            assert _child(world, lambda n=round_: act(n)) == 0  # type: ignore[misc]
            check(round_)
            if ended == 0:
                break
        else:
            pytest.fail("it never came to its end")
    return number - 1


def _branch(number: int) -> str:
    return f"{PREFIX}part{number}"


def _requests(world: World, number: int) -> list[dict[str, Any]]:
    return [one for one in world.site.pulls(world.name) if one["head"]["ref"] == _branch(number)]


@pytest.mark.parametrize("first", [LAST, pytest.param(1, marks=pytest.mark.slow)])
def test_pushing_and_opening(world: World, first: int) -> None:
    repo = world.repo

    def change(number: int) -> Change:
        return world.change(f"a = {number}\n", _branch(number), repo)

    def act(number: int) -> None:
        world.push(change(number))

    def check(number: int) -> None:
        (pull,) = _requests(world, number)
        assert f"digest={change(number).digest}" in pull["body"]

    assert _killed_everywhere(world, act, check, first) >= 10
    assert {one.state for one in world.tick(repo).values()} == {"open"}
    assert not any(one.touched for one in world.tick(repo).values())


@pytest.mark.slow
def test_opening_with_all_there_is(world: World) -> None:
    repo = world.repo
    world.site.person("acme", "POST", f"/repos/{world.name}/milestones", {"title": "Q3"})

    def act(number: int) -> None:
        change = world.change(f"a = {number}\n", _branch(number), repo)
        world.push(change, labels=("umbau",), reviewers=("ada",), assignees=("bo",), milestone="Q3")

    def check(number: int) -> None:
        (pull,) = _requests(world, number)
        assert [one["name"] for one in pull["labels"]] == ["umbau"]
        assert [one["login"] for one in pull["requested_reviewers"]] == ["ada"]
        assert [one["login"] for one in pull["assignees"]] == ["bo"]
        assert pull["milestone"]["title"] == "Q3"

    assert _killed_everywhere(world, act, check, first=9) >= 14


@pytest.mark.slow
def test_what_was_opened_and_not_completed_is_done_by_the_next_tick(world: World) -> None:
    repo = world.repo
    world.site.faults.append(Fault("POST .*/labels$", "unsent", times=9))
    with pytest.raises(ForgeError):
        world.push(labels=("umbau",))
    world.site.faults.clear()
    (found,) = world.tick(repo).values()
    assert (found.state, found.digest) == ("open", "")  # so that it is pushed again
    world.push(labels=("umbau",))
    (found,) = world.tick(repo).values()
    assert found.digest == world.change().digest
    assert [one["name"] for one in world.site.pull(world.name, 1)["labels"]] == ["umbau"]


@pytest.mark.slow
def test_commenting(world: World) -> None:
    request = world.push()

    def act(number: int) -> None:
        world.forge.comment(request, f"Round {number}.", f"key {number}")

    def check(number: int) -> None:
        said = [one["body"] for one in world.site.comments(world.name, 1)]
        assert len([body for body in said if re.match(rf"Round {number}\.", body)]) == 1

    assert _killed_everywhere(world, act, check) >= 3


@pytest.mark.slow
def test_closing(world: World) -> None:
    repo = world.repo
    rounds = [number + effect for effect in (0, CALLS) for number in range(1, 9)]
    opened = {one: world.push(world.change(f"a = {one}\n", _branch(one), repo)) for one in rounds}

    def act(number: int) -> None:
        world.forge.close(opened[number], "no longer needed")

    def check(number: int) -> None:
        (pull,) = _requests(world, number)
        assert pull["state"] == "closed"
        said = world.site.comments(world.name, pull["number"])
        assert [one["body"].partition("\n")[0] for one in said] == ["no longer needed"]

    assert _killed_everywhere(world, act, check) >= 4
