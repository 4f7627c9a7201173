"""Merge requests on GitLab: gitlab.com, and instances that a company runs itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from pipelines.data import Change, Repo, digest
from pipelines.forge import Description, ForgeError, Memory, NotPushed, Project, Request
from pipelines.forges.gitlab import log as gitlab_log
from pipelines.forges.gitlab import projects as gitlab_projects
from pipelines.forges.gitlab import words as gitlab_words
from pipelines.forges.gitlab.api import Api, Json, Refusal, Unsure, project
from pipelines.forges.gitlab.look import Look
from pipelines.forges.gitlab.people import People
from pipelines.forges.gitlab.push import Opening
from pipelines.forges.gitlab.pushed import Pushed
from pipelines.forges.gitlab.rebase import Rebase
from pipelines.forges.remote import Branches, key_of, keyed
from pipelines.publishing import GitLab, GitLabQuery
from pipelines.transport import Access

IN_A_ROW = 3  # repositories without an answer, after which GitLab itself is taken to be away


class GitLabForge:
    """A forge and a directory. `repo.name` is the project's full path, `repo.source` its https URL."""

    def __init__(
        self,
        settings: GitLab,
        token: Callable[[], str],
        access: Callable[[], Access],
        memory: Memory,
        home: Path,
        *,
        pace: float = 1.0,
        patience: float = 60.0,
        quiet: float = 60.0,
    ) -> None:
        """In seconds: `pace`, between two writes; `patience`, that an answer may take; `quiet`, after a push, in which
        its pipeline may not have been created yet."""
        turns = home / "turns"
        self._api = Api(settings, token, turns, pace=pace, patience=patience)
        self._access, self._memory = access, memory
        self._people = People(self._api, memory)
        self._pushed = Pushed(memory, self._api.url, turns)
        self._patience, self._quiet = patience, quiet
        self.trouble: dict[str, str] = {}
        """Repositories that could not be asked the last time, to the reason: their requests are told as they were
        remembered, and nothing is pushed to them until they have been asked again."""

    @property
    def overview(self) -> str:
        me = self._people.last
        mine = f"?scope=all&state=opened&author_username={quote(me)}" if me else ""
        return f"{self._api.url}/dashboard/merge_requests{mine}"

    @property
    def me(self) -> str:
        return str(self._people.me["username"])

    def requests(self, prefix: str, repos: Sequence[Repo]) -> Iterator[Request]:
        """What goes wrong with one repository is kept in `trouble`, and the others are told. Raises ForgeError when
        GitLab does not take the token, or does not answer at all."""
        self.trouble = {}
        silent = 0
        look = Look(self._api, self._people, self._branches, self._memory, self._pushed, quiet=self._quiet)
        _ = self._people.me  # a token that is not taken, or a GitLab that is away, is no repository's trouble
        for repo in repos:
            try:
                found, silent = look.current(repo, prefix), 0
            except ForgeError as why:
                silent = silent + 1 if isinstance(why, Unsure) else 0
                if silent == IN_A_ROW or (isinstance(why, Refusal) and why.status == 401):
                    raise
                self.trouble[repo.name] = str(why)
                found = look.remembered(repo, prefix)
            yield from found

    def push(self, change: Change, commit: str, text: Description, *, opened: bool = True) -> Request:
        if why := self.trouble.get(change.repo.name):
            raise NotPushed(why)
        return Opening(self._api, self._people, self._branches, self._pushed).push(change, commit, text, opened=opened)

    def merge(self, request: Request) -> None:
        """What was merged already stays merged. Raises ForgeError when it is not what was looked at, or cannot be
        merged now."""
        if not request.head:
            raise ForgeError(f"{request.url}: it is not known what its branch holds")
        try:
            self._api.put(request.repo, "merge", f"{_path(request)}/merge", {"sha": request.head})
        except Unsure:
            if (there := self._there(request))["state"] != "merged" or there["sha"] != request.head:
                raise
        except Refusal as why:
            there = self._there(request)
            if why.status == 401:  # of this one call: https://docs.gitlab.com/api/merge_requests/#merge-a-merge-request
                raise ForgeError(f"{request.url}: the token may not merge into the base branch") from None
            if there["state"] == "merged" and there["sha"] == request.head:
                return
            raise ForgeError(f"{request.url} cannot be merged: {gitlab_words.unmerged(there, request, why)}") from None

    def close(self, request: Request, why: str) -> None:
        """Say why, then close; what is not open stays as it is. A branch without a request is let go."""
        if request.state == "branch":
            self._pushed.set_aside(request.repo, request.branch, None)
        elif self._there(request)["state"] == "opened":
            self.comment(request, why, f"close {request.head} {digest(why)[:16]}")
            self._changed(request, "close", {"state_event": "close"}, "closed")

    def reopen(self, request: Request) -> None:
        if self._there(request)["state"] == "closed":
            self._changed(request, "reopen", {"state_event": "reopen"}, "opened")

    def rebase(self, request: Request) -> bool:
        """False: it conflicts, or somebody pushed, or there is no request for it yet."""
        return request.state != "branch" and Rebase(self._api, self._people, self._branches, self._pushed).rebase(
            request
        )

    def comment(self, request: Request, text: str, key: str, thread: str = "") -> None:
        """Said twice under one key is said once, also when the answer to the first did not come: as long as that may
        still be under way, nothing is said."""
        fact = f"said {self._api.url} {request.repo} {request.number} {key}"
        if self._memory.fact(fact):
            return
        if not self._said(request, key):
            if self._api.now() - float(self._memory.recall(fact) or 0.0) < 2 * self._patience:
                raise ForgeError(f"{request.url}: it is not known yet whether a comment arrived: the next tick looks")
            path = (
                f"{_path(request)}/discussions/{quote(thread, safe='')}/notes" if thread else f"{_path(request)}/notes"
            )
            try:
                self._say(request, path, keyed(text, key))
            except Unsure:
                self._memory.remember(fact, self._api.now())
                if not self._said(request, key):
                    raise
        self._memory.keep(fact, True)

    def ask(self, request: Request, reviewers: Sequence[str]) -> None:
        held = [int(user["id"]) for user in self._there(request).get("reviewers") or []]
        ids, strangers = self._people.ids(reviewers)
        if new := [one for one in ids.values() if one not in held]:
            self._api.put(request.repo, "ask for reviews", _path(request), {"reviewer_ids": [*held, *new]})
        if strangers:
            raise ForgeError(f"{request.url}: GitLab knows nobody named {', '.join(strangers)}")

    def may_write(self, request: Request, author: str) -> bool:
        return self._people.may_write(request.repo, author)

    def log(self, request: Request) -> str:
        if request.state == "branch":
            of = {"ref": request.branch, "sha": request.head, "order_by": "id", "sort": "desc"}
            runs = self._api.list(request.repo, f"{project(request.repo)}/pipelines", **of)
            pipeline = runs[0]["id"] if runs else 0
        else:
            pipeline = (self._there(request).get("head_pipeline") or {}).get("id")
        return gitlab_log.log(self._api, request.repo, int(pipeline)) if pipeline else ""

    def fetch(self, request: Request, repo: Repo) -> str:
        return self._branches.fetch(repo, repo.source, request.branch)

    def projects(self, wanted: GitLabQuery) -> Iterator[Project]:
        return gitlab_projects.projects(self._api, wanted)

    @property
    def _branches(self) -> Branches:
        return Branches(self._memory, self._access())  # anew: tokens end

    def _there(self, request: Request, **query: str) -> Json:
        return self._api.get(request.repo, _path(request), **query)

    def _changed(self, request: Request, what: str, data: Json, state: str) -> None:
        try:
            self._api.put(request.repo, f"{what} merge requests", _path(request), data)
        except Unsure:
            if self._there(request)["state"] != state:
                raise

    def _said(self, request: Request, key: str) -> bool:
        """Say whether a note of ours has this key. Who quotes us quotes the key as well: the author counts."""
        me, wanted = self._people.me["id"], key_of(keyed("", key))
        notes = self._api.list(request.repo, f"{_path(request)}/notes", sort="desc", order_by="created_at")
        return any(note["author"]["id"] == me and key_of(note["body"]) == wanted for note in notes)

    def _say(self, request: Request, path: str, body: str) -> None:
        try:
            self._api.post(request.repo, "comment", path, {"body": body})
        except Refusal as why:
            if why.status != 404 or "/discussions/" not in path:
                raise
            self._say(request, f"{_path(request)}/notes", body)  # the thread is gone


def _path(request: Request) -> str:
    return f"{project(request.repo)}/merge_requests/{request.number}"
