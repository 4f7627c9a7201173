"""Finds projects in GitLab."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from pipelines.forge import Project
from pipelines.forges.gitlab.api import Api, Json
from pipelines.publishing import GitLabQuery


def projects(api: Api, wanted: GitLabQuery) -> Iterator[Project]:
    """Yield projects of a group and its subgroups, or all that the token's user is a member of: on an instance such as
    gitlab.com anybody can see millions. Archived ones and forks are marked: whoever leaves them out says so. Raises
    ForgeError."""
    query: Json = {"order_by": "id", "sort": "asc"}
    query |= {"topic": ",".join(wanted.topics)} if wanted.topics else {}
    query |= {name: value for name in ("search", "visibility") if (value := getattr(wanted, name))}
    if wanted.group:
        path = f"/groups/{quote(wanted.group, safe='')}/projects"
        query |= {"include_subgroups": "true", "with_shared": "false"}
    else:
        path = "/projects"
        query |= {"membership": "true", "pagination": "keyset"}
    for found in api.list(wanted.group or api.url, path, **query):
        if set(wanted.topics) <= {*(found.get("topics") or found.get("tag_list") or [])}:
            yield _project(found)


def _project(found: Json) -> Project:
    return Project(
        found["path_with_namespace"],
        found["http_url_to_repo"],
        "" if found.get("empty_repo") else found.get("default_branch") or "",
        archived=bool(found.get("archived")),
        fork=bool(found.get("forked_from_project")),
    )
