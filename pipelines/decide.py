"""change, request -> action: what there is to be done about a merge request. Pure: it looks at values alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.commands import Order
from pipelines.data import Change
from pipelines.forge import Comment, Request
from pipelines.job import Job
from pipelines.rules import Rule

DAY = 86_400.0  # seconds
Verb = Literal["push", "repair", "retry", "rebase", "open", "merge", "close", "reopen", "remind", "ask", "wait"]
Notice = Literal["", "touched", "apart", "red"]
"""What is said on the request, once: somebody else pushed; what they pushed does not go together with the change; a
failed pipeline waits for a person."""


@dataclass(frozen=True, slots=True)
class Action:
    verb: Verb
    why: str
    notice: Notice = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to know of a merge request when it is decided what to do about it."""

    request: Request | None = None
    """None: there is none yet."""
    said: Sequence[Comment] = ()
    """Comments that nobody has seen to yet."""
    holds: Sequence[str] = ()
    """Files of what Umbau pushed last, as far as that is known."""
    rules: Sequence[Rule] = ()
    """Rules of the job that are not held against its shards yet."""
    orders: Sequence[Order] = ()
    """What people with write access asked for and is not done yet."""
    stopped: bool = False
    """Somebody told Umbau to keep its hands off."""
    adopted: str = ""
    """The last commit of somebody else that Umbau was told to go on from."""
    replaced: str = ""
    """The last commit of somebody else that Umbau was told to replace."""
    turns: int = 0
    """How often people told it to go on after somebody else had pushed."""
    apart: bool = False
    """What somebody else pushed and the change as it is now do not go together."""
    moved: bool = False
    """The change is made for another commit of the base than what Umbau pushed last."""
    stands: bool = False
    """Only the base has moved: what is on the branch is still what was asked for, and git can merge it."""
    conflicts: bool = False
    """git cannot merge it into the base as it is now; the forge may not have noticed yet."""
    repaired: Sequence[str] = ()
    """Commits whose failed pipelines were seen to."""
    reminded: float = 0.0
    """When it was said that nobody says anything; seconds since 1970, 0: it was not."""
    asked: bool = False
    """One more reviewer was asked after that."""
    candidates: Sequence[str] = ()
    """Who could be asked."""
    held: str = ""
    """Why nothing may be opened now."""
    now: float = 0.0

    def ordered(self, verb: str) -> Order | None:
        """Return the first order of that kind."""
        return next((order for order in self.orders if order.verb == verb), None)


def decide(change: Change, seen: Seen, job: Job, learns: bool) -> Action:
    """Say what to do about one merge request. `learns`: whether a step of the job does better when it is told what is
    wrong."""
    request = seen.request
    if request is None:
        return _opened(change, seen, learns)
    if request.state in {"merged", "closed"}:
        order = seen.ordered("reopen") or seen.ordered("retry")
        return Action("reopen", order.why) if order and request.state == "closed" else Action("wait", request.state)
    if order := seen.ordered("close"):
        return Action("close", order.why)
    if seen.stopped:
        return Action("wait", "told to stop: hands off")
    if hands := hands_off(seen):
        return hands
    if order := seen.ordered("retry"):
        return Action("retry", order.why)
    if change.unfinished and not (change.whole and change.whole.keys() >= set(seen.holds)):
        return Action("wait", "its shards have failed or are not done yet")
    if not change.whole and seen.adopted:
        return Action("wait", "nothing is left to be proposed but what somebody else pushed")
    if not change.whole:
        return Action("close", "nothing is left to be proposed")
    return (
        _pushed(change, request, seen, job)
        or _reviewed(request, seen, job, learns)
        or _patient(seen, job, _state(request, seen, learns))
    )


