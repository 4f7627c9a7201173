"""Looks at a repository's requests on GitHub: a constant number of listings, and details only of what has changed."""

from __future__ import annotations

import email.utils
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from github.IssueComment import IssueComment
from github.PaginatedList import PaginatedList
from github.PullRequestComment import PullRequestComment
from github.Repository import Repository
from pydantic import TypeAdapter

from pipelines.bare import has
from pipelines.data import Repo
from pipelines.forge import Comment, Memory, Request
from pipelines.forges.github.ci import Checks, Ci
from pipelines.forges.github.client import Client
from pipelines.forges.github.known import (
    Known,
    Listing,
    Pull,
    active,
    approvers,
    comments,
    inline,
    remark,
    review_of,
    seconds,
)
from pipelines.forges.github.lookup import Lookup, pulls
from pipelines.forges.github.pushed import Ledger, conflicts
from pipelines.forges.remote import Branches

Said = TypeVar("Said", IssueComment, PullRequestComment)

# Seconds. Times of GitHub's are whole seconds, and what was written a moment ago may not be in a listing yet.
LAG = 5.0
PAGE = 100  # requests that one call tells
_LISTING = TypeAdapter(Listing)


class Watch:
    """What is known of the requests of each repository and prefix, as it was remembered and as it is."""

    def __init__(
        self,
        client: Client,
        lookup: Lookup,
        memory: Memory,
        branches: Callable[[], Branches],
        ledger: Ledger,
        site: str,
    ) -> None:
        self._client, self._lookup, self._ledger = client, lookup, ledger
        self._memory, self._branches, self._site = memory, branches, site
        self.checks = Checks(client, memory, site)
        self._listings: dict[tuple[str, str], Listing] = {}

    def look(self, repo: Repo, prefix: str) -> Iterator[Request]:
        """Bring what is known of a repository up to date and yield its requests. What was found out before something
        went wrong is not asked again. Raises ForgeError, GitError, NotPushed."""
        self._listings.pop((repo.name, prefix), None)  # a purge may have removed texts from what is remembered
        repository, listing = self._client.repository(repo.name, again=True), self._listing(repo.name, prefix)
        listing.asked = email.utils.parsedate_to_datetime(str(repository.raw_headers["date"])).timestamp()
        try:
            self._update(repository, repo, prefix, listing)
        finally:
            self._save(repo.name, prefix)
        yield from self.remembered(repo, prefix)

    def looked(self, repo: str, prefix: str) -> float:
        """Return when a repository was asked last, 0.0 if it never was; seconds since 1970, by GitHub's clock."""
        return self._listing(repo, prefix).asked

    def _update(self, repository: Repository, repo: Repo, prefix: str, listing: Listing) -> None:
        heads, now = self._heads(repository, repo.name, prefix), listing.asked
        self._pulls(repository, repo.name, listing, prefix, heads)
        self._comments(repository, repo.name, listing, now)
        listing.pulls = listing.comments = now
        for branch, known in listing.known.items():
            if known.pull.state == "open":
                self._details(repository, repo, known, heads.get(branch, known.pull.head), now)
        listing.bare = {branch: head for branch, head in heads.items() if branch not in listing.known}
        for head in listing.bare.values():
            self.checks.of(repository, repo.name, head)

    def remembered(self, repo: Repo, prefix: str) -> Iterator[Request]:
        """Yield the requests of a repository as they were when it could be asked last."""
        listing = self._listing(repo.name, prefix)
        for known in listing.known.values():
            yield self.request(repo, known)
        for branch, head in listing.bare.items():
            yield self.unopened(repo, branch, head)

    def take(self, repo: Repo, pull: Pull) -> Request:
        """Take in a request that was come across, and return what is known of it."""
        known = Known(pull)
        for (name, prefix), listing in self._listings.items():
            if name == repo.name and pull.branch.startswith(prefix):
                listing.take(pull)
                listing.bare.pop(pull.branch, None)
                known = listing.known[pull.branch]
                self._save(name, prefix)
        return self.request(repo, known)

    def request(self, repo: Repo, known: Known) -> Request:
        pull, pushed = known.pull, self._ledger.of(repo.name, known.pull.branch)
        done = pushed.done or pull.state != "open"
        by = approvers(known.reviews, {pull.head, *pushed.commits} if known.ours else {pull.head})
        return Request(
            repo.name,
            pull.branch,
            pull.digest if done else "",  # else it would look as if nothing were left to be done
            pull.state,
            pull.url,
            ci=self._ci(repo, pull.head),
            approved=bool(by),
            conflicts=known.tried[1:] == (pull.head, True) and pull.state == "open",
            touched=not known.ours or (pull.state == "open" and pull.base != repo.branch),
            comments=comments(known),
            title=pull.title,
            number=pull.number,
            head=pull.head,
            draft=pull.draft,
            opened=pull.opened,
            ended=pull.ended,
            active=active(known),
            reviewers=pull.reviewers,
            approvers=by,
            merged=pull.merged,
        )

    def unopened(self, repo: Repo, branch: str, head: str) -> Request:
        """Return what is known of a branch that has no request."""
        pushed = self._ledger.of(repo.name, branch)
        url = f"{self._site}/{repo.name}/tree/{branch}"
        digest = pushed.digest if head in pushed.commits else ""
        touched = not self._branches().ours(repo.name, branch, head)
        title, ci = pushed.title, self._ci(repo, head)
        return Request(repo.name, branch, digest, "branch", url, ci=ci, touched=touched, title=title, head=head)

    def _ci(self, repo: Repo, head: str) -> Ci:
        return self.checks.known(repo.name, head)

    def _heads(self, repository: Repository, repo: str, prefix: str) -> dict[str, str]:
        """Return the branches whose name begins with `prefix`, and what they hold."""
        ask = f"{repository.url}/git/matching-refs/heads/{quote(prefix)}"  # in one page, however many there are
        _, refs = self._client.read(repo, lambda: self._client.hub.requester.requestJsonAndCheck("GET", ask))
        found = {one["ref"].removeprefix("refs/heads/"): one["object"]["sha"] for one in refs}
        return {branch: commit for branch, commit in found.items() if branch.startswith(prefix)}

    def _pulls(
        self, repository: Repository, repo: str, listing: Listing, prefix: str, heads: Mapping[str, str]
    ) -> None:
        """Take in which requests have changed. The first time the last ones are looked through, as far as that takes
        less calls than to ask for each of the branches that are there; what is merged and gone `push` comes across."""

        def ask() -> list[Pull]:
            listed = repository.get_pulls(state="all", sort="updated", direction="desc")
            if not listing.pulls:
                return list(enough(pulls(listed), heads))
            return list(pulls(takewhile(lambda one: seconds(one.updated_at) >= listing.pulls - LAG, listed)))

        found = self._client.read(repo, ask)
        if not listing.pulls:
            there = {pull.branch for pull in found}
            found += [pull for one in heads if one not in there and (pull := self._lookup.find(repo, one))]
        for pull in found:
            if pull.branch.startswith(prefix) and self._lookup.mine(pull):
                listing.take(pull)

    def _comments(self, repository: Repository, repo: str, listing: Listing, now: float) -> None:
        """Take in what people said since the last time, on requests and on their lines."""
        numbers = {known.pull.number: known for known in listing.known.values()}
        oldest = min((known.pull.opened for known in listing.known.values()), default=now)
        since = datetime.fromtimestamp((listing.comments or oldest) - LAG, UTC)

        def take(source: Callable[..., PaginatedList[Said]], read: Callable[[Said], tuple[int, str, Comment]]) -> None:
            for number, kind, said in self._client.read(
                repo, lambda: [read(one) for one in source(sort="updated", direction="asc", since=since)]
            ):
                if number in numbers and kind != "Bot" and said.author != self._client.login:
                    numbers[number].said[said.id] = said

        take(repository.get_issues_comments, remark)
        take(repository.get_pulls_comments, inline)

    def _details(self, repository: Repository, repo: Repo, known: Known, head: str, now: float) -> None:
        """Bring up to date what listings do not tell of an open request."""
        known.pull = pull = replace(known.pull, head=head)
        changed = known.looked < pull.updated + LAG
        if changed:
            reviews = self._client.read(
                repo.name, lambda: [review_of(one) for one in repository.get_pull(pull.number).get_reviews()]
            )
            people = [one for one in reviews if one and one.author != self._client.login]
            may = {who: self._lookup.may_write(repo.name, who) for who in {one.author for one in people}}
            known.reviews = [replace(one, counts=may[one.author]) for one in people]
            known.looked = now
        known.ours = self._ledger.ours(repo, pull.branch, head)
        if known.tried[:2] != (repo.commit, head):
            if not has(Path(repo.mirror), head):
                self._branches().fetch(repo, repo.source, pull.branch)
            known.tried = repo.commit, head, conflicts(repo, head)
        self.checks.of(repository, repo.name, head, again=changed)

    def _listing(self, repo: str, prefix: str) -> Listing:
        if (repo, prefix) not in self._listings:
            found = self._memory.recall(self._key(repo, prefix))
            self._listings[repo, prefix] = _LISTING.validate_python(found) if found else Listing()
        return self._listings[repo, prefix]

    def _save(self, repo: str, prefix: str) -> None:
        self._memory.remember(self._key(repo, prefix), _LISTING.dump_python(self._listings[repo, prefix], mode="json"))

    def _key(self, repo: str, prefix: str) -> str:
        return f"github requests {self._site} {repo} {prefix}"


def enough(listed: Iterable[Pull], branches: Iterable[str]) -> Iterator[Pull]:
    """Yield the requests of a listing as long as its next page is worth it: more of the branches have no request yet
    than pages were read."""
    left = set(branches)
    for count, pull in enumerate(listed):
        if count and count % PAGE == 0 and count // PAGE >= len(left):
            return
        left.discard(pull.branch)
        yield pull
