"""Which repositories an organisation or a user has on GitHub."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from github.Repository import Repository

from pipelines.forge import ForgeError, Project
from pipelines.forges.github.client import Client, Refusal
from pipelines.publishing import GitHubQuery

SEARCHED = 1000  # results, of however many, that GitHub's search tells
SOON = timedelta(minutes=1)  # within which the first push may belong to the making of a repository


def projects(client: Client, wanted: GitHubQuery) -> Iterator[Project]:
    """Yield the owner's repositories that have all topics and the language asked for. Forks, archived and empty ones
    are among them and marked. Raises ForgeError."""
    for one in client.read(wanted.owner, lambda: _searched(client, wanted) if wanted.search else _all(client, wanted)):
        topics = {topic.lower() for topic in one.topics or ()}
        if {topic.lower() for topic in wanted.topics} <= topics and _spoken(one, wanted.language):
            branch = "" if _empty(client, one) else one.default_branch or ""
            yield Project(one.full_name, one.clone_url.removesuffix(".git"), branch, one.archived, one.fork)


def _all(client: Client, wanted: GitHubQuery) -> list[Repository]:
    owner = client.hub.get_user(wanted.owner)
    if owner.type == "Organization":
        return list(client.hub.get_organization(wanted.owner).get_repos(type="all"))
    if owner.login.lower() == client.login.lower():  # only there private ones are told
        return list(client.hub.get_user().get_repos(affiliation="owner"))
    return list(owner.get_repos(type="owner"))


def _searched(client: Client, wanted: GitHubQuery) -> list[Repository]:
    """Raises ForgeError when GitHub would tell only a part: what is missing would look as if it were not there."""
    words = [wanted.search, f"user:{wanted.owner}", "fork:true", *(f"topic:{topic}" for topic in wanted.topics)]
    words += [f'language:"{wanted.language}"'] if wanted.language else []
    found = client.hub.search_repositories(" ".join(words))
    if (count := found.totalCount) > SEARCHED:
        raise ForgeError(
            f"{wanted.owner}: GitHub finds {count:,} repositories and tells the first {SEARCHED:,}: narrow `search`, "
            "or leave it out: topics and language need no search"
        )
    return list(found)


def _spoken(one: Repository, language: str) -> bool:
    return not language or (one.language or "").lower() == language.lower()


def _empty(client: Client, one: Repository) -> bool:
    """Say whether a repository has no commit. Small ones have the same size, so those are asked."""
    if one.size or (one.pushed_at and one.created_at and one.pushed_at > one.created_at + SOON):
        return False
    try:
        return not client.read(one.full_name, lambda: _some(one.get_branches()))
    except Refusal as why:
        if why.status == 409:  # "Git Repository is empty."
            return True
        raise


def _some(listed: Iterable[object]) -> bool:
    return next(iter(listed), None) is not None
