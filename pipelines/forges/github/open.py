"""Opens requests on GitHub, exactly one for a branch whatever fails in between, and keeps what they say up to date."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from github.Repository import Repository

from pipelines.data import Change
from pipelines.forge import Description, NotPushed
from pipelines.forges.github.client import Client, Refusal
from pipelines.forges.github.known import Pull, pull_of
from pipelines.forges.github.lookup import Lookup
from pipelines.forges.github.pushed import Ledger
from pipelines.forges.remote import Branches, mark
from pipelines.neutral import code

LARGEST = 65_536  # characters of a body
TITLE = 256  # characters of a title
LOOKS = 5  # times that a branch just pushed, or a request just refused for being there, is looked for


class Opener:
    def __init__(self, client: Client, lookup: Lookup, branches: Callable[[], Branches], ledger: Ledger) -> None:
        self._client, self._lookup, self._branches, self._ledger = client, lookup, branches, ledger

    def push(self, change: Change, commit: str, text: Description, opened: bool) -> Pull | None:
        """Make branch and, if `opened`, request hold `commit`; None when there is no request. Raises NotPushed,
        ForgeError, GitError."""
        repo, branch = change.repo, change.branch
        self._client.ready()  # else branches would be pushed, and run in CI, long before their requests are there
        try:
            repository = self._client.repository(repo.name)
            found = self._adopted(change, self._lookup.find(repo.name, branch))
        except Refusal as why:
            raise NotPushed(str(why)) from None
        if repository.archived:
            raise NotPushed(f"{repo.name} is archived: it can only be read")
        opened |= found is not None
        last = self._ledger.of(repo.name, branch)
        same = last.commits if commit in last.commits else (commit,)
        pushed = replace(last, commits=same, digest=change.digest, title=text.title)
        pushed = replace(pushed, squash=text.squash, delete_branch=text.delete_branch, done=not opened)
        self._ledger.note(repo.name, branch, pushed)  # killed after this, it is known that there is more to do
        self._branches().push(repo, repo.source, commit, branch, text.replaces)
        if not opened:
            return None
        pull = found or self._open(repository, change, text)
        title, body = shown(change, text, self._complete(repository, repo.name, pull, text))
        if (pull.title, pull.body.strip()) != (title, body.strip()):
            at = repository.get_pull(pull.number)
            self._client.write(repo.name, lambda: at.edit(title=title, body=body))
        self._ledger.note(repo.name, branch, replace(pushed, done=True))
        return replace(pull, title=title, body=body, head=commit, job=change.job, digest=change.digest)

    def _adopted(self, change: Change, pull: Pull | None) -> Pull | None:
        """Return the request that the branch has already. Raises NotPushed when it is not ours to change."""
        if pull is None:
            return None
        name = f"{change.branch} of {change.repo.name}"
        if not self._lookup.mine(pull):
            raise NotPushed(f"{name}: {pull.author} opened {pull.url} for it")
        if pull.job not in {"", change.job}:
            raise NotPushed(f"{name}: {pull.url} is of the job {pull.job}")
        if pull.state != "open":
            raise NotPushed(f"{name} was {pull.state} meanwhile: {pull.url}")
        if pull.base != change.repo.branch:
            raise NotPushed(f"{name}: somebody has pointed {pull.url} at {pull.base}")
        return pull

    def _open(self, repository: Repository, change: Change, text: Description) -> Pull:
        name, branch = change.repo.name, change.branch
        title, body = shown(change, text)
        head = f"{name.partition('/')[0]}:{branch}"

        def found() -> Pull | None:
            return self._adopted(change, self._lookup.find(name, branch))

        def do() -> Pull:
            made = repository.create_pull(change.repo.branch, head, title=title, body=body, draft=text.draft)
            pull = pull_of(made)
            assert pull, "GitHub opened a request for another repository"
            return pull

        for look in range(LOOKS):
            try:
                return self._client.write(name, do, found)
            except Refusal as why:
                if there := found():  # "A pull request already exists for ...": another process was faster
                    return there
                if why.status != 422 or look + 1 == LOOKS or not late(str(why)):
                    raise NotPushed(f"{why}") from None
                time.sleep(2.0**look)
        raise AssertionError("the last look returns or raises")

    def _complete(self, repository: Repository, name: str, pull: Pull, text: Description) -> list[str]:
        """Give the request what cannot be said when it is opened. What is there already is not sent again. Return what
        GitHub refuses, in Markdown: the request stands without it."""
        issue, at = repository.get_issue(pull.number), repository.get_pull(pull.number)
        write, left = self._client.write, []

        def attempt(what: str, do: Callable[[], object]) -> None:
            try:
                do()
            except Refusal as why:
                left.append(refused(what, why))

        has = {label.lower() for label in pull.labels}
        if labels := [one for one in text.labels if one.lower() not in has]:
            attempt("labels", lambda: write(name, lambda: issue.add_to_labels(*labels)))
        if people := [one for one in text.assignees if one not in pull.assignees]:
            attempt("assignees", lambda: write(name, lambda: issue.add_to_assignees(*people)))
        if text.milestone and text.milestone != pull.milestone:
            attempt("milestone", lambda: self._milestone(repository, name, pull, text.milestone))
        if text.draft != pull.draft:
            change = at.convert_to_draft if text.draft else at.mark_ready_for_review
            attempt("draft" if text.draft else "not a draft", lambda: write(name, change))
        return left + self.ask(repository, name, pull.number, text.reviewers, pull.reviewers)

    def ask(
        self, repository: Repository, name: str, number: int, wanted: Sequence[str], asked: Sequence[str]
    ) -> list[str]:
        """Ask people, and teams (`org/team`), for a review; return whom GitHub does not let us ask, in Markdown. One
        refused name refuses the whole list, so then each is asked alone."""
        known = {one.lower() for one in (*asked, self._client.login)}
        new = [one for one in dict.fromkeys(wanted) if one.lower() not in known]
        at = repository.get_pull(number)

        def send(some: Sequence[str]) -> None:
            people = [one for one in some if "/" not in one]
            teams = [one.partition("/")[2] for one in some if "/" in one]
            self._client.write(name, lambda: at.create_review_request(people, teams))

        try:
            if new:
                send(new)
            return []
        except Refusal as why:
            if why.status != 422 or len(new) == 1:
                return [refused(_review(new), why)]
        left = []
        for one in new:
            try:
                send([one])
            except Refusal as why:
                left.append(refused(_review([one]), why))
        return left

    def _milestone(self, repository: Repository, name: str, pull: Pull, title: str) -> None:
        found = self._client.read(name, lambda: [one for one in repository.get_milestones() if one.title == title])
        if not found:
            raise Refusal(f"{name} has no open milestone {title!r}")
        issue = repository.get_issue(pull.number)
        self._client.write(name, lambda: issue.edit(milestone=found[0]))


def shown(change: Change, text: Description, left: Sequence[str] = ()) -> tuple[str, str]:
    """Return title and body as GitHub takes them; what is left out and the marker, at the end, are never cut off."""
    made = mark(change.job, change.digest)
    told = "".join(f"\n- {one}" for one in left)
    end = f"Left out, because GitHub refuses it:\n{told}\n\n{made}" if told else made
    room = LARGEST - len(end) - 2
    body = text.body.rstrip()
    cut = "\n\n(cut off here: GitHub takes no more)"
    if len(body) > room:
        body = body[: room - len(cut)] + cut
    return text.title[:TITLE], f"{body}\n\n{end}"


def refused(what: str, why: Refusal) -> str:
    """Return what a request does not have, and why, for its body: what GitHub said is foreign text."""
    return f"{what}: {code(str(why))}"


def _review(people: Sequence[str]) -> str:
    return f"review by {', '.join(map(code, people))}"


def late(said: str) -> bool:
    """Say whether a refusal may be about a branch that was pushed so recently that GitHub does not see it yet."""
    return "head: invalid" in said or "already exists" in said.lower()
