"""A repository is migrated, merged and guarded, on the local forge; each step a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.bulk.acts import closing, merging, reopening
from pipelines.errors import Refused
from pipelines.guard.change import branch, guards
from pipelines.guard.opening import Guarded, Guarding, guardings
from pipelines.tend import Tended
from tests.conftest import Checkout, Files
from tests.pipelines.test_driver import World

HOOKS = """\
repos:
  # what we all use
  - repo: https://github.com/psf/black-pre-commit-mirror
    rev: 25.1.0
    hooks:
      - id: black   # pinned
"""
PIPELINES = "stages: [lint, unit]\n\nunit:\n  stage: unit\n  script: [make]  # slow\n"
FILES: Files = {
    "a/x.py": "x = old(1)\n",
    "b/y.py": "y = old(1)  # keep\nz = old(2)  # keep\n",
    ".pre-commit-config.yaml": HOOKS,
    ".gitlab-ci.yml": PIPELINES,
}
CHECK, ALLOWED = ".umbau-guard/count/check", ".umbau-guard/count/allowed.json"


@pytest.fixture
def world(home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> Iterator[World]:
    found = World(checkout(FILES), home, tmp_path)
    found.settings = {
        "description": "`old` is `new` now.",
        "select": {"contains": r"old\("},
        "steps": [{"shell": "sed -i '/keep/! s/old(/new(/' {paths}"}],
        "checks": ["inside", {"gone": {"pattern": r"old\("}}],
        "sandbox": "none",
        "merge_request": {"merge": "approved"},
    }
    yield found
    for store in found.stores:
        store.close()


def look(world: World, *globs: str) -> tuple[Guarding, Guarded]:
    guarding = guardings(world.driver(), globs)
    (found,) = guarding.look()
    return guarding, found


def do(world: World) -> list[Tended]:
    guarding, found = look(world)
    return guarding.open([found.repo])


def did(world: World) -> str:
    return ", ".join(f"{one.trouble or one.action.verb}: {one.action.why}" for one in do(world))


def merge(world: World) -> None:
    """Have all that is open merged, and the source follow."""
    driver = world.driver()
    for request in world.forge.requests("umbau/count/", driver.latest().repos):
        if request.state == "open":
            merging().each(world.forge, [request], lambda: None)
    world.made.git("pull", "--quiet", "--no-rebase", str(world.home / "forge/billing/repo.git"), "main")


def text(world: World, path: str) -> str:
    return (world.made.folder / path).read_text()


def test_before_anything_was_run(world: World) -> None:
    with pytest.raises(Refused, match="has not been run yet: umbau run"):
        guardings(world.driver(), [])


def test_migrated_merged_and_guarded(world: World) -> None:
    world.tick()
    guarding, found = look(world)
    assert (found.state, found.why.endswith("1.html is not merged yet")) == ("waits", True)
    assert guarding.open(["billing"]) == []

    merge(world)
    _, found = look(world)
    assert found.state == "new"
    own = {CHECK, ALLOWED, ".gitlab/umbau-guard-count.yml"}
    assert set(found.files) == own | {".gitlab-ci.yml", ".pre-commit-config.yaml"}
    assert json.loads(found.files[ALLOWED] or "") == {"b/y.py": 2}
    assert look(world)[1] == found, "looking changes nothing"

    assert did(world) == "push: new"
    assert world.states() == {"a": "merged", "guard.check": "open"}
    assert did(world) == "wait: waits for review"
    assert [one.number for one in world.forge.records()] == [1, 2]
    body = world.forge.records()[1].body
    assert "`old` is `new` now." in body and "2 lines in `b/y.py`" in body and "`umbau guard`" in body

    merge(world)
    assert text(world, ".pre-commit-config.yaml").startswith(HOOKS)
    assert text(world, ".gitlab-ci.yml").startswith(PIPELINES)
    assert look(world)[1].state == "done"
    assert did(world) == ""
    world.made.commit({"c.py": "c = 1\n"})
    assert look(world)[1].state == "done"


def test_it_is_tended_and_does_not_leave_the_scope_of_the_job(world: World) -> None:
    world.tick()
    merge(world)
    do(world)
    assert world.tick().verbs["guard.check"] == "wait"
    world.made.commit({"d.py": "d = old(3)  # keep\n"})  # not guarded yet, so that it may stay
    assert {one.branch: one.action.verb for one in world.tick().tended}[branch(world.driver().job)] == "push"
    assert json.loads(world.proposed("guard.check", ALLOWED)) == {"b/y.py": 2, "d.py": 1}
    world.forge.review("billing/2", "ada", text="", path="", line=0, approve=True, close=False)
    assert world.tick().verbs["guard.check"] == "merge"
    assert world.states()["guard.check"] == "merged"


def test_what_may_stay_becomes_less_and_never_more(world: World) -> None:
    world.tick()
    merge(world)
    do(world)
    merge(world)
    world.made.commit({"b/y.py": "y = old(1)  # keep\n", "d.py": "d = old(3)  # keep\n"})
    world.tick()
    found = look(world)[1]
    assert (found.state, {path: json.loads(text or "") for path, text in found.files.items()}) == (
        "new",
        {ALLOWED: {"b/y.py": 1}},
    )
    assert did(world) == "push: new"
    assert world.states()["guard.check.again"] == "open"
    world.made.commit({"b/y.py": "y = new(1)\n"})
    assert {one.branch for one in world.tick().tended if one.action.verb == "push"} == {"umbau/count/guard.check.again"}
    merge(world)
    assert not (world.made.folder / ALLOWED).exists()


def test_what_somebody_took_back_is_not_opened_again(world: World) -> None:
    world.tick()
    merge(world)
    do(world)
    merge(world)
    world.made.commit({CHECK: None, ALLOWED: None, ".gitlab/umbau-guard-count.yml": None})
    world.made.commit({".gitlab-ci.yml": PIPELINES, ".pre-commit-config.yaml": HOOKS})
    assert (look(world)[1].state, did(world)) == ("closed", "")


def test_what_people_made_of_it_stays(world: World) -> None:
    world.tick()
    merge(world)
    do(world)
    merge(world)
    own = text(world, ".gitlab/umbau-guard-count.yml").replace("python:3.13", "registry.example.eu/python")
    world.made.commit(
        {".gitlab/umbau-guard-count.yml": own, ".pre-commit-config.yaml": HOOKS + "  # umbau-guard-count\n"}
    )
    assert look(world)[1].state == "done"


def test_what_somebody_closed_stays_closed_until_it_is_reopened(world: World) -> None:
    world.tick()
    merge(world)
    do(world)
    (request,) = [one for one in world.forge.requests("umbau/", world.driver().latest().repos) if one.state == "open"]
    closing("no").each(world.forge, [request], lambda: None)
    assert look(world)[1].state == "closed" and did(world) == ""
    reopening().each(world.forge, [replace(request, state="closed")], lambda: None)
    assert did(world) == "wait: waits for review"


def test_limits_of_the_rollout_hold(world: World) -> None:
    world.tick()
    merge(world)
    world.settings["rollout"] = {"per_hour": 1}
    assert did(world) == "wait: per_hour: 1 were opened in the last hour"
    assert world.states() == {"a": "merged"}


def test_names_of_repositories_are_globs(world: World) -> None:
    world.tick()
    assert look(world, "bill*")[1].repo == "billing"
    with pytest.raises(Refused, match=r"no repository of count is called shop\. There are: billing"):
        guardings(world.driver(), ["shop"])


def test_what_cannot_be_guarded_is_told(world: World) -> None:
    world.tick()
    merge(world)
    world.made.commit({".gitlab-ci.yml": None, ".pre-commit-config.yaml": None})
    found = look(world)[1]
    assert (found.state, "say `guard: {pre_commit: true}`" in found.why) == ("trouble", True)
    world.settings["guard"] = {"pre_commit": True}
    assert set(look(world)[1].files) == {CHECK, ALLOWED, ".pre-commit-config.yaml"}
    world.made.commit({".umbauignore": ""})
    assert look(world)[1].state == "left out"


def test_a_job_that_does_not_say_what_old_code_is(world: World) -> None:
    world.settings |= {"select": {}, "checks": ["inside"]}
    world.tick()
    with pytest.raises(Refused, match="count does not say what old code is: add `gone"):
        guardings(world.driver(), [])


def test_a_folder_called_guard_is_another_thing(world: World) -> None:
    job = world.driver().job
    assert branch(job) == "umbau/count/guard.check"
    assert guards(job, "umbau/count/guard.check.again3")
    assert not guards(job, "umbau/count/guard") and not guards(job, "umbau/count/guard-check-12345678")
