"""From what a job says under `repos` to plain sources: lists are read, and forges are asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import ValidationError

from pipelines.forge import Directory, ForgeError, Project
from pipelines.job import Source
from pipelines.publishing import GitHubQuery, GitLabQuery
from pipelines.repos import NoRepo, address, named
from pipelines.transport import Access, path_below, ssh_parts

MAX_BYTES = 16 << 20  # of a list
TWICE = "repository is named twice"
ARCHIVED = "repository is archived"

Query = GitLabQuery | GitHubQuery


@dataclass(frozen=True, slots=True)
class Site:
    """The forge of a job as a place of repositories; empty for the local one."""

    kind: Literal["", "gitlab", "github"] = ""
    url: str = ""
    access: Callable[[], Access] | None = None
    """Is called when there is something to get into."""
    directory: Directory | None = None
    publishes: bool = True
    """Whether merge requests will be opened there, so that what lies elsewhere is of no use."""

    def into(self, url: str) -> Access | None:
        """Return how git gets to a URL, None when it lies elsewhere."""
        return self.access() if self.access and path_below(self.url, url) is not None else None

    def has(self, source: Source) -> bool:
        """Say whether a repository lies there."""
        found = ssh_parts(source.git)
        return path_below(self.url, source.git) is not None or bool(found and found[0] == urlsplit(self.url).hostname)


@dataclass(frozen=True, slots=True)
class Discovered:
    sources: tuple[Source, ...] = ()
    """Each with `git` or `pypi`, in the order of the job; what a forge found, in that of the names."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Repository to the reason."""
    trouble: Mapping[str, str] = field(default_factory=dict)
    """Repository, line of a list, or what was asked for, to what is wrong with it."""


def discover(wanted: Sequence[Source], folder: Path, site: Site) -> Discovered:
    """Find the repositories of a job. `folder`: what local paths are relative to. What goes wrong is told, and the
    others are found."""
    left_out: dict[str, str] = {}
    trouble: dict[str, str] = {}
    found: list[Source] = []
    plain: set[Source] = set()

    def name(source: Source) -> str:
        return named(source, folder, site.url)

    # What the job names itself comes first, with the branch that it says.
    known = {name(source).casefold() for source in wanted if _plain(source)}
    for source in wanted:
        if _plain(source):
            if source in plain:
                left_out[name(source)] = TWICE
            else:
                found.append(source)
            plain.add(source)
            continue
        for one in _listed(source, folder, trouble) if source.list else _asked(source, site, left_out, trouble):
            if name(one).casefold() in known:
                left_out[name(one)] = TWICE
            else:
                found.append(one)
            known.add(name(one).casefold())
    if site.url and site.publishes:
        elsewhere = f"is not on {site.url}, where the job opens merge requests: give it a job of its own"
        trouble |= {name(source): elsewhere for source in found if not site.has(source)}
        found = [source for source in found if site.has(source)]
    return Discovered(tuple(found), left_out, trouble)


def _plain(source: Source) -> bool:
    return bool(source.git or source.pypi)


def _listed(source: Source, folder: Path, trouble: dict[str, str]) -> Iterator[Source]:
    """Yield what a list names: a repository in each line."""
    try:
        with (folder / source.list).open("rb") as data:
            text = data.read(MAX_BYTES).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        why = (error.strerror if isinstance(error, OSError) else "") or "it is no UTF-8 text"
        trouble[source.list] = f"the list cannot be read: {why}"
        return
    for number, given in listed(text):
        try:
            address(given, folder)
            yield Source(git=given, branch=source.branch)
        except (NoRepo, ValidationError) as why:
            trouble[f"{source.list}:{number}"] = str(why)


def listed(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number of a line, and the repository that it names."""
    for number, line in enumerate(text.split("\n"), 1):
        if given := re.sub(r"(^|\s)#.*", "", line).strip():
            yield number, given


def _asked(source: Source, site: Site, left_out: dict[str, str], trouble: dict[str, str]) -> Iterator[Source]:
    """Yield what a forge finds, in the order of the names, whatever the order of its answers."""
    query = source.gitlab or source.github
    kind = "gitlab" if source.gitlab else "github"
    assert site.directory and site.kind == kind and query, "the job's schema has checked it"
    projects: dict[str, Project] = {}
    try:
        for project in site.directory.projects(query):
            projects[project.name] = project
    except ForgeError as why:  # what was found before is worked on; of the others all stays as it was
        trouble[_words(kind, query)] = str(why)
    for name, project in sorted(projects.items(), key=lambda item: (item[0].casefold(), item[0])):
        if reason := _unwanted(project, query):
            left_out[name] = reason
        else:
            yield Source(git=project.url, branch=source.branch or project.branch)


def _unwanted(project: Project, query: Query) -> str:
    """Return why a repository that was found is left out, "" when it is not."""
    if query.include and not _fits(project.name, query.include):
        return "repository is not in `include`"
    if _fits(project.name, query.exclude):
        return "repository is in `exclude`"
    if project.archived and not query.archived:
        return ARCHIVED
    if project.fork:
        return "repository is a fork"
    return "" if project.branch else "repository has no commit"


def _fits(name: str, globs: Sequence[str]) -> bool:
    """Say whether a full path fits a glob, in which `*` stands for any text, slashes included. Forges do not tell upper
    case from lower."""
    return any(fnmatchcase(name.casefold(), glob.casefold()) for glob in globs)


def _words(kind: str, query: Query) -> str:
    said = [f"{key} {value}" for key, value in query.model_dump(exclude_defaults=True).items()]
    return ", ".join([kind, *said])
