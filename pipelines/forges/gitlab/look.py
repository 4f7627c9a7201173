"""Looks at the requests of one project with a constant number of calls: what did not change is remembered.

GitLab is asked which merge requests of ours, and which pipelines, were changed since the last look. Whether a request
conflicts is no change of the request to GitLab: that is asked again, for all open ones at a time, when the base branch
has moved and until GitLab has found it out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from urllib.parse import quote

from pipelines.data import Repo
from pipelines.forge import Memory, Request
from pipelines.forges.gitlab import seen
from pipelines.forges.gitlab.api import Api, Json, Refusal, Unsure, instant, project, written
from pipelines.forges.gitlab.people import People
from pipelines.forges.gitlab.pushed import Pushed
from pipelines.forges.gitlab.rebase import Rebase
from pipelines.forges.remote import Branches

OVERLAP = 60.0  # seconds that are listed again: what was written before the last look may not have been there yet
FIRST = 3600.0  # seconds of pipelines that the first look goes back: requests tell of older ones themselves
ENOUGH = 3  # requests without an answer, after which no more are asked about
_OF_REQUEST = re.compile(r"refs/merge-requests/(\d+)/(head|merge|train)")


@dataclass
class _Known:
    """What is remembered of the requests of one project."""

    since: float = 0.0
    """Until when merge requests are known; seconds since 1970, by GitLab's clock, as below."""
    runs_since: float = 0.0
    base: str = ""
    """The commit of the base branch against which conflicts were looked for."""
    moved: str = ""
    """The commit that it was found to hold then: GitLab may have noticed no more than we had, so one more look is
    taken."""
    runs: dict[str, str] = field(default_factory=dict)
    """Pipelines of ours that the last look told of, to their status."""
    requests: dict[str, Json] = field(default_factory=dict)
    """By number."""

    @property
    def open(self) -> list[Json]:
        return [one for one in self.requests.values() if one["state"] == "open"]


