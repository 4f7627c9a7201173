"""What GitLab's answers mean, and what is changed of a merge request: pure functions."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.forges.gitlab import seen
from pipelines.forges.gitlab.api import instant, written
from pipelines.forges.gitlab.log import LINES, ending
from pipelines.forges.gitlab.push import difference, opening, wanted

# https://docs.gitlab.com/api/pipelines/#list-project-pipelines
PENDING = ("created", "waiting_for_resource", "waiting_for_callback", "preparing", "pending", "running", "scheduled")
EVERY = {
    **dict.fromkeys((*PENDING, "manual", "canceling", "something_new"), "pending"),
    **{"success": "passed", "failed": "failed", "canceled": "failed", "skipped": "none", None: "none"},
}


@pytest.mark.parametrize(("status", "meant"), EVERY.items())
def test_pipelines(status: str | None, meant: str) -> None:
    assert seen.ci(status) == meant


@pytest.mark.parametrize(
    ("told", "conflicts", "settled"),
    [
        ({"has_conflicts": False, "detailed_merge_status": "mergeable"}, False, True),
        ({"has_conflicts": True, "detailed_merge_status": "conflict"}, True, True),
        ({"has_conflicts": False, "detailed_merge_status": "conflict"}, True, True),
        ({"has_conflicts": False, "detailed_merge_status": "checking"}, False, False),
        ({"has_conflicts": False, "detailed_merge_status": "unchecked"}, False, False),
        ({"has_conflicts": False, "merge_status": "unchecked"}, False, False),  # before GitLab 15.6
        ({"has_conflicts": False, "detailed_merge_status": "not_approved"}, False, True),
    ],
)
def test_conflicts(told: dict[str, Any], conflicts: bool, settled: bool) -> None:
    assert seen.mergeability(told) == {"conflicts": conflicts, "settled": settled}


@pytest.mark.parametrize(
    ("told", "times", "pushed", "approved"),
    [
        ({"approved": True, "approvals_required": 0}, [], 5.0, False),  # nobody has to, and nobody did
        ({"approved": True, "approvals_required": 0}, [6.0], 5.0, True),
        ({"approved": True, "approvals_required": 0}, [4.0], 5.0, False),
        ({"approved": True}, [4.0, 6.0], 5.0, True),  # the free tier tells of no requirement
        ({"approved": True}, [0.0], 5.0, False),  # nor when it was
        ({"approved": True, "approvals_required": 1}, [4.0], 5.0, True),  # GitLab takes it away, if that is the rule
        ({"approved": False, "approvals_required": 2}, [6.0], 5.0, False),
    ],
)
def test_approvals(told: dict[str, Any], times: list[float], pushed: float, approved: bool) -> None:
    assert seen.approved(told, times, pushed) == approved


FIELDS: dict[str, Any] = {
    "title": "Modernise",
    "description": "What changed.",
    "labels": ["umbau"],
    "draft": False,
    "assignees": [1],
    "reviewers": [2, 3],
    "milestone": 7,
    "squash": True,
    "delete_branch": True,
}
THERE: dict[str, Any] = {
    "title": "Modernise",
    "description": "What changed.",
    "labels": ["umbau"],
    "draft": False,
    "assignees": [{"id": 1}],
    "reviewers": [{"id": 2}, {"id": 3}],
    "milestone": {"id": 7},
    "squash": True,
    "force_remove_source_branch": True,
}


@pytest.mark.parametrize(
    ("fields", "last", "there", "changed"),
    [
        ({}, wanted(FIELDS), {}, {}),
        ({}, wanted(FIELDS), {"description": "What changed.\n"}, {}),
        ({"description": "More."}, wanted(FIELDS), {}, {"description": "More."}),
        ({"title": "All"}, wanted(FIELDS), {}, {"title": "All"}),
        ({"title": "All"}, wanted(FIELDS), {"title": "Draft: Mine", "draft": True}, {"title": "Draft: All"}),
        ({}, wanted(FIELDS), {"title": "Draft: Mine", "draft": True}, {}),
        ({"draft": True}, wanted(FIELDS), {"title": "Mine"}, {"title": "Draft: Mine"}),
        ({}, {**wanted(FIELDS), "draft": True}, {"title": "[Draft] Mine", "draft": True}, {"title": "Mine"}),
        ({"labels": ["new"]}, wanted(FIELDS), {}, {"add_labels": "new", "remove_labels": "umbau"}),
        ({}, wanted(FIELDS), {"labels": ["team"]}, {}),  # somebody took ours away
        ({"reviewers": [4]}, wanted(FIELDS), {}, {"reviewer_ids": [2, 3, 4]}),
        ({}, wanted(FIELDS), {"reviewers": []}, {}),
        ({"milestone": 0}, wanted(FIELDS), {}, {"milestone_id": 0}),
        ({"squash": False}, wanted(FIELDS), {}, {"squash": False}),
        ({}, {}, {"labels": [], "squash": False}, {"add_labels": "umbau", "milestone_id": 7, "squash": True}),
    ],
)
def test_what_is_changed_of_a_request(
    fields: dict[str, Any], last: dict[str, Any], there: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert difference(FIELDS | fields, last, THERE | there) == changed


def test_what_is_opened_is_not_changed_at_once() -> None:
    data = opening(FIELDS)
    assert data["labels"] == "umbau" and data["reviewer_ids"] == [2, 3] and data["remove_source_branch"] is True
    assert len(opening(FIELDS | {"title": "x" * 300, "draft": True})["title"]) == 255
    assert "milestone_id" not in opening(FIELDS | {"milestone": 0})


@pytest.mark.parametrize("text", ["2026-11-29T10:00:00.123Z", "2026-11-29T11:00:00.123+01:00"])
def test_times(text: str) -> None:
    assert written(instant(text)) == "2026-11-29T10:00:00.123Z"
    assert instant(None) == 0.0


def test_the_end_of_a_trace() -> None:
    trace = (
        "\x1b[0KRunning with gitlab-runner\r\n"
        "section_start:1560896352:step_script\r\x1b[0K\x1b[0K\x1b[36;1mExecuting\x1b[0;m\r\n"
        "Downloading 10 %\rDownloading 100 %\n"
        "2026-11-29T10:00:00.123456Z 01O FAILED tests/test_a.py::test_a\n"
        "section_end:1560896353:step_script\r\x1b[0K"
        "\x1b]8;;https://example.eu\x07link\x1b]8;;\x07\n\n"
    )
    assert ending(trace).splitlines() == [
        *("Running with gitlab-runner", "Executing", "Downloading 100 %"),
        *("FAILED tests/test_a.py::test_a", "link"),
    ]
    assert ending("".join(f"{number}\n" for number in range(1000))).split() == [str(one) for one in range(900, 1000)]


@given(st.text(alphabet=st.sampled_from("\x1b[]0;mK\r\n ab:section_start1") | st.characters()))
def test_any_trace_has_an_end(trace: str) -> None:
    told = ending(trace)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", told)
    assert len(told.split("\n")) <= LINES and len(told) <= len(trace)