def hands_off(seen: Seen) -> Action | None:
    """Say whether the branch is somebody else's for now, and why. Nothing but their word ends that."""
    request = seen.request
    if not request or (seen.replaced and request.head == seen.replaced):
        return None
    if request.touched and (not seen.adopted or request.head != seen.adopted):
        return Action("wait", "somebody else pushed to the branch: hands off", "touched")
    if seen.apart:
        return Action("wait", "what somebody else pushed does not go together with the change: hands off", "apart")
    return None


def _opened(change: Change, seen: Seen, learns: bool) -> Action:
    if not change.whole:
        return Action("wait", "nothing to propose")
    if seen.rules and learns:
        return Action("repair", "a rule of the job has come")
    return Action("wait", seen.held) if seen.held else Action("push", "new")


def _pushed(change: Change, request: Request, seen: Seen, job: Job) -> Action | None:
    """See to what the branch holds; None when it is as it should be. A base that has only moved is no reason: approvals
    would be lost."""
    if request.touched and seen.replaced:  # else it would be hands off
        return Action("push", "in place of what somebody else pushed, as asked")
    if request.digest != change.digest and not seen.stands:
        return Action("push", "the change is another now")
    conflicts = request.conflicts or seen.conflicts
    if conflicts and seen.moved:
        return Action("push", "conflicts with its base branch: made anew on it")
    if conflicts:
        return Action("wait", "conflicts with its base branch, which has moved")
    if order := seen.ordered("rebase"):
        return Action("rebase", order.why)
    behind = seen.moved and job.merge_request.tend.rebase == "behind"
    return Action("rebase", "its base branch has moved") if behind else None


def _reviewed(request: Request, seen: Seen, job: Job, learns: bool) -> Action | None:
    """See to what reviewers and pipelines say; None when there is nothing to be done."""
    most, mode = job.merge_request.tend.ci_attempts, job.merge_request.merge
    if seen.rules and learns:
        return Action("repair", "a rule of the job has come")
    if seen.said and learns:
        return Action("repair", f"{len(seen.said)} comment{'s' * (len(seen.said) > 1)} to see to")
    if request.ci == "failed" and learns and request.head not in seen.repaired and len(seen.repaired) < most:
        return Action("repair", f"its pipeline failed: repair {len(seen.repaired) + 1} of {most}")
    if request.state == "branch" and request.ci != "passed" and job.rollout.open_when == "green":
        return None if request.ci == "failed" else Action("wait", "opened once the pipeline of its branch has passed")
    if request.state == "branch":
        return Action("wait", seen.held) if seen.held else Action("open", "nothing speaks against it")
    if seen.said or request.draft:
        return None
    if mode == "approved" and request.approved and request.ci in {"none", "passed"}:
        return Action("merge", "approved")
    return Action("merge", "green") if mode == "green" and request.ci == "passed" else None


def _state(request: Request, seen: Seen, learns: bool) -> Action:
    """Say what the request waits for, where there is nothing to be done."""
    if seen.said:
        return Action("wait", "a comment waits for a person: the job has no model that could be told")
    if request.ci == "failed":
        count = len(seen.repaired)
        helped = f"{count} repair{'s' * (count > 1)} did not help" if count else "`ci_attempts` is 0"
        why = helped if learns else "the job has no model that could be told"
        return Action("wait", f"its pipeline failed, and waits for a person: {why}", "red")
    return Action("wait", "approved" if request.approved else "waits for review")


def _patient(seen: Seen, job: Job, waits: Action) -> Action:
    """Wait; after days without a word say so, and after as many more ask one more reviewer."""
    request, days = seen.request, job.merge_request.tend.remind
    if not days or not request or request.state != "open" or request.draft or waits.notice:
        return waits
    silent = (seen.now - max(request.active, request.opened, seen.reminded)) / DAY
    if silent < days or seen.asked:
        return waits
    if not seen.reminded:
        return Action("remind", f"nobody has said anything for {days:g} day{'s' * (days != 1)}")
    return Action("ask", f"still nobody: {seen.candidates[0]} is asked") if seen.candidates else waits
