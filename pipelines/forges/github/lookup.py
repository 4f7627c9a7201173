"""Single questions to GitHub: which request a branch has, whose it is, and who may do what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from urllib.parse import quote

from github.PullRequest import PullRequest

from pipelines.forges.github.client import Client, Refusal
from pipelines.forges.github.known import GHOST, Pull, later, pull_of

WRITERS = {"write", "maintain", "admin"}


class Lookup:
    def __init__(self, client: Client) -> None:
        self._client = client

    def find(self, repo: str, branch: str) -> Pull | None:
        """Ask for the request of a branch, in whatever state: the open one, whoever opened it, else our last. Raises
        ForgeError."""
        owner, repository = repo.partition("/")[0], self._client.repository(repo)
        listed = self._client.read(
            repo, lambda: list(pulls(repository.get_pulls(state="all", head=f"{owner}:{branch}")))
        )
        # A server may ignore the filter.
        found = [pull for pull in listed if pull.branch == branch and (pull.state == "open" or self.mine(pull))]
        return reduce(later, found) if found else None

    def mine(self, pull: Pull) -> bool:
        return pull.author.lower() == self._client.login.lower()

    def may_write(self, repo: str, who: str) -> bool:
        """Say whether a person may push to the repository; no bot is one. Raises ForgeError."""
        if who in {GHOST, self._client.login} or who.endswith("[bot]"):
            return False
        ask = f"{self._client.repository(repo).url}/collaborators/{quote(who, safe='')}/permission"
        try:
            _, told = self._client.read(repo, lambda: self._client.hub.requester.requestJsonAndCheck("GET", ask))
        except Refusal as why:
            if why.status == 404:
                return False
            raise
        rights = {told.get("permission"), told.get("role_name")}
        return bool(rights & WRITERS) and (told.get("user") or {}).get("type") == "User"


def pulls(listed: Iterable[PullRequest]) -> Iterator[Pull]:
    """Yield the requests of a listing whose branch is the repository's own."""
    yield from (pull for one in listed if (pull := pull_of(one)))
