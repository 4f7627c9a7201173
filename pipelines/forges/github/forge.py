"""GitHub and GitHub Enterprise as a forge, through PyGithub. Importing it takes most of a second: only for jobs that
use it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import sleep
from urllib.parse import quote

from operators.proc import GitError
from pipelines.data import Change, Repo
from pipelines.forge import Description, ForgeError, Memory, NotPushed, Project, Request
from pipelines.forges.github.client import Client, Refusal, Unreachable
from pipelines.forges.github.directory import projects
from pipelines.forges.github.lookup import Lookup
from pipelines.forges.github.open import Opener
from pipelines.forges.github.pushed import Ledger
from pipelines.forges.github.say import Speaker
from pipelines.forges.github.watch import Watch
from pipelines.forges.remote import Branches
from pipelines.publishing import GitHub, GitHubQuery
from pipelines.transport import Access

GIVEN_UP = 2  # repositories in a row without any answer, after which the others are not asked
UPDATES = 10  # times, a second apart, that it is looked whether GitHub has merged the base branch in


class GitHubForge:
    """Pull requests of one account on one site. `home` holds whose turn it is to write, for all processes;
    `pace`: seconds between two writes."""

    def __init__(
        self,
        settings: GitHub,
        token: Callable[[], str],
        access: Callable[[], Access],
        memory: Memory,
        home: Path,
        *,
        pace: float = 1.0,
    ) -> None:
        self._site = settings.url.rstrip("/")
        self._client = Client(settings, token, home / "turns", pace)
        self._lookup = Lookup(self._client)
        self._branches = partial(_branches, memory, access)
        self._ledger = Ledger(memory, self._branches, self._site)
        self._watch = Watch(self._client, self._lookup, memory, self._branches, self._ledger, self._site)
        self._opener = Opener(self._client, self._lookup, self._branches, self._ledger)
        self._speaker = Speaker(self._client, memory, self._site)
        self.trouble: dict[str, str] = {}
        """Repository to the reason why `requests` could not ask it: what it told of that one is from before."""

    @property
    def overview(self) -> str:
        """The search for requests of ours. Raises ForgeError."""
        login = self._client.login
        who = f"app/{login.removesuffix('[bot]')}" if login.endswith("[bot]") else login
        return f"{self._site}/pulls?q={quote(f'is:pr author:{who}')}"

    @property
    def me(self) -> str:
        """Raises ForgeError."""
        return self._client.login

    def requests(self, prefix: str, repos: Sequence[Repo]) -> Iterator[Request]:
        """Yield the requests of the repositories, one after another. One that cannot be asked is in `trouble`; then
        what is remembered of it is told. Of each, five listings are asked for, and details of what has changed. Those
        that were not asked for longest come first: an hour's limit may end before all are."""
        self.trouble, unanswered = {}, 0
        for repo in sorted(repos, key=lambda one: self._watch.looked(one.name, prefix)):
            try:
                if unanswered < GIVEN_UP:
                    yield from list(self._watch.look(repo, prefix))
                    unanswered = 0
                    continue
                self.trouble[repo.name] = "it was not asked: others before it got no answer"
            except (ForgeError, GitError, NotPushed) as why:
                self.trouble[repo.name] = str(why)
                unanswered = unanswered + 1 if isinstance(why, Unreachable) else 0
            yield from self._watch.remembered(repo, prefix)

    def push(self, change: Change, commit: str, text: Description, *, opened: bool = True) -> Request:
        """Raises NotPushed, ForgeError, GitError."""
        repo = change.repo
        if repo.name in self.trouble:
            raise NotPushed(f"{repo.name} could not be asked what it has already: {self.trouble[repo.name]}")
        pull = self._opener.push(change, commit, text, opened)
        if pull is None:
            return self._watch.unopened(repo, change.branch, commit)
        return self._watch.take(repo, pull)

    def merge(self, request: Request) -> None:
        """Merge it if it still holds what was looked at, and delete its branch if it was opened so and holds nothing
        else. Raises ForgeError."""
        name, repository = request.repo, self._client.repository(request.repo)
        pull, pushed = repository.get_pull(request.number), self._ledger.of(request.repo, request.branch)
        allowed = {
            "merge": repository.allow_merge_commit,
            "squash": repository.allow_squash_merge,
            "rebase": repository.allow_rebase_merge,
        }
        ways = ("squash", "merge", "rebase") if pushed.squash else ("merge", "squash", "rebase")
        way = next((one for one in ways if allowed[one] is not False), ways[0])
        try:
            self._client.write(name, lambda: pull.merge(merge_method=way, sha=request.head))
        except Refusal as why:
            if why.status not in {405, 409} or not self._merged(request):
                raise ForgeError(f"{request.url} cannot be merged: {why}") from None
        if pushed.delete_branch:
            self._delete(request)

    def close(self, request: Request, why: str) -> None:
        """Close it and say why; of a branch for which nothing was opened yet, delete it if it holds what was looked
        at. Raises ForgeError."""
        if request.state == "branch":
            self._delete(request)
        elif request.state == "open":
            self.comment(request, why, f"close {request.digest} {hashlib.sha256(why.encode()).hexdigest()}")
            self._state(request, "closed")

    def reopen(self, request: Request) -> None:
        """Raises ForgeError."""
        if request.state == "closed":
            try:
                self._state(request, "open")
            except Refusal as why:
                gone = " Its branch may be gone, or hold other commits." if why.status == 422 else ""
                raise ForgeError(f"{request.url} cannot be opened again: {why}{gone}") from None

    def rebase(self, request: Request) -> bool:
        """Let GitHub merge the base branch in, so that approvals stay unless the repository dismisses them. False when
        it refuses, as where they conflict, and for a branch without a request. Raises ForgeError."""
        if request.state == "branch":
            return False
        name, repository = request.repo, self._client.repository(request.repo)
        pull = repository.get_pull(request.number)
        ask = f"{pull.url}/update-branch"
        body = {"expected_head_sha": request.head}
        put = self._client.hub.requester.requestJsonAndCheck
        try:
            self._client.write(name, lambda: put("PUT", ask, input=body))
        except Refusal as why:
            if why.status == 422:
                return False
            raise
        for _ in range(UPDATES):  # it is done when it was answered already; `requests` sees whose commit it is
            if self._client.read(name, lambda: repository.get_pull(request.number).head.sha) != request.head:
                break
            sleep(1)
        return True

    def comment(self, request: Request, text: str, key: str, thread: str = "") -> None:
        """Raises ForgeError."""
        self._speaker.say(request, text, key, thread)

    def ask(self, request: Request, reviewers: Sequence[str]) -> None:
        """Raises ForgeError when somebody of them cannot be asked; the others are."""
        repository = self._client.repository(request.repo)
        left = self._opener.ask(repository, request.repo, request.number, reviewers, request.reviewers)
        if left:
            raise ForgeError(f"{request.url} has no {'; no '.join(left)}")

    def may_write(self, request: Request, author: str) -> bool:
        """Raises ForgeError."""
        return self._lookup.may_write(request.repo, author)

    def log(self, request: Request) -> str:
        """Raises ForgeError."""
        return self._watch.checks.log(self._client.repository(request.repo), request.repo, request.head)

    def fetch(self, request: Request, repo: Repo) -> str:
        """Raises GitError."""
        return self._branches().fetch(repo, repo.source, request.branch)

    def projects(self, wanted: GitHubQuery) -> Iterator[Project]:
        """Raises ForgeError."""
        return projects(self._client, wanted)

    def _state(self, request: Request, state: str) -> None:
        pull = self._client.repository(request.repo).get_pull(request.number)
        self._client.write(request.repo, lambda: pull.edit(state=state))

    def _merged(self, request: Request) -> bool:
        """Say whether it is merged already: the answer to the first attempt may have been lost."""
        found = self._lookup.find(request.repo, request.branch)
        return bool(found and found.number == request.number and found.state == "merged")

    def _delete(self, request: Request) -> None:
        """Delete its branch if that still holds what was looked at; what was pushed meanwhile stays."""
        repository, call = self._client.repository(request.repo), self._client.hub.requester.requestJsonAndCheck
        branch = quote(request.branch)

        def delete() -> None:  # once its turn has come, which may take long
            _, ref = call("GET", f"{repository.url}/git/ref/heads/{branch}")
            if ref["object"]["sha"] == request.head:
                call("DELETE", f"{repository.url}/git/refs/heads/{branch}")

        try:
            self._client.write(request.repo, delete)
        except Refusal as why:
            if why.status not in {404, 422}:  # the repository, or somebody, has deleted it already
                raise


def _branches(memory: Memory, access: Callable[[], Access]) -> Branches:
    """Branches as they can be got at now: the token changes."""
    return Branches(memory, access())
