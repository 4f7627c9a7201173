from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.commands import Order
from pipelines.data import Change, Repo
from pipelines.decide import DAY, Action, Seen, decide, hands_off
from pipelines.forge import Comment, Request
from pipelines.job import Job
from pipelines.rules import Rule

NOWHERE = Repo("billing", "/nowhere", "c0ffee", "main")
COMMENT = Comment("1", "ada", "Louder!", "a.py", 2)
CHANGE = Change("j", NOWHERE, "umbau/j/app", "app", (), {"a.py": "x = 2\n"})
NOTHING = replace(CHANGE, whole={})
PART = replace(CHANGE, unfinished=1)
OPEN = Request("billing", "umbau/j/app", CHANGE.digest, "open", "url", head="h1")
OLD, TOUCHED, RED = replace(OPEN, digest="old"), replace(OPEN, touched=True), replace(OPEN, ci="failed")
OK, GREEN, BRANCH = replace(OPEN, approved=True), replace(OPEN, ci="passed"), replace(OPEN, state="branch")
MERGED, CLOSED = replace(OPEN, state="merged"), replace(OPEN, state="closed")
RULE = Rule("ab12cd", "Louder!", "ada", "url", "billing/x t1", "bob")


def job(merge: str = "approved", open_when: str = "at_once", **tend: Any) -> Job:
    request, rollout = {"merge": merge, "tend": tend}, {"open_when": open_when}
    said = {"repos": [{"git": "."}], "steps": [{"rewrite": {"prompt": "x"}}], "merge_request": request}
    return Job.model_validate({"name": "j", "rollout": rollout, **said})


def seen(request: Request | None = None, *orders: str, said: int = 0, **more: Any) -> Seen:
    told = tuple(Order(verb, "ada", f"#{number}") for number, verb in enumerate(orders))
    return Seen(request, (COMMENT,) * said, orders=told, **more)


