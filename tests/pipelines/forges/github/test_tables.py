"""What GitHub says and what is made of it, case by case."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest
from github.GithubException import GithubException
from hypothesis import given
from hypothesis import strategies as st

from pipelines.forge import Comment
from pipelines.forges.github.ci import ended, printable, summed, tail
from pipelines.forges.github.client import PAUSE, asked_to_wait, brief, fleeting, lacking, said_by, secondary
from pipelines.forges.github.known import Known, Listing, Pull, Review, approvers, comments, later
from pipelines.forges.github.open import late
from pipelines.forges.github.watch import enough

NOW = 1_800_000_000.0


def answered(status: int, message: str = "", **headers: str) -> GithubException:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return GithubException(status, {"message": message} if message else None, told)


@pytest.mark.parametrize(
    ("error", "before", "seconds"),
    [
        (answered(429, retry_after="7"), 0, 7.0),
        (answered(403, "secondary rate limit", retry_after="60"), 2, 60.0),
        (answered(429, retry_after=formatdate(NOW + 90, usegmt=True)), 0, 90.0),
        (answered(429, retry_after=formatdate(NOW - 90, usegmt=True)), 0, 1.0),
        (answered(403, x_ratelimit_remaining="0", x_ratelimit_reset=str(int(NOW) + 30)), 0, 31.0),
        (answered(403, x_ratelimit_remaining="0", x_ratelimit_reset=str(int(NOW) - 30)), 0, 1.0),
        (answered(403, "You have exceeded a secondary rate limit."), 0, PAUSE),
        (answered(403, "You have exceeded a secondary rate limit."), 2, 4 * PAUSE),
        (answered(429), 1, 2 * PAUSE),
        (answered(429, retry_after="soon"), 0, PAUSE),
        (answered(403, "Resource not accessible by integration"), 0, None),
        (answered(403, x_ratelimit_remaining="12", x_ratelimit_reset=str(int(NOW) + 30)), 0, None),
        (answered(500), 0, None),
        (ConnectionError(), 0, None),
    ],
)
def test_for_how_long_github_asks_to_be_left_alone(error: Exception, before: int, seconds: float | None) -> None:
    assert asked_to_wait(error, before, NOW) == seconds


@pytest.mark.parametrize(
    ("error", "too_fast"),
    [
        (answered(403, "secondary rate limit", retry_after="60", X_RateLimit_Remaining="4711"), True),
        (answered(429), True),
        (answered(403, x_ratelimit_remaining="0", x_ratelimit_reset=str(int(NOW) + 30)), False),
    ],
)
def test_whether_it_was_too_fast(error: Exception, too_fast: bool) -> None:
    assert secondary(error) == too_fast


@pytest.mark.parametrize(
    ("branches", "read"),
    [(set(), 100), ({"part1"}, 100), ({"part150"}, 100), ({"part150", "part180"}, 200), ({"gone", "part1"}, 100)],
)
def test_how_many_requests_are_read_when_nothing_is_known_yet(branches: set[str], read: int) -> None:
    """A page more is read where more than one branch a page would have to be asked for else."""
    listed = (_pull(number, branch=f"part{number}") for number in range(1000))
    assert len([*enough(listed, branches)]) == read
    assert len([*enough(listed, ())]) == 100


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (answered(500), True),
        (answered(502), True),
        (answered(408), True),
        (answered(404), False),
        (answered(422), False),
        (TimeoutError(), True),
        (ValueError("half an answer"), True),
    ],
)
def test_what_may_be_otherwise_the_next_time(error: Exception, again: bool) -> None:
    assert fleeting(error) == again


def test_what_github_says_is_told_with_its_details() -> None:
    errors = [
        {"message": "A pull request already exists for a:b."},
        {"resource": "R", "field": "head", "code": "invalid"},
    ]
    error = GithubException(422, {"message": "Validation Failed", "errors": [*errors, "odd"]}, {})
    assert said_by(error) == "Validation Failed - A pull request already exists for a:b. - R head: invalid - odd"
    assert late("R head: invalid")
    assert late("A pull request already exists for a:b.")
    assert not late("No commits between main and b")


def test_foreign_words_are_told_in_one_line() -> None:
    assert brief("Resource\x1b[31m not\r\n found\u202e") == "Resource[31m not found"
    assert len(brief("x" * 10_000)) < 500


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        (
            {"X-Accepted-GitHub-Permissions": "contents=write; pull_requests=write"},
            "contents=write; pull_requests=write",
        ),
        ({"X-Accepted-OAuth-Scopes": "repo"}, "needs repo"),
        ({"X-GitHub-SSO": "required; url=https://github.com/orgs/x/sso?a=b"}, "single sign-on"),
        ({"X-Accepted-OAuth-Scopes": ""}, ""),
        ({}, ""),
    ],
)
def test_which_right_is_missing(headers: dict[str, str], says: str) -> None:
    assert says in lacking(headers)
    assert bool(lacking(headers)) == bool(says)


@pytest.mark.parametrize(
    ("runs", "status", "ci"),
    [
        ([], "", "none"),
        ([("completed", "success")], "", "passed"),
        ([("completed", "neutral"), ("completed", "skipped")], "", "passed"),
        ([("queued", None)], "", "pending"),
        ([("completed", "failure"), ("in_progress", None)], "", "pending"),
        ([("completed", "failure"), ("completed", "action_required")], "", "failed"),
        ([("completed", "success"), ("completed", "action_required")], "", "pending"),
        ([("completed", "cancelled")], "", "failed"),
        ([("completed", "timed_out")], "success", "failed"),
        ([("completed", "success")], "pending", "pending"),
        ([("completed", "success")], "failure", "failed"),
        ([], "error", "failed"),
        ([], "success", "passed"),
    ],
)
def test_check_runs_and_statuses_together(runs: list[tuple[str, str | None]], status: str, ci: str) -> None:
    assert summed(runs, status) == ci


def test_when_ci_will_say_no_more() -> None:
    assert ended("passed", 0)
    assert ended("failed", 0)
    assert not ended("pending", 1e9)
    assert not ended("none", 60)
    assert ended("none", 3600)


@pytest.mark.parametrize(
    ("reviews", "good"),
    [
        ([], False),
        ([("ada", "APPROVED", "head", True)], True),
        ([("ada", "APPROVED", "old", True)], False),
        ([("reader", "APPROVED", "head", False)], False),
        ([("ada", "APPROVED", "head", True), ("ada", "COMMENTED", "head", True)], True),
        ([("ada", "APPROVED", "head", True), ("ada", "CHANGES_REQUESTED", "head", True)], False),
        ([("ada", "CHANGES_REQUESTED", "old", True), ("bo", "APPROVED", "head", True)], False),
        ([("ada", "DISMISSED", "old", True), ("bo", "APPROVED", "head", True)], True),
        ([("ada", "CHANGES_REQUESTED", "old", True), ("ada", "APPROVED", "head", True)], True),
        ([("reader", "CHANGES_REQUESTED", "old", False), ("ada", "APPROVED", "head", True)], True),
    ],
)
def test_who_has_approved(reviews: list[tuple[str, str, str, bool]], good: bool) -> None:
    told = [
        Review(n, who, state, commit, "", float(n), counts) for n, (who, state, commit, counts) in enumerate(reviews)
    ]
    assert bool(approvers(told, {"head", "pushed"})) == good
    assert bool(approvers(reversed(told), {"head", "pushed"})) == good  # whatever order they are listed in


def _pull(number: int, state: str = "open", branch: str = "b") -> Pull:
    return Pull(number, branch, "main", "h", state, "", "", "umbau", "j", "d", False, 0.0, 0.0, (), (), (), "", "body")  # type: ignore[arg-type]


def test_of_several_requests_for_a_branch_the_open_one_counts_else_the_last() -> None:
    assert later(_pull(1), _pull(2, "closed")) == _pull(1)
    assert later(_pull(1, "merged"), _pull(2, "closed")).number == 2
    listing = Listing()
    listing.take(_pull(1, "closed"))
    listing.known["b"].said["comment-1"] = Comment("comment-1", "ada", "why?")
    listing.take(_pull(1, "open"))
    assert (listing.known["b"].pull.state, list(listing.known["b"].said)) == ("open", ["comment-1"])
    assert listing.known["b"].pull.body == ""
    listing.take(_pull(2))
    assert (listing.known["b"].pull.number, listing.known["b"].said) == (2, {})


def test_what_was_approved_afterwards_is_settled() -> None:
    known = Known(_pull(1), {"comment-1": Comment("comment-1", "ada", "why?", at=1.0)})
    known.reviews = [Review(7, "ada", "APPROVED", "h", "Now it is fine.", 2.0, True)]
    assert [(one.text, one.settled) for one in comments(known)] == [("why?", True), ("Now it is fine.", True)]
    wants = Review(8, "bo", "CHANGES_REQUESTED", "h", "No.", 3.0, True)
    known.reviews = [replace(known.reviews[0], counts=False), wants]
    assert [(one.text, one.settled) for one in comments(known)][1:] == [("Now it is fine.", False), ("No.", False)]


def test_what_was_said_in_one_second_stays_in_order() -> None:
    said = [Comment(f"comment-{number}", "ada", str(number), at=1.0) for number in (10, 9, 11)]
    assert [one.text for one in comments(Known(_pull(1), {one.id: one for one in said}))] == ["9", "10", "11"]


@given(st.text(), st.integers(1, 50))
def test_an_end_is_never_longer_than_asked_for(text: str, most: int) -> None:
    assert len(tail(text, most).encode(errors="replace")) <= most or tail(text, most) == text


def test_logs_are_told_without_what_acts_on_a_terminal() -> None:
    log = (
        "2026-01-01T00:00:00.1234567Z \x1b[36;1mrun\x1b[0m\r\n\x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x9b31m\u202e\n"
    )
    assert printable(log) == "run\nlink31m\n"


def test_a_job_that_is_not_on_github_does_not_pay_for_its_client() -> None:
    code = "import sys, pipelines.cli, pipelines.tend, pipelines.job; print('github' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert done.stdout.strip() == "False"
