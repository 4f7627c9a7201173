"""What Umbau asks of a place where merge requests live, and what it hears of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pipelines.data import Change, Repo

State = Literal["branch", "open", "merged", "closed"]
"""branch: it is pushed, but nothing was opened for it yet."""
AUTOMATED = "(A program, Umbau, posted this.)"
"""Ends each comment of Umbau's own."""
Place = tuple[str, str]
"""Repository and branch: where a merge request is found."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a merge request says of a change, and how it is to be opened."""

    title: str
    body: str
    """Markdown."""
    message: str
    """Of the commit."""
    labels: tuple[str, ...] = ()
    draft: bool = False
    assignees: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    """User names without `@`."""
    milestone: str = ""
    squash: bool = False
    delete_branch: bool = True
    """Once it is merged."""
    replaces: str = ""
    """A commit of somebody else that the branch may hold all the same: people said that it is to go on from there. Any
    other that Umbau did not push still stays."""


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody said on a merge request. `path` is empty when no file is meant."""

    id: str
    author: str
    text: str
    path: str = ""
    line: int = 0
    settled: bool = False
    """Somebody approved the request after this was said, or with it where a forge takes the two together."""
    thread: str = ""
    """What an answer belongs to, on forges that have threads."""
    at: float = 0.0
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the forge says of a merge request at one moment."""

    repo: str
    branch: str
    digest: str
    state: State
    url: str
    ci: Literal["none", "pending", "passed", "failed"] = "none"
    """Of the commit that the branch holds."""
    approved: bool = False
    conflicts: bool = False
    touched: bool = False
    """The branch holds a commit that Umbau did not push."""
    comments: tuple[Comment, ...] = ()
    """Those of people, not Umbau's own."""
    title: str = ""
    number: int = 0
    head: str = ""
    """The commit that the branch holds, as far as it is known."""
    draft: bool = False
    opened: float = 0.0
    """Seconds since 1970."""
    ended: float = 0.0
    """When it was merged or closed, as far as the forge tells; seconds since 1970."""
    active: float = 0.0
    """When somebody last said, approved or pushed something; seconds since 1970."""
    reviewers: tuple[str, ...] = ()
    """Who was asked to review."""
    approvers: tuple[str, ...] = ()
    """Who approved what is there now, as far as the forge tells."""
    merged: str = ""
    """The commit with which it got into its target, as far as the forge tells."""


@dataclass(frozen=True, slots=True)
class Project:
    """A repository that a forge found."""

    name: str
    """Its full path: `group/subgroup/name`."""
    url: str
    """https, to clone it from."""
    branch: str
    """Its default branch; "" when it has no commit."""
    archived: bool = False
    fork: bool = False


class NotPushed(Exception):
    """The branch stays as it is, and the message says why: it holds what somebody else put there, or the forge has no
    such project any more, or refuses."""


class ForgeError(Exception):
    """The forge did not do what it was asked to; the message says what, why and what to do. Nothing is lost: the next
    tick tries again."""


class Memory(Protocol):
    """Where a forge keeps what it must know again after a crash: the store."""

    def fact(self, key: str) -> Any:
        """Return what was kept under `key`, None when nothing was."""

    def keep(self, key: str, value: Any) -> None:
        """Keep something that JSON can hold; the first value stays."""

    def recall(self, key: str) -> Any:
        """Return what was remembered last under `key`, None when nothing was."""

    def remember(self, key: str, value: Any) -> None:
        """Remember something that JSON can hold instead of what was remembered before."""


class Forge(Protocol):
    """Where merge requests live: local, GitLab, GitHub.

    All of it is idempotent: what was done already is not done again. Raises ForgeError, and GitError where git talks
    to it.
    """

    @property
    def overview(self) -> str:
        """URL or path of the page on which a person sees all requests."""

    @property
    def me(self) -> str:
        """The user that opens requests; "" where that is none."""

    def requests(self, prefix: str, repos: Sequence[Repo]) -> Iterable[Request]:
        """Return the requests of these repositories, in any state, whose branch begins with `prefix`. Branches for
        which nothing was opened yet are told as well."""

    def push(self, change: Change, commit: str, text: Description, *, opened: bool = True) -> Request:
        """Make branch and open request hold `commit`; twice is once. With `opened=False` only the branch. Raises
        NotPushed."""

    def merge(self, request: Request) -> None:
        """Merge what was looked at, and nothing else."""

    def close(self, request: Request, why: str) -> None: ...

    def reopen(self, request: Request) -> None: ...

    def rebase(self, request: Request) -> bool:
        """Let the forge itself bring the branch to its base, so that approvals stay; False: it cannot do that."""

    def comment(self, request: Request, text: str, key: str, thread: str = "") -> None:
        """Say something on the request, or in a thread of it; under the same key it is said once."""

    def ask(self, request: Request, reviewers: Sequence[str]) -> None:
        """Ask these people, too, for a review."""

    def may_write(self, request: Request, author: str) -> bool:
        """Say whether somebody may push to the repository: whose commands are heard."""

    def log(self, request: Request) -> str:
        """Return the end of what failed CI jobs of the request printed."""

    def fetch(self, request: Request, repo: Repo) -> str:
        """Bring what the branch holds into the repository's mirror and return that commit."""


class Directory(Protocol):
    """A forge that can be asked which repositories there are."""

    def projects(self, wanted: Any) -> Iterable[Project]:
        """Return those that a job's `gitlab:` or `github:` source asks for. Raises ForgeError."""