GREEN_FIRST = job(open_when="green")
NEVER, BEHIND, REMIND = job("never"), job(rebase="behind"), job(remind=3)
QUIET = {"now": 10 * DAY}
OLD_ONE = replace(OPEN, opened=1 * DAY, active=6.5 * DAY)
DECISIONS: list[tuple[Change, Seen, Job, str]] = [
    # Nothing is there yet.
    (CHANGE, seen(), job(), "push: new"),
    (CHANGE, seen(held="max_open: 3 are open"), job(), "wait: max_open: 3 are open"),
    (CHANGE, seen(rules=(RULE,)), job(), "repair: a rule of the job"),
    (NOTHING, seen(), job(), "wait: nothing to propose"),
    (replace(NOTHING, unfinished=1), seen(held="x"), job(), "wait: nothing to propose"),
    # It is over, unless somebody says otherwise.
    (CHANGE, seen(MERGED, "reopen", "retry", said=1), job(), "wait: merged"),
    (CHANGE, seen(replace(CLOSED, digest="old"), said=1), job(), "wait: closed"),
    (CHANGE, seen(CLOSED, "reopen"), job(), "reopen: ada asked for it"),
    (CHANGE, seen(CLOSED, "retry"), job(), "reopen: ada asked for it"),
    (CHANGE, seen(CLOSED, "rebase", "close"), job(), "wait: closed"),
    # People have the first word.
    (CHANGE, seen(replace(OLD, touched=True), "close", stopped=True), job(), "close: ada asked for it"),
    (CHANGE, seen(OLD, "retry", "rebase", stopped=True), job(), "wait: told to stop"),
    (CHANGE, seen(replace(OLD, touched=True)), job(), "wait: somebody else pushed"),
    (NOTHING, seen(TOUCHED), job(), "wait: somebody else pushed"),
    (CHANGE, seen(replace(TOUCHED, head=""), adopted="", replaced=""), job(), "wait: somebody else pushed"),
    (CHANGE, seen(TOUCHED, "retry", "rebase"), job(), "wait: somebody else pushed"),
    (CHANGE, seen(replace(TOUCHED, approved=True, ci="passed"), said=1), job("green"), "wait: somebody else pushed"),
    (CHANGE, seen(TOUCHED, adopted="h0"), job(), "wait: somebody else pushed"),
    (CHANGE, seen(TOUCHED, adopted="h1"), job(), "wait: waits for review"),
    (CHANGE, seen(TOUCHED, adopted="h1", apart=True), job(), "wait: what somebody else pushed does not go together"),
    (CHANGE, seen(OLD, adopted="h0", apart=True), job(), "wait: what somebody else pushed does not go together"),
    (CHANGE, seen(replace(OLD, touched=True), adopted="h1"), job(), "push: the change is another now"),
    (NOTHING, seen(TOUCHED, adopted="h1"), job(), "wait: nothing is left to be proposed but what somebody else"),
    (NOTHING, seen(OPEN, adopted="h0"), job(), "wait: nothing is left to be proposed but what somebody else"),
    (CHANGE, seen(TOUCHED, replaced="h0"), job(), "wait: somebody else pushed"),
    (CHANGE, seen(TOUCHED, "retry", replaced="h1"), job(), "retry: ada asked for it"),
    (CHANGE, seen(TOUCHED, replaced="h1"), job(), "push: in place of what somebody else pushed"),
    (CHANGE, seen(OPEN, replaced="h0"), job(), "wait: waits for review"),
    (CHANGE, seen(OLD, "rebase", "retry"), job(), "retry: ada asked for it"),
    # What the branch holds.
    (NOTHING, seen(OPEN, said=1), job(), "close: nothing is left"),
    (replace(NOTHING, unfinished=1), seen(OPEN), job(), "wait: its shards have failed or are not done"),
    (CHANGE, seen(OLD, said=1), job(), "push: the change is another now"),
    (PART, seen(OLD), job(), "push: the change is another now"),
    (PART, seen(OLD, holds=("a.py",)), job(), "push: the change is another now"),
    (PART, seen(replace(OLD, approved=True), holds=("a.py", "b.py")), job(), "wait: its shards have failed"),
    (CHANGE, seen(OLD, holds=("a.py", "b.py")), job(), "push: the change is another now"),
    (CHANGE, seen(replace(OLD, approved=True)), job(), "push: the change is another now"),
    (CHANGE, seen(replace(OLD, approved=True), moved=True, stands=True), NEVER, "wait: approved"),
    (CHANGE, seen(replace(OK, conflicts=True)), job(), "wait: conflicts with its base"),
    (CHANGE, seen(replace(OK, conflicts=True), moved=True), job(), "push: conflicts with its base branch: made anew"),
    (CHANGE, seen(OK, moved=True, conflicts=True), job(), "push: conflicts with its base branch: made anew"),
    (CHANGE, seen(OK, moved=True), NEVER, "wait: approved"),
    (CHANGE, seen(OK, moved=True), BEHIND, "rebase: its base branch has moved"),
    (CHANGE, seen(OK), BEHIND, "merge: approved"),
    (CHANGE, seen(OK, "rebase"), job(), "rebase: ada asked for it"),
    (CHANGE, seen(replace(OK, conflicts=True), "rebase"), job(), "wait: conflicts"),
    # What reviewers and pipelines say.
    (CHANGE, seen(OPEN, said=1), job(), "repair: 1 comment to see to"),
    (CHANGE, seen(OPEN, said=2), job(), "repair: 2 comments to see to"),
    (CHANGE, seen(replace(OK, ci="failed"), said=1), job(), "repair: 1 comment"),
    (CHANGE, seen(OPEN, said=1, rules=(RULE,)), job(), "repair: a rule of the job"),
    (CHANGE, seen(RED), job(), "repair: its pipeline failed: repair 1 of 3"),
    (CHANGE, seen(RED, repaired=("h0",)), job(), "repair: its pipeline failed: repair 2 of 3"),
    (CHANGE, seen(RED, repaired=("h1",)), job(), "wait: its pipeline failed, and waits for a person: 1 repair did not"),
    (
        CHANGE,
        seen(RED, repaired=("a", "b", "c")),
        job(),
        "wait: its pipeline failed, and waits for a person: 3",
    ),
    (CHANGE, seen(RED), job(ci_attempts=0), "wait: its pipeline failed, and waits for a person: `ci_attempts`"),
    (CHANGE, seen(RED, moved=True), job(), "repair: its pipeline failed"),
    (CHANGE, seen(replace(RED, touched=True), adopted="h1"), job(), "repair: its pipeline failed"),
    # Branches without a request.
    (CHANGE, seen(BRANCH), job(), "open: nothing speaks against it"),
    (CHANGE, seen(BRANCH, held="per_hour"), job(), "wait: per_hour"),
    (CHANGE, seen(BRANCH), GREEN_FIRST, "wait: opened once the pipeline of its branch has passed"),
    (CHANGE, seen(replace(BRANCH, ci="pending")), GREEN_FIRST, "wait: opened once"),
    (CHANGE, seen(replace(BRANCH, ci="passed")), GREEN_FIRST, "open: nothing speaks against it"),
    (CHANGE, seen(replace(BRANCH, ci="passed"), held="max_open"), GREEN_FIRST, "wait: max_open"),
    (CHANGE, seen(replace(BRANCH, ci="failed")), GREEN_FIRST, "repair: its pipeline failed"),
    (CHANGE, seen(replace(BRANCH, ci="failed"), repaired=("h1",)), GREEN_FIRST, "wait: its pipeline failed"),
    (NOTHING, seen(BRANCH), GREEN_FIRST, "close: nothing is left"),
    (CHANGE, seen(replace(BRANCH, touched=True)), GREEN_FIRST, "wait: somebody else pushed"),
    # Merging.
    (CHANGE, seen(OK), job(), "merge: approved"),
    (CHANGE, seen(replace(OK, ci="passed")), job(), "merge: approved"),
    (CHANGE, seen(replace(OK, ci="pending")), job(), "wait: approved"),
    (CHANGE, seen(replace(OK, draft=True)), job(), "wait: approved"),
    (CHANGE, seen(OK), NEVER, "wait: approved"),
    (CHANGE, seen(GREEN), NEVER, "wait: waits for review"),
    (CHANGE, seen(GREEN), job("green"), "merge: green"),
    (CHANGE, seen(replace(GREEN, draft=True)), job("green"), "wait: waits for review"),
    (CHANGE, seen(OPEN), job("green"), "wait: waits for review"),
    (CHANGE, seen(OK), job("green"), "wait: approved"),
    # Patience.
    (CHANGE, seen(OLD_ONE, **QUIET), REMIND, "remind: nobody has said anything for 3 days"),
    (
        CHANGE,
        seen(replace(OLD_ONE, approved=True), **QUIET),
        job("never", remind=1),
        "remind: nobody has said anything for 1 day",
    ),
    (CHANGE, seen(replace(OLD_ONE, active=7.5 * DAY), **QUIET), REMIND, "wait: waits for review"),
    (CHANGE, seen(replace(OLD_ONE, active=0.0, opened=8 * DAY), **QUIET), REMIND, "wait: waits for review"),
    (CHANGE, seen(OLD_ONE, **QUIET), job(), "wait: waits for review"),
    (CHANGE, seen(replace(OLD_ONE, draft=True), **QUIET), REMIND, "wait: waits for review"),
    (CHANGE, seen(OLD_ONE, reminded=9 * DAY, candidates=("cy",), **QUIET), REMIND, "wait: waits for review"),
    (
        CHANGE,
        seen(OLD_ONE, reminded=6.9 * DAY, candidates=("cy", "di"), **QUIET),
        REMIND,
        "ask: still nobody: cy",
    ),
    (CHANGE, seen(OLD_ONE, reminded=6.9 * DAY, **QUIET), REMIND, "wait: waits for review"),
    (
        CHANGE,
        seen(OLD_ONE, reminded=1 * DAY, asked=True, candidates=("cy",), **QUIET),
        REMIND,
        "wait: waits for review",
    ),
    (CHANGE, seen(replace(OLD_ONE, state="branch"), **QUIET), job(remind=3, open_when="green"), "wait: opened once"),
]


