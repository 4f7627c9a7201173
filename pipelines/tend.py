"""change, request -> action: a pure decision, then a small act. Level-triggered: each tick looks at what is, so that
nothing is lost when one is interrupted, and running twice is running once."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from operators.proc import GitError
from pipelines.comments import hear, unheard
from pipelines.commit import commit
from pipelines.data import Change, Plan
from pipelines.describe import describe
from pipelines.forge import Comment, Forge, NotPushed, Place, Request
from pipelines.gather import Gathered
from pipelines.group import prefix
from pipelines.job import Job
from pipelines.store import Store
from pipelines.text import BadTemplate

Verb = Literal["push", "repair", "merge", "close", "wait"]
_AGAIN = re.compile(r"\.again\d*$")  # no group is spelt with a dot


@dataclass(frozen=True, slots=True)
class Action:
    verb: Verb
    why: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to know of a merge request when it is decided what to do about it."""

    request: Request | None = None
    """None: there is none yet."""
    said: Sequence[Comment] = ()
    """Comments that nobody has seen to yet."""
    holds: Sequence[str] = ()
    """Files of what Umbau pushed last, as far as that is known."""


@dataclass(frozen=True, slots=True)
class Tended:
    """What was done about one merge request."""

    repo: str
    branch: str
    action: Action
    url: str = ""
    trouble: str = ""
    reopened: tuple[str, ...] = ()
    """Keys of the shards that a repair asked another go for."""
    title: str = ""


def decide(change: Change, seen: Seen, job: Job, learns: bool) -> Action:
    """Say what to do about one merge request. `learns`: whether a step of the job does better when it is told what is
    wrong."""
    request = seen.request
    if request is None:
        return Action("push", "new") if change.whole else Action("wait", "nothing to propose")
    if request.state != "open":
        return Action("wait", request.state)
    if request.touched:
        return Action("wait", "somebody else pushed to the branch: hands off")
    if change.unfinished and not (change.whole and change.whole.keys() >= set(seen.holds)):
        return Action("wait", "its shards have failed or are not done yet")
    if not change.whole:
        return Action("close", "nothing is left to be proposed")
    if request.digest != change.digest:
        return Action("push", "the change is another now")
    if seen.said and learns:
        return Action("repair", f"{len(seen.said)} comment{'s' * (len(seen.said) > 1)} to see to")
    if seen.said:
        return Action("wait", "a comment waits for a person: the job has no model that could be told")
    if request.conflicts:
        return Action("wait", "conflicts with its base branch, which has moved")
    if request.approved and request.ci in {"none", "passed"} and job.merge_request.merge == "approved":
        return Action("merge", "approved")
    return Action("wait", "approved" if request.approved else "waits for review")


def current(
    change: Change, requests: Mapping[Place, Request], closed: Container[Place] = ()
) -> tuple[Change, Request | None]:
    """Return the change under the branch that is its own now, with the request that is there.

    What was merged stays merged, and when something else is to be changed in the same files later, that is another
    request, on a branch of its own; likewise when Umbau itself closed one (`closed`) and there is something to propose
    after all. What a person closed stays closed.
    """
    chain = [change.branch]
    while (change.repo.name, chain[-1]) in requests:
        chain.append(f"{change.branch}.again{len(chain) if len(chain) > 1 else ''}")
    known = [requests[change.repo.name, branch] for branch in chain[:-1]]
    if not known:
        return change, None
    last = known[-1]
    if any(request.state == "merged" and request.digest == change.digest for request in known[:-1]):
        change = replace(change, whole={})  # as merged before: what has been opened since is not wanted any more
    over = last.state == "merged" and last.digest != change.digest
    if change.whole and (over or (last.state == "closed" and (last.repo, last.branch) in closed)):
        return replace(change, branch=chain[-1]), None
    return replace(change, branch=last.branch), last


def tend(job: Job, plan: Plan, gathered: Gathered, forge: Forge, store: Store, learns: bool) -> list[Tended]:
    """Look at each merge request once and do what there is to be done.

    A repair only asks for another go at the shards; once that is done, the next tick sees another change. What goes
    wrong with one request is told, and the others are tended.
    """
    requests = {(request.repo, request.branch): request for request in forge.requests(prefix(job), plan.repos)}
    closed = {place for place, request in requests.items() if request.state == "closed" and store.fact(_closed(place))}
    done = []
    for change, request in (current(change, requests, closed) for change in gathered.changes):
        seen = Seen()
        if request:
            holds = store.fact(_pushed(request.repo, request.branch, request.digest))
            seen = Seen(request, unheard(request, store), holds or ())
        action = decide(change, seen, job, learns)
        done.append(_act(job, change, seen, action, forge, store))
    planned = {(one.shard.repo, one.branch) for one in plan.planned}
    known = {repo.name for repo in plan.repos}  # of the others nothing is known today
    for (repo, branch), request in requests.items():
        if request.state == "open" and repo in known and (repo, _AGAIN.sub("", branch)) not in planned:
            done.append(_let_go(request, forge, store))
    return done


def _act(job: Job, change: Change, seen: Seen, action: Action, forge: Forge, store: Store) -> Tended:
    request, trouble = seen.request, ""
    reopened: set[str] = set()
    try:
        if action.verb == "push":
            request = _push(job, change, forge, store)
        elif request and action.verb == "repair":
            reopened.update(key for comment in seen.said for key in hear(change, request, comment, store))
        elif request and action.verb == "merge":
            forge.merge(request)
        elif request and action.verb == "close":
            _close(request, action.why, forge, store)
    except (GitError, NotPushed, BadTemplate) as why:
        trouble = str(why)
    url, title = (request.url, request.title) if request else ("", "")
    return Tended(change.repo.name, change.branch, action, url, trouble, tuple(sorted(reopened)), title)


def _push(job: Job, change: Change, forge: Forge, store: Store) -> Request:
    text = describe(job, change)
    store.keep(_pushed(change.repo.name, change.branch, change.digest), sorted(change.whole))
    return forge.push(change, commit(change.repo, change.whole, text.message), text)


def _let_go(request: Request, forge: Forge, store: Store) -> Tended:
    """Close a request that no shard of the plan stands behind any more."""
    if request.touched:
        action, trouble = Action("wait", "left the job's scope, but somebody else pushed to it: hands off"), ""
    else:
        action, trouble = Action("close", "left the job's scope"), ""
        try:
            _close(request, "no part of the job's plan stands behind it any more", forge, store)
        except GitError as why:
            trouble = str(why)
    return Tended(request.repo, request.branch, action, request.url, trouble, title=request.title)


def _close(request: Request, why: str, forge: Forge, store: Store) -> None:
    store.keep(_closed((request.repo, request.branch)), True)  # else it would count as closed by a person
    forge.close(request, why)


def _closed(place: Place) -> str:
    return f"closed {'/'.join(place)}"


def _pushed(repo: str, branch: str, digest: str) -> str:
    return f"pushed {repo}/{branch} {digest}"
