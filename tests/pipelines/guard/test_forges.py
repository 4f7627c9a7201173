"""A guard's request on GitLab and on GitHub: opened once, and seen again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.commit import commit
from pipelines.describe import describe
from pipelines.guard.change import guarding, guards
from pipelines.job import Job
from tests.conftest import Checkout
from tests.pipelines.forges.github import conftest as github
from tests.pipelines.forges.github.conftest import World, description, emulator
from tests.pipelines.forges.github.conftest import site as hub
from tests.pipelines.forges.gitlab.double import GitLabDouble
from tests.pipelines.forges.gitlab.site import NAME, Site

__all__ = ["description", "emulator", "hub"]
SAID = {"name": "j", "repos": [{"git": "."}], "steps": [{"shell": "true"}], "select": {"contains": "old"}}


@pytest.fixture
def lab(tmp_path: Path, checkout: Callable[..., Checkout]) -> Iterator[Site]:
    source = checkout({"src/a.py": "old = 1\n", ".gitlab-ci.yml": "stages: [a]\n"})
    with GitLabDouble(tmp_path / "gitlab") as double:
        yield Site(double, tmp_path, source.folder)


def test_on_gitlab(lab: Site) -> None:
    job = Job.model_validate({**SAID, "forge": "gitlab", "merge_request": {"labels": ["umbau"]}})
    change = guarding(job, lab.repo, "https://gitlab.example.eu/1")
    assert change.whole[".gitlab-ci.yml"] == "stages: [a]\ninclude:\n- local: /.gitlab/umbau-guard-j.yml\n"
    text = describe(job, change, comments=True)
    head = commit(lab.repo, change.whole, text.message)
    requests = [lab.again().push(change, head, text) for _ in range(2)]
    assert {(one.number, one.state, one.title) for one in requests} == {(1, "open", "j: keep it done")}
    (seen,) = lab.look("umbau/j/")
    assert guards(job, seen.branch) and (seen.digest, seen.touched) == (change.digest, False)
    held = lab.double.at(NAME)
    assert lab.there.labels == ["umbau"] and "A person asked for it with `umbau guard`" in lab.there.description
    assert held.head(seen.branch) == head


@pytest.fixture
def world(hub: github.Site, home: Path, checkout: Callable[..., Checkout], description: object) -> World:
    name = f"acme/billing{hub.account}"
    made = checkout({"app.py": "old = 1\n", ".pre-commit-config.yaml": "repos: []\n"}, "billing")
    hub.new(name, made.folder)
    return World(hub, home, name, made)


def test_on_github(world: World) -> None:
    job = Job.model_validate({**SAID, "forge": "github"})
    change = guarding(job, world.repo)
    assert set(change.whole) == {
        ".github/workflows/umbau-guard-j.yml",
        ".pre-commit-config.yaml",
        ".umbau-guard/j/allowed.json",
        ".umbau-guard/j/check",
    }
    text = describe(job, change, comments=True)
    head = commit(world.repo, change.whole, text.message)
    requests = [world.again().push(change, head, text) for _ in range(2)]
    assert {(one.number, one.state) for one in requests} == {(1, "open")}
    (seen,) = world.tick().values()
    assert guards(job, seen.branch) and (seen.digest, seen.touched, seen.head) == (change.digest, False, head)
