from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.data import Change, Repo
from pipelines.forge import Request
from pipelines.job import Job, Source
from pipelines.people import candidates, load, owner, owner_of_repo
from pipelines.repos import resolve
from tests.conftest import Checkout

OPEN = Request("r", "b", "d", "open", "url", reviewers=("cy", "di"))


@pytest.fixture
def repo(home: Path, checkout: Callable[..., Checkout]) -> Repo:
    made = checkout({"CODEOWNERS": "a/ @platform\n*.md @ada\n", "x.py": "x = 1\n"})
    return resolve(Source(git=str(made.folder)), home, home)


def change(repo: Repo, *paths: str) -> Change:
    return Change("j", repo, "umbau/j/a", "a", (), dict.fromkeys(paths, "x"))


def test_most_of_its_files_say_whose_a_request_is(repo: Repo) -> None:
    assert owner(change(repo, "a/x.py", "a/y.py", "b.md")) == "@platform"
    assert owner(change(replace(repo, name="shop/web/till"), "x.py")) == "shop/web"


@pytest.mark.parametrize(("name", "whose"), [("shop/till", "shop"), ("a/b/c", "a/b"), ("billing", "billing")])
def test_a_repository_without_owners_is_its_groups(name: str, whose: str) -> None:
    assert owner_of_repo(name) == whose


def test_who_has_least_to_do_comes_first(repo: Repo) -> None:
    request = {"reviewers": {"named": ["cy", "di"], "owners": True, "most": 1}}
    said = {"name": "j", "repos": [{"git": "."}], "steps": [{"shell": "true"}], "merge_request": request}
    busy = load([OPEN, replace(OPEN, reviewers=("cy",)), replace(OPEN, state="merged")])
    assert busy == {"cy": 2, "di": 1}
    assert list(candidates(Job.model_validate(said), change(repo, "b.md"), busy, "")) == ["ada", "di", "cy"]