@pytest.mark.parametrize("row", DECISIONS, ids=lambda row: row[3])
def test_decisions(row: tuple[Change, Seen, Job, str]) -> None:
    change, what, spec, expected = row
    action = decide(change, what, spec, True)
    assert f"{action.verb}: {action.why}".startswith(expected)


UNABLE = "the job has no model that could be told"


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (seen(OPEN, said=1), f"wait: a comment waits for a person: {UNABLE}"),
        (seen(replace(OK, ci="passed"), said=1), f"wait: a comment waits for a person: {UNABLE}"),
        (seen(RED), f"wait: its pipeline failed, and waits for a person: {UNABLE}"),
        (seen(rules=(RULE,)), "push: new"),
        (seen(OK, rules=(RULE,)), "merge: approved"),
        (seen(OPEN, "retry"), "retry: ada asked for it"),
    ],
)
def test_where_no_step_learns(what: Seen, expected: str) -> None:
    action = decide(CHANGE, what, job(), False)
    assert f"{action.verb}: {action.why}" == expected


@pytest.mark.parametrize(
    ("what", "notice"),
    [
        (seen(TOUCHED), "touched"),
        (seen(OPEN, adopted="h0", apart=True), "apart"),
        (seen(RED, repaired=("h1",)), "red"),
        (seen(RED), ""),
        (seen(OPEN), ""),
    ],
)
def test_what_is_said_on_the_request(what: Seen, notice: str) -> None:
    assert decide(CHANGE, what, job(), True).notice == notice


