"""What the YAML says of merge requests: where they are opened, how they look, how many at a time, how they are looked
after."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from pipelines.strict import HasHost, Short, Strict

Variable = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]*$")]
User = Annotated[str, Field(pattern=r"^[\w][\w.-]*$", max_length=255)]
"""A user's name on the forge, without `@`."""
Url = Annotated[str, Field(pattern=r"^https?://[^\s@?#]+$"), HasHost]
_TIME = r"([01]\d|2[0-3]):[0-5]\d"
Window = Annotated[
    str,
    Field(pattern=rf"^(mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))? {_TIME}-{_TIME}$"),
]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PydanticCustomError("time_zone", "no such time zone; write one such as `Europe/Berlin`") from None
    return name


class GitLab(Short):
    url: Url = "https://gitlab.com"
    token_from: Variable = "GITLAB_TOKEN"
    """The environment variable that holds the token. The token itself never stands in a job."""
    helper: str = ""
    """A git credential helper that is asked for the token instead, such as `store` or `cache`."""


class App(Strict):
    """A GitHub App, installed for the owner of the repositories."""

    id: int = Field(ge=1)
    installation: int = Field(ge=1)
    key_from: Variable = "GITHUB_APP_KEY"
    """The environment variable that holds the App's private key (PEM), or the path of its file."""


class GitHub(Short):
    url: Url = "https://github.com"
    """Of GitHub Enterprise: that of its web pages."""
    token_from: Variable = "GITHUB_TOKEN"
    helper: str = ""
    app: App | None = None


class _Query(Strict):
    include: list[str] = Field(default=[])
    """Globs of full paths, such as `platform/*`; all when none is given."""
    exclude: list[str] = Field(default=[])


class GitLabQuery(_Query):
    group: str = ""
    """Full path; its subgroups count as well. All that the token sees when not given."""
    topics: list[str] = Field(default=[])
    archived: bool = False
    visibility: Literal["", "public", "internal", "private"] = ""
    search: str = ""


class GitHubQuery(_Query):
    owner: str = Field(min_length=1)
    """Organisation or user."""
    topics: list[str] = Field(default=[])
    language: str = ""
    search: str = ""
    """Further words of GitHub's repository search."""
    archived: bool = False


class Group(Strict):
    by: Literal["repository", "directory", "owner", "file", "symbol"] = "directory"
    max_files: int = Field(default=25, ge=1, le=10_000)


class Reviewers(Strict):
    named: list[User] = Field(default=[])
    owners: bool = False
    """Those whom CODEOWNERS names for the files of the request as well."""
    most: int = Field(default=2, ge=1, le=100)
    """Of those: the ones with the fewest open requests of the job."""


class Tending(Strict):
    """How Umbau looks after what it opened."""

    ci_attempts: int = Field(default=3, ge=0, le=100)
    """Times that a failed pipeline of a request is answered with a repair."""
    rebase: Literal["conflicted", "behind"] = "conflicted"
    """When a request is brought to where its base is now."""
    remind: float = Field(default=0.0, ge=0, le=365)
    """Days of silence after which the request says so; as many days later another reviewer is asked. 0: never."""
    maintainers: list[User] = Field(default=[])
    """Who may confirm what `/umbau apply-to-all` asks for."""


class MergeRequest(Strict):
    """Text is a Jinja template; the README names the facts that it is given."""

    group: Group = Group()
    branch: str = "umbau/{{ job }}/{{ group }}"
    title: str = "{{ job }}: {{ group }}"
    body: str = ""
    """What stands above the facts; `description` when not given."""
    message: str = ""
    """Of the commit; title and body when not given."""
    trailers: list[str] = Field(default=[])
    """Of the commit message, after Umbau's own, such as `Refs: OPS-17`."""
    assisted_by: str = "Umbau:{{ writer }}{% for tool in tools %} {{ tool }}{% endfor %}"
    """The trailer `Assisted-by` of the commit, one for each model that wrote parts of it, which is `writer`. "" leaves
    it out, if the site allows that."""
    model_label: str = "ai-generated"
    """A label that a request gets when a model wrote parts of it; "": none."""
    sign_from: str = Field(default="", pattern=r"^([A-Z_][A-Z0-9_]*)?$")
    """The environment variable that holds the path of an SSH key with which commits are signed."""
    labels: list[str] = Field(default=[])
    assignees: list[User] = Field(default=[])
    reviewers: Reviewers = Reviewers()
    milestone: str = ""
    draft: bool = False
    squash: bool = False
    delete_branch: bool = True
    """Once it is merged."""
    merge: Literal["never", "approved", "green"] = "never"
    """Whether Umbau merges what is approved and not red, or what is green without anybody's approval."""
    tend: Tending = Tending()
    author: str = Field(default="Umbau <umbau@localhost.invalid>", pattern=r"^[^<>\s][^<>\n]* <[^<>\s@]+@[^<>\s@]+>$")
    """Of the commits, who also commits them. Forges show a signature as good only when the address is of the account
    that the key belongs to, and push rules may ask for a known one."""


class Rollout(Strict):
    """How fast merge requests are opened. What waits is told, with the reason."""

    per_hour: int = Field(default=0, ge=0)
    """0: no limit; likewise for the others."""
    max_open: int = Field(default=0, ge=0)
    max_open_per_owner: int = Field(default=0, ge=0)
    """Owner: those whom CODEOWNERS names for most of its files; where there are none, who owns the repository."""
    max_pending_pipelines: int = Field(default=0, ge=0)
    windows: list[Window] = Field(default=[])
    """When requests may be opened, such as `mon-fri 09:00-17:00`; always when none is given."""
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    open_when: Literal["at_once", "green"] = "at_once"
    """green: the branch is pushed first, and the request opened once its pipeline has passed."""
    after: dict[str, list[str]] = Field(default={})
    """Globs of repositories to globs of those whose requests must be merged before: `"apps/*": ["libs/*"]`."""
    pause_at: float = Field(default=0.0, ge=0, le=1)
    """Share of requests that were closed by people or are red, of at least ten, at which nothing more is opened."""


class Guard(Strict):
    """How repositories are checked for what the job has replaced: `umbau guard`."""

    pre_commit: bool = False
    """Whether a repository without a `.pre-commit-config.yaml` gets one."""
    image: str = Field(default="python:3.13", pattern=r"^[A-Za-z0-9][\w.:/@-]*$")
    """Of the job on GitLab: one with Python and git."""
    tags: list[str] = Field(default=[])
    """Of the runners on GitLab."""
    runs_on: str = Field(default="ubuntu-latest", pattern=r"^[\w][\w. -]*$")
    """Of the job on GitHub: a runner with Python."""
