"""change, request -> action: a pure decision, then a small act. Level-triggered: each tick looks at what is, so that
nothing is lost when one is interrupted, and running twice is running once."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from operators.data import Finding, Outcome
from operators.proc import GitError
from operators.workspace import Workspace
from pipelines.commit import commit
from pipelines.data import Change, Comment, Forge, NotPushed, Plan, Request
from pipelines.describe import code, describe, fenced
from pipelines.gather import Gathered, Place
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


def decide(change: Change, request: Request | None, said: Sequence[Comment], job: Job, learns: bool) -> Action:
    """Say what to do about one merge request. `said`: comments that nobody has seen to yet; `learns`: whether a step of
    the job does better when it is told what is wrong."""
    if request is None:
        return Action("push", "new") if change.whole else Action("wait", "nothing to propose")
    if request.state != "open":
        return Action("wait", request.state)
    if request.touched:
        return Action("wait", "somebody else pushed to the branch: hands off")
    if not change.whole and change.unfinished:
        return Action("wait", "its shards have failed or are not done yet")
    if not change.whole:
        return Action("close", "nothing is left to be proposed")
    if request.digest != change.digest:
        return Action("push", "the change is another now")
    if said and learns:
        return Action("repair", f"{len(said)} comment{'s' * (len(said) > 1)} to see to")
    if said:
        return Action("wait", "a comment waits for a person: the job has no model to ask")
    if request.conflicts:
        return Action("wait", "conflicts with its base branch, which has moved")
    if request.approved and request.ci in {"none", "passed"} and job.merge_request.merge == "approved":
        return Action("merge", "approved")
    return Action("wait", "approved" if request.approved else "waits for review")


def current(
    change: Change, requests: Mapping[Place, Request], closed: Container[Place] = ()
) -> tuple[Change, Request | None]:
    """Return the change under the branch that is its own now. What was merged stays merged, and when something else is
    to be changed in the same files later, that is another request; likewise when Umbau itself closed one (`closed`)
    and there is something to propose after all. What a person closed stays closed."""
    branch, count = change.branch, 0
    while request := requests.get(place := (change.repo.name, branch)):
        over = request.state == "merged" and request.digest != change.digest
        if not change.whole or not (over or (request.state == "closed" and place in closed)):
            break
        count += 1
        branch = f"{change.branch}.again{count if count > 1 else ''}"
    return replace(change, branch=branch), request


def tend(job: Job, plan: Plan, gathered: Gathered, forge: Forge, store: Store, learns: bool) -> list[Tended]:
    """Look at each merge request once and do what there is to be done.

    A repair only asks for another go at the shards; once that is done, the next tick sees another change. What goes
    wrong with one request is told, and the others are tended.
    """
    requests = {(request.repo, request.branch): request for request in forge.requests(prefix(job))}
    closed = {place for place, request in requests.items() if request.state == "closed" and store.fact(_closed(place))}
    done = []
    for change, request in (current(change, requests, closed) for change in gathered.changes):
        said = [one for one in request.comments if not store.fact(_heard(request, one))] if request else []
        action = decide(change, request, said, job, learns)
        done.append(_act(job, change, request, said, action, forge, store))
    planned = {(one.shard.repo, one.branch) for one in plan.planned}
    seen = {repo.name for repo in plan.repos}  # of the others nothing is known today
    for (repo, branch), request in requests.items():
        if request.state == "open" and repo in seen and (repo, _AGAIN.sub("", branch)) not in planned:
            done.append(_let_go(request, forge, store))
    return done


def answer(job: Job, forge: Forge, repaired: Iterable[Tended], outcomes: Mapping[str, Outcome]) -> None:
    """Tell reviewers what became of what they asked for; `outcomes`: the latest of each shard."""
    requests = {(request.repo, request.branch): request for request in forge.requests(prefix(job))}
    for done in repaired:
        for outcome in (outcomes[key] for key in done.reopened if key in outcomes):
            forge.comment(requests[done.repo, done.branch], _answered(outcome))


def _answered(outcome: Outcome) -> str:
    name = code(outcome.shard.name)
    before = [
        verdict.edit.files for verdict in outcome.verdicts if any(one.judge == "review" for one in verdict.findings)
    ]
    if outcome.edit and outcome.edit.files not in before[-1:]:
        return f"Umbau changed {name} as you asked (attempt {len(outcome.verdicts)}); every check passes."
    if before and outcome.status == "unchanged":
        return f"Umbau took back what it had changed in {name}, as you asked."
    last = outcome.verdicts[-1:]
    told = "\n".join(one.message for verdict in last for one in verdict.findings)
    said = "".join(verdict.edit.said for verdict in last)
    why = fenced(outcome.error or told or said or "it had nothing more to propose")
    return f"Umbau could not change {name} as you asked, so it stays as it is. The last word on it:\n\n{why}"


def _act(
    job: Job,
    change: Change,
    request: Request | None,
    said: Sequence[Comment],
    action: Action,
    forge: Forge,
    store: Store,
) -> Tended:
    trouble = ""
    reopened: set[str] = set()
    try:
        if action.verb == "push":
            text = describe(job, change)
            request = forge.push(change, commit(change.repo, change.whole, text.message), text)
        elif request and action.verb == "repair":
            reopened.update(key for comment in said for key in _reopen(change, request, comment, store))
        elif request and action.verb == "merge":
            forge.merge(request)
        elif request and action.verb == "close":
            _close(request, action.why, forge, store)
    except (GitError, NotPushed, BadTemplate) as why:
        trouble = str(why)
    url, title = (request.url, request.title) if request else ("", "")
    return Tended(change.repo.name, change.branch, action, url, trouble, tuple(sorted(reopened)), title)


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


def _heard(request: Request, comment: Comment) -> str:
    return f"heard {cause(request, comment)}"


def cause(request: Request, comment: Comment) -> str:
    """Return the name under which shards are opened again for a comment."""
    return f"{request.repo}/{request.branch}#{comment.id}"


def _reopen(change: Change, request: Request, comment: Comment, store: Store) -> list[str]:
    """Hold a comment against the parts that it is about; against all of them when it names no file of theirs. Returns
    their keys."""
    about = [part for part in change.parts if comment.path in part.shard.paths] or list(change.parts)
    if comment.line:
        about = [part for part in about if _covers(change, part, comment)] or about
    place = f"{comment.path}:{comment.line}" if comment.line else comment.path
    for part in about:
        store.reopen(part.shard.key, cause(request, comment), Finding("review", comment.text, place))
    store.keep(_heard(request, comment), True)  # not before all of them are: killed in between, it is read again
    return [part.shard.key for part in about]


def _covers(change: Change, part: Outcome, comment: Comment) -> bool:
    """Say whether the line, which is one of the change's text, is one of the part's."""
    ws = Workspace(change.repo.base, change.whole)
    ends = [ws.lines(span) for span in part.shard.spans if span.path == comment.path]
    return any(first <= comment.line <= last for first, last in ends)
