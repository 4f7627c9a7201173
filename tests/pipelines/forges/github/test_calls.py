"""How many calls a tick makes."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pipelines.commit import commit
from pipelines.forges.github.watch import LAG
from pipelines.forges.remote import Branches, mark
from tests.conftest import Checkout
from tests.pipelines.forges.github.conftest import PREFIX, START, World

EACH = 100  # requests in each of two repositories


@pytest.mark.slow
def test_an_unchanged_tick_makes_five_calls_for_a_repository(world: World, checkout: Callable[..., Checkout]) -> None:
    other = f"acme/ledger{world.site.account}"
    world.site.new(other, checkout(START, "ledger").folder)
    repos = world.repo, world.resolved(other)
    branches = Branches(world.memory, world.access())
    for repo in repos:
        for number in range(EACH):
            change = world.change(f"a = {number + 100}\n", f"{PREFIX}part{number}", repo)
            made = commit(repo, change.whole, "change")
            branches.push(repo, repo.source, made, change.branch)
            body = f"Why.\n\n{mark('j', change.digest)}"
            told = {"title": f"Part {number}", "head": change.branch, "base": "main", "body": body}
            world.site.person("umbau", "POST", f"/repos/{repo.name}/pulls", told)
            world.site.check(repo.name, made, "success")
    first = list(world.again().requests(PREFIX, repos))
    assert len(first) == 2 * EACH
    assert {(one.state, one.ci, one.touched, one.conflicts) for one in first} == {("open", "passed", False, False)}
    time.sleep(LAG + 1)
    list(world.again().requests(PREFIX, repos))  # what was new a moment ago is looked at once more

    world.site.calls.clear()
    assert list(world.again().requests(PREFIX, repos)) == first
    assert world.site.counted() == {
        "GET /#": 2,
        "GET /#/git/matching-refs/heads/umbau/j/": 2,
        "GET /#/pulls": 2,
        "GET /#/issues/comments": 2,
        "GET /#/pulls/comments": 2,
    }

    world.site.say(repos[0].name, 1, "ada", "Why?")
    world.site.calls.clear()
    changed = {(one.repo, one.branch): one for one in world.again().requests(PREFIX, repos)}
    assert len(changed[repos[0].name, f"{PREFIX}part0"].comments) == 1
    extra = len(world.site.calls) - 10
    assert 0 < extra <= 5  # who we are; reviews, check runs and statuses of that one
