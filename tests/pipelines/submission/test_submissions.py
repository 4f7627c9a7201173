"""Which submission is the next, and what is said of those that were."""

from __future__ import annotations

import pytest

from pipelines.errors import Refused
from pipelines.submission.submissions import Submission, following, named

FIRST = "umbau-greet-1a2b"


def one(
    id: str = FIRST, status: str = "RUNNING", *, job: str = "greet", revision: str = "1a2b", began: int = 0
) -> Submission:
    code = {"SUCCEEDED": 0, "FAILED": 1}.get(status)
    return Submission(id, job, revision, "0.1.0", "ada", status, code, began)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("status", ["PENDING", "RUNNING"])
def test_what_lives_is_not_started_again(status: str, again: bool) -> None:
    assert following("greet", "1a2b", [one(status=status)], again=again) == one(status=status)


@pytest.mark.parametrize("again", [False, True])
def test_the_first_is_called_by_job_and_revision(again: bool) -> None:
    others = [one("umbau-greet-ffff", "FAILED", revision="ffff"), one("umbau-b-1a2b", job="b")]
    assert following("greet", "1a2b", others, again=again) == FIRST


def test_what_has_succeeded_is_started_again_only_when_asked() -> None:
    done = [one(status="SUCCEEDED")]
    assert following("greet", "1a2b", done, again=False) == done[0]
    assert following("greet", "1a2b", done, again=True) == f"{FIRST}-2"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("STOPPED", "was stopped. `umbau resume`"),
        ("FAILED", "has ended with exit code 1 (rejected shards). `umbau res"),
    ],
)
def test_what_has_ended_otherwise_is_resumed_under_the_next_number(status: str, words: str) -> None:
    with pytest.raises(Refused, match="umbau-greet-1a2b ") as caught:
        following("greet", "1a2b", [one(status=status)], again=False)
    assert words in str(caught.value)
    submissions = [one(f"{FIRST}-10", status), one(f"{FIRST}-9", "SUCCEEDED"), one(status=status)]
    assert following("greet", "1a2b", submissions, again=True) == f"{FIRST}-11"
    with pytest.raises(Refused, match=f"{FIRST}-10 "):
        following("greet", "1a2b", submissions, again=False)


def test_two_revisions_do_not_run_at_once() -> None:
    with pytest.raises(Refused, match="umbau-greet-ffff is running, which is another revision"):
        following("greet", "1a2b", [one("umbau-greet-ffff", revision="ffff")], again=True)


def test_a_name_means_the_last_turn_of_a_job_or_one_submission() -> None:
    submissions = [one(began=1), one(f"{FIRST}-2", began=3), one("umbau-b-1", job="b", began=9)]
    assert named("greet", submissions).id == f"{FIRST}-2"
    assert named(FIRST, submissions).id == FIRST
    with pytest.raises(Refused, match=r"no job grete was submitted to this cluster\. There are: b, greet"):
        named("grete", submissions)
    with pytest.raises(Refused, match="There are: none"):
        named("grete", [])


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [("SUCCEEDED", 0, 0), ("FAILED", 64, 64), ("FAILED", 1, 1), ("FAILED", None, 2), ("STOPPED", None, 130)],
)
def test_exit_codes(status: str, code: int | None, exit_code: int) -> None:
    assert Submission(FIRST, "greet", "1a2b", "0.1.0", "ada", status, code, 0).exit_code == exit_code