def test_hands_are_off_until_somebody_says_otherwise_of_just_that_commit() -> None:
    assert hands_off(seen(TOUCHED)) == Action("wait", "somebody else pushed to the branch: hands off", "touched")
    assert hands_off(seen(TOUCHED, adopted="h1")) is None
    assert hands_off(seen(TOUCHED, replaced="h1", apart=True)) is None
    assert hands_off(seen(replace(TOUCHED, head="h2"), adopted="h1", replaced="h1")) is not None


HEADS = st.sampled_from(["", "h1", "h2"])
REQUESTS = st.builds(
    Request,
    repo=st.just("billing"),
    branch=st.just("umbau/j/app"),
    digest=st.sampled_from([CHANGE.digest, "old"]),
    state=st.sampled_from(["branch", "open", "merged", "closed"]),
    url=st.just("url"),
    ci=st.sampled_from(["none", "pending", "passed", "failed"]),
    approved=st.booleans(),
    conflicts=st.booleans(),
    touched=st.booleans(),
    head=HEADS,
    draft=st.booleans(),
    active=st.sampled_from([0.0, 9 * DAY]),
)
VERBS = st.sampled_from(["retry", "rebase", "close", "reopen"])
ANYTHING = st.builds(
    Seen,
    request=REQUESTS,
    said=st.sampled_from([(), (COMMENT,)]),
    holds=st.sampled_from([(), ("a.py",), ("a.py", "b.py")]),
    rules=st.sampled_from([(), (RULE,)]),
    orders=st.lists(st.builds(Order, VERBS, st.just("ada"), st.just("#1")), max_size=2),
    stopped=st.booleans(),
    adopted=HEADS,
    replaced=HEADS,
    apart=st.booleans(),
    moved=st.booleans(),
    stands=st.booleans(),
    conflicts=st.booleans(),
    repaired=st.sampled_from([(), ("h1",), ("h1", "h2", "h3")]),
    reminded=st.sampled_from([0.0, DAY]),
    asked=st.booleans(),
    candidates=st.sampled_from([(), ("cy",)]),
    held=st.sampled_from(["", "max_open"]),
    now=st.just(10 * DAY),
)
JOBS = st.sampled_from([job(), NEVER, BEHIND, REMIND, GREEN_FIRST, job("green"), job("green", "green", remind=1)])


@settings(max_examples=500)
@given(st.sampled_from([CHANGE, NOTHING, PART, replace(NOTHING, unfinished=1)]), ANYTHING, JOBS, st.booleans())
def test_what_never_happens(change: Change, what: Seen, spec: Job, learns: bool) -> None:
    verb, request = decide(change, what, spec, learns).verb, what.request
    assert request
    ordered = {order.verb for order in what.orders}
    if request.state in {"merged", "closed"}:
        assert verb == "wait" or (verb == "reopen" and request.state == "closed" and ordered & {"reopen", "retry"})
        return
    theirs = request.touched and request.head not in {what.adopted, what.replaced} - {""}
    if theirs or what.stopped:
        assert verb == "wait" or (verb == "close" and "close" in ordered), "hands are off"
    if verb == "close":
        assert "close" in ordered or not (change.whole or change.unfinished or what.adopted or theirs)
    if verb == "merge":
        assert request.state == "open" and not request.draft and not (request.conflicts or what.conflicts)
        assert request.ci == "passed" or (request.approved and request.ci == "none")
        assert request.digest == change.digest or what.stands
        assert not what.said and spec.merge_request.merge != "never"
    if verb == "open":
        assert request.state == "branch" and not what.held
        assert request.ci == "passed" or spec.rollout.open_when == "at_once"
    if verb == "repair":
        assert learns
    if verb in {"remind", "ask"}:
        assert spec.merge_request.tend.remind and request.state == "open"
    if verb in {"push", "rebase"} and request.approved:
        due = request.digest != change.digest and not what.stands
        conflicts = (request.conflicts or what.conflicts) and what.moved
        behind = what.moved and spec.merge_request.tend.rebase == "behind"
        assert due or conflicts or behind or "rebase" in ordered or request.touched, "approvals survive"
