"""Comments of Umbau's own on GitHub, each said once."""

from __future__ import annotations

from github.IssueComment import IssueComment
from github.PullRequestComment import PullRequestComment

from pipelines.forge import ForgeError, Memory, Request
from pipelines.forges.github.client import Client, Refusal
from pipelines.forges.remote import key_of, keyed

LARGEST = 65_536 - 200  # characters of a comment, what `keyed` adds left out


class Speaker:
    def __init__(self, client: Client, memory: Memory, site: str) -> None:
        self._client, self._memory, self._site = client, memory, site

    def say(self, request: Request, text: str, key: str, thread: str) -> None:
        """Say something on the request, or below the comment on a line that `thread` names. What has been said is
        known from memory and else found by its marker: the answer to what was sent may have been lost. Raises
        ForgeError."""
        if not request.number:
            raise ForgeError(f"{request.branch} of {request.repo} has no request yet on which anything could be said")
        said = f"github said {self._site} {request.repo} {request.number} {key_of(keyed('', key))}"
        if self._memory.fact(said):
            return
        try:
            self._post(request, keyed(text[:LARGEST], key), thread)
        except Refusal as why:
            if not thread or why.status not in {404, 422}:
                raise
            self._post(request, keyed(text[:LARGEST], key), "")  # the thread is gone with the comment it began with
        self._memory.keep(said, True)

    def _post(self, request: Request, body: str, thread: str) -> None:
        repository = self._client.repository(request.repo)
        pull, issue = repository.get_pull(request.number), repository.get_issue(request.number)

        def there() -> list[IssueComment | PullRequestComment]:
            return [*pull.get_review_comments()] if thread else [*issue.get_comments()]

        def found() -> object | None:
            said = self._client.read(request.repo, there)
            return next((one for one in said if self._is(one, body)), None)

        def do() -> object:
            return pull.create_review_comment_reply(int(thread), body) if thread else issue.create_comment(body)

        if found() is None:
            self._client.write(request.repo, do, found)

    def _is(self, one: IssueComment | PullRequestComment, body: str) -> bool:
        mine = one.user is not None and one.user.login == self._client.login
        return mine and key_of(one.body or "") == key_of(body)
