"""Which repositories are found, and where a person sees all requests."""

from __future__ import annotations

import pytest

from pipelines.forge import ForgeError, Project
from pipelines.publishing import GitHubQuery
from tests.pipelines.forges.github.conftest import World
from tests.pipelines.forges.github.double import Fault


@pytest.mark.parametrize(
    ("query", "names"),
    [
        (GitHubQuery(owner="guild"), {"api", "web", "old", "new"}),
        (GitHubQuery(owner="guild", topics=["python"]), {"api", "web", "old"}),
        (GitHubQuery(owner="guild", topics=["Python", "web"]), {"api"}),
        (GitHubQuery(owner="guild", language="python"), {"api", "old", "new"}),
        (GitHubQuery(owner="guild", search="old"), {"old"}),
    ],
)
def test_an_organisations_repositories(world: World, query: GitHubQuery, names: set[str]) -> None:
    found = list(world.forge.projects(query))
    assert {one.name for one in found} == {f"guild/{name}" for name in names}
    searched = any(call.path.startswith("/search") for call in world.site.calls)
    assert searched == bool(query.search)


def test_empty_ones_have_no_branch(world: World) -> None:
    found = {one.name: one for one in world.forge.projects(GitHubQuery(owner="guild"))}
    assert found["guild/new"] == Project("guild/new", f"{world.site.url}/guild/new", "")
    assert found["guild/api"].branch == "main"


def test_a_users_repositories(world: World) -> None:
    assert world.name in {one.name for one in world.forge.projects(GitHubQuery(owner="acme"))}
    assert list(world.forge.projects(GitHubQuery(owner="umbau"))) == []


def test_more_than_the_search_tells_is_refused(world: World) -> None:
    many = b'{"total_count": 2345, "incomplete_results": false, "items": []}'
    world.site.faults.append(Fault("GET .*/search/", status=200, body=many, times=9))
    with pytest.raises(ForgeError, match="2,345"):
        list(world.forge.projects(GitHubQuery(owner="guild", search="x")))


def test_an_owner_who_is_not_there_is_told(world: World) -> None:
    with pytest.raises(ForgeError, match="nobody-here"):
        list(world.forge.projects(GitHubQuery(owner="nobody-here")))


def test_all_requests_of_ours_on_one_page(world: World) -> None:
    assert world.forge.overview == f"{world.site.url}/pulls?q=is%3Apr%20author%3Aumbau"