class Look:
    def __init__(
        self, api: Api, people: People, branches: Branches, memory: Memory, pushed: Pushed, *, quiet: float
    ) -> None:
        """`quiet`: seconds after a push in which its pipeline may not have been created yet."""
        self._api, self._people, self._branches, self._memory = api, people, branches, memory
        self._pushed, self._quiet = pushed, quiet

    def current(self, repo: Repo, prefix: str) -> list[Request]:
        """Ask GitLab. What was found out before something went wrong is not asked again."""
        known = self._known(repo, prefix)
        unopened = self._pushed.unopened(repo.name, prefix)
        try:
            self._update(repo, prefix, known, unopened)
        finally:
            self._memory.remember(self._key(repo, prefix), asdict(known))
        return [*self._requests(repo, known), *self._waiting(repo, prefix, known, unopened)]

    def remembered(self, repo: Repo, prefix: str) -> list[Request]:
        """Return the requests as they were seen last, and branches as they were pushed, without asking."""
        found = list(self._requests(repo, self._known(repo, prefix)))
        there = {one.branch for one in found}
        for branch, facts in self._pushed.unopened(repo.name, prefix).items():
            if branch not in there:
                ci: seen.Ci = facts.get("ci", "none")
                found.append(Request(repo.name, branch, facts["digest"], "branch", "", ci=ci, head=facts["commit"]))
        return found

    def _update(self, repo: Repo, prefix: str, known: _Known, unopened: Mapping[str, Json]) -> None:
        after = {"updated_after": written(known.since - OVERLAP)} if known.since else {}
        fresh = {one["iid"]: one for one in self._listed(repo, prefix, **after)}
        latest = max([instant(one["updated_at"]) for one in fresh.values()], default=known.since)
        since = max(known.since, latest)
        if known.open:
            fresh |= self._rechecked(repo, prefix, known)
        changed = [one for one in fresh.values() if self._absorb(known, one)]
        asked = {one["iid"] for one in changed if one["state"] == "opened"}
        runs = self._runs(repo, known, unopened)
        self._ask_all(repo, known, sorted(asked))
        # Only now: killed before, a request that was not asked about is still listed the next time.
        known.since = since
        self._follow(repo, known, runs, asked, unopened)

    def _listed(self, repo: Repo, prefix: str, **query: Any) -> list[Json]:
        """List merge requests that we opened, the latest change first: what changes meanwhile is listed twice rather
        than not at all."""
        query = {"state": "all", "order_by": "updated_at", "sort": "desc", **query}
        ours = {"scope": "all", "author_username": self._people.me["username"]}
        listed = self._api.list(repo.name, f"{project(repo.name)}/merge_requests", **ours, **query)
        return [one for one in listed if one["source_branch"].startswith(prefix) and inside(one)]

    def _rechecked(self, repo: Repo, prefix: str, known: _Known) -> dict[int, Json]:
        """Have GitLab find out again which open requests conflict, if that may have changed."""
        try:
            path = f"{project(repo.name)}/repository/branches/{quote(repo.branch, safe='')}"
            base = str(self._api.get(repo.name, path)["commit"]["id"])
        except Refusal as why:
            if why.status != 404:
                raise
            base = ""  # the base branch is gone or has another name: planning tells
        if base == known.base and all(one["settled"] for one in known.open):
            return {}
        listed = self._listed(repo, prefix, state="opened", with_merge_status_recheck="true")
        known.base, known.moved = (base if base == known.moved else known.base), base
        return {one["iid"]: one for one in listed}

    def _absorb(self, known: _Known, one: Json) -> bool:
        """Take in what a listing tells of a request; say whether there is more to be asked about it. An open one keeps
        what it was until then."""
        before = known.requests.get(str(one["iid"]))
        now = seen.entry(one)
        if before and before["updated"] == now["updated"] and before["head"] == now["head"]:
            before |= seen.mergeability(one)
            return False
        if now["state"] != "open" or not before:
            known.requests[str(one["iid"])] = {**(before or {}), **now}
            if now["state"] == "open":
                known.requests[str(one["iid"])]["updated"] = ""  # until the details are there
        return True

    def _ask_all(self, repo: Repo, known: _Known, numbers: Sequence[int]) -> None:
        """Ask about each. One that GitLab has trouble with does not keep the others from being asked about."""
        trouble: list[Unsure] = []
        for number in numbers:
            try:
                self._ask(repo, known, number)
            except Unsure as why:
                trouble.append(why)
            if len(trouble) == ENOUGH:
                break
        if trouble:
            raise trouble[0]

    def _ask(self, repo: Repo, known: _Known, number: int) -> None:
        """Ask what no listing tells: comments, approvals and the pipeline."""
        path, me = f"{project(repo.name)}/merge_requests/{number}", int(self._people.me["id"])
        one = self._api.get(repo.name, path)
        told = self._api.get(repo.name, f"{path}/approvals")
        said = seen.people(self._api.list(repo.name, f"{path}/discussions"), me, self._people.robot)
        at = float(self._pushed.last(repo.name, one["source_branch"]).get("at", 0.0))
        known.requests[str(number)] = {**seen.entry(one), **seen.details(one, told, said, me, at)}
        branch, head = one["source_branch"], one["sha"]
        if head and not self._branches.ours(repo.name, branch, head):
            Rebase(self._api, self._people, self._branches, self._pushed).adopted(repo.name, branch, number, head)

    def _runs(self, repo: Repo, known: _Known, unopened: Mapping[str, Json]) -> list[Json]:
        """List pipelines that were changed since the last look, as far as they are of our branches and requests."""
        if not (known.open or unopened):
            known.runs_since = 0.0  # else all of a long time would be listed once there are some again
            return []
        pushed = [float(at) for branch in unopened if (at := self._pushed.last(repo.name, branch).get("at"))]
        since = (known.runs_since or min([self._api.now() - FIRST, *pushed])) - OVERLAP
        query = {"order_by": "updated_at", "sort": "desc", "updated_after": written(since)}
        listed = self._api.list(repo.name, f"{project(repo.name)}/pipelines", **query)
        known.runs_since = max([instant(one["updated_at"]) for one in listed], default=since + OVERLAP)
        ours = {one["branch"] for one in known.open} | unopened.keys()
        return [one for one in listed if one["ref"] in ours or _number(one) in known.requests]

    def _follow(
        self, repo: Repo, known: _Known, runs: list[Json], asked: set[int], unopened: Mapping[str, Json]
    ) -> None:
        """Ask again for requests whose pipelines say something new, and note what is new of branches without one."""
        of = {one["branch"]: str(one["number"]) for one in known.open}
        new = [one for one in runs if known.runs.get(str(one["id"])) != seen.ci(one["status"])]
        numbers = {_number(one) or of.get(one["ref"], "") for one in new} - {str(number) for number in asked}
        for number in sorted(numbers & {*of.values()}):
            told = self._api.get(repo.name, f"{project(repo.name)}/merge_requests/{number}")
            known.requests[number] |= seen.pipeline(told)
        known.runs = {str(one["id"]): seen.ci(one["status"]) for one in runs}
        for branch, facts in unopened.items():
            last = max((one for one in runs if one["ref"] == branch), key=lambda one: int(one["id"]), default=None)
            if last and last["sha"] == facts["commit"]:
                facts["ci"] = seen.ci(last["status"])
                self._pushed.set_aside(repo.name, branch, {**facts})

    def _requests(self, repo: Repo, known: _Known) -> Iterator[Request]:
        for one in known.requests.values():
            head, branch, over = one["head"], one["branch"], one["state"] != "open"
            ours = over or not head or self._branches.ours(repo.name, branch, head)
            stale = not over and ours and self._pushed.last(repo.name, branch).get("commit", head) != head
            found = seen.request(repo.name, one, touched=not ours, stale=stale)
            yield replace(found, ci="pending") if self._early(repo, found) else found

    def _waiting(self, repo: Repo, prefix: str, known: _Known, unopened: Mapping[str, Json]) -> Iterator[Request]:
        """Tell of branches for which nothing was opened, as far as they are there."""
        left = unopened.keys() - {one["branch"] for one in known.requests.values()}
        if not left:
            return
        query = {"search": f"^{prefix}"} if prefix else {}
        listed = self._api.list(repo.name, f"{project(repo.name)}/repository/branches", **query)
        for one in listed:
            if (branch := one["name"]) in left:
                head, facts = one["commit"]["id"], unopened[branch]
                ci: seen.Ci = facts.get("ci", "none") if head == facts["commit"] else "none"
                touched = not self._branches.ours(repo.name, branch, head)
                url = one.get("web_url") or ""
                found = Request(repo.name, branch, facts["digest"], "branch", url, ci=ci, touched=touched, head=head)
                yield replace(found, ci="pending") if self._early(repo, found) else found

    def _early(self, repo: Repo, found: Request) -> bool:
        """Say whether there may be no pipeline only because it is too early for one."""
        at = float(self._pushed.last(repo.name, found.branch).get("at", 0.0))
        return found.ci == "none" and found.state in {"open", "branch"} and self._api.now() - at < self._quiet

    def _known(self, repo: Repo, prefix: str) -> _Known:
        return _Known(**(self._memory.recall(self._key(repo, prefix)) or {}))

    def _key(self, repo: Repo, prefix: str) -> str:
        return f"gitlab {self._api.url} seen {repo.name} {prefix}"


def inside(request: Json) -> bool:
    """Say whether a merge request is of a branch of the project itself: a fork may have one of the same name."""
    return bool(request["source_project_id"] == request["target_project_id"])


def _number(run: Json) -> str:
    found = _OF_REQUEST.fullmatch(run["ref"])
    return found[1] if found else ""
