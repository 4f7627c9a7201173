"""Lets GitLab bring a branch to its base, and takes what it made of our commit for ours, whenever that is found out."""

from __future__ import annotations

import time

from pipelines.forge import ForgeError, Request
from pipelines.forges.gitlab.api import Api, Json, Refusal, project
from pipelines.forges.gitlab.people import People
from pipelines.forges.gitlab.pushed import Pushed
from pipelines.forges.remote import Branches

LOOKS = (0.1, 0.2, 0.4, 0.8, *[1.5] * 40)  # seconds between looks, until it must be over


class Rebase:
    def __init__(self, api: Api, people: People, branches: Branches, pushed: Pushed) -> None:
        self._api, self._people, self._branches, self._pushed = api, people, branches, pushed

    def rebase(self, request: Request) -> bool:
        """False: it conflicts, or somebody pushed. Raises ForgeError."""
        there = self._there(request, include_diverged_commits_count="true")
        ours = self._branches.ours(request.repo, request.branch, request.head)
        if there["state"] != "opened" or there["sha"] != request.head or not ours:
            return False
        if there.get("diverged_commits_count") == 0:
            return True
        # Before it begins: killed meanwhile, it is known what the new commit was made of.
        self._pushed.note(request.repo, request.branch, rebasing=request.head)
        try:
            self._api.put(request.repo, "rebase", f"{_path(request.repo, request.number)}/rebase", {})
        except Refusal as why:
            if why.status == 403:  # a branch that must not be rewritten, or a project that cannot do it
                return False
            if why.status != 409:  # it is being rebased already
                raise
        for wait in LOOKS:
            there = self._there(request, include_rebase_in_progress="true")
            if there.get("merge_error"):
                self._pushed.note(request.repo, request.branch, rebasing="")
                return False
            if not there.get("rebase_in_progress") and there["sha"] != request.head:
                return self.adopted(request.repo, request.branch, request.number, there["sha"])
            time.sleep(wait)
        raise ForgeError(f"{request.url}: GitLab has not rebased it in {sum(LOOKS):.0f} s: the next tick looks again")

    def adopted(self, repo: str, branch: str, number: int, head: str) -> bool:
        """Take what the branch holds for ours if a rebase that we asked for made it of what we pushed, and of nothing
        else.

        GitLab commits a rebase in the name of whoever asked for it, and keeps a version of each push: where somebody
        pushed in between, there is one more.
        """
        before = self._pushed.last(repo, branch).get("rebasing")
        if not before:
            return False
        versions = self._api.list(repo, f"{_path(repo, number)}/versions")
        heads = [one["head_commit_sha"] for one in sorted(versions, key=lambda one: -int(one["id"]))]
        if heads[:2] != [head, before]:
            return False
        ours, theirs = (self._api.get(repo, f"{project(repo)}/repository/commits/{one}") for one in (before, head))
        kept = all(ours[name] == theirs[name] for name in ("author_name", "author_email", "authored_date", "message"))
        if not kept or theirs["committer_name"] != self._people.me["name"]:
            return False
        self._branches.adopt(repo, branch, head)
        self._pushed.note(repo, branch, commit=head, rebasing="")
        return True

    def _there(self, request: Request, **query: str) -> Json:
        return self._api.get(request.repo, _path(request.repo, request.number), **query)


def _path(repo: str, number: int) -> str:
    return f"{project(repo)}/merge_requests/{number}"
