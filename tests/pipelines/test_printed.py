from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from operators.data import Edit, Finding, Outcome, Shard, Span, Verdict
from operators.workspace import Workspace
from pipelines.data import Change, Dropped, LeftOut, Plan, Planned, Repo, Shards
from pipelines.gather import Gathered
from pipelines.job import Job
from pipelines.printed import LISTED, Standing, as_json, diff, outcome_text, plan_text, reason, standing, standing_text
from pipelines.tend import Action, Tended
from tests.conftest import Checkout
from tests.operators.conftest import base_of

REPO = Repo("billing", "/nowhere", "c0ffee", "main")
NOTHING = Gathered((), {})
FAULT = Finding("tests", "`pytest -q`: 1 newly failing: test_a\nE  assert 1 == 2", "a.py")
GOOD, BAD = Verdict(Edit({"a.py": "x = 2\n"}), (), ("inside: fine",)), Verdict(Edit({"a.py": "x = 3\n"}), (FAULT,))


def shard(path: str, repo: str = "billing") -> Shard:
    return Shard(f"key of {path}", repo, "c0ffee", (path,))


def planned(*paths: str, branch: str = "umbau/j/app", repo: str = "billing") -> tuple[Planned, ...]:
    return tuple(Planned(shard(path, repo), branch, "app") for path in paths)


def known(outcomes: Mapping[str, Sequence[Outcome]]) -> Callable[[Sequence[str]], Mapping[str, Sequence[Outcome]]]:
    return lambda keys: outcomes


OUTCOMES: dict[str, tuple[Outcome, str]] = {
    "accepted.py": (Outcome(shard("accepted.py"), (BAD, GOOD)), "accepted"),
    "unchanged.py": (Outcome(shard("unchanged.py")), "unchanged"),
    "skipped.py": (Outcome(shard("skipped.py"), skipped="syntax error on line 3\n    print 1"), "skipped"),
    "rejected.py": (Outcome(shard("rejected.py"), (BAD,)), "rejected"),
    "failed.py": (Outcome(shard("failed.py"), (BAD,), error="\nNoCommand: `ruff` cannot run\nmore"), "failed"),
}
REASONS = {
    "skipped.py": "syntax error on line 3",
    "rejected.py": "tests: `pytest -q`: 1 newly failing: test_a",
    "failed.py": "NoCommand: `ruff` cannot run",
}


@pytest.mark.parametrize(("path", "why"), REASONS.items())
def test_why_an_outcome_is_none_of_use_is_told_in_a_line(path: str, why: str) -> None:
    assert reason(OUTCOMES[path][0]) == why


def stored(*paths: str) -> Mapping[str, Sequence[Outcome]]:
    return {f"key of {path}": [Outcome(shard(path), (BAD,)), OUTCOMES[path][0]] for path in paths}


def test_shards_are_counted_by_their_latest_outcome() -> None:
    plan = Plan((REPO,), Shards(planned(*OUTCOMES, "waiting.py")))
    found = standing(plan, known(stored(*OUTCOMES)), NOTHING)
    assert found.counts == {**{status: 1 for _, status in OUTCOMES.values()}, "waiting": 1}
    assert found.failures == {f"{OUTCOMES[path][1]}: {why}": [path] for path, why in REASONS.items()}


def test_what_is_wrong_in_the_same_way_is_told_together() -> None:
    paths = [f"{number}.py" for number in range(5)]
    outcomes = {f"key of {path}": [Outcome(shard(path), (BAD,))] for path in paths}
    assert standing(Plan((REPO,), Shards(planned(*paths))), known(outcomes), NOTHING).failures == {
        "rejected: tests: `pytest -q`: 1 newly failing: test_a": paths
    }


def test_rejected_shards_are_told_by_kind_with_an_example() -> None:
    def rejected(path: str, judge: str, message: str) -> Outcome:
        return Outcome(shard(path), (Verdict(Edit({}), (Finding(judge, message),)),))

    outcomes = {
        "key of a.py": [rejected("a.py", "tests", "`pytest`: 1 newly failing: test_a\nE  assert 0")],
        "key of b.py": [rejected("b.py", "reply", "SEARCH matches nothing")],
        "key of c.py": [rejected("c.py", "tests", "`pytest`: 2 newly failing: test_b, test_c")],
        "key of d.py": [Outcome(shard("d.py"), error="the disk is full")],
        "key of e.py": [Outcome(shard("e.py"), error="the worker died")],
    }
    plan = Plan((REPO,), Shards(planned("a.py", "b.py", "c.py", "d.py", "e.py")))
    assert standing(plan, known(outcomes), NOTHING).failures == {
        "rejected: tests, such as `pytest`: 1 newly failing: test_a": ["a.py", "c.py"],
        "rejected: reply: SEARCH matches nothing": ["b.py"],
        "failed: the disk is full": ["d.py"],
        "failed: the worker died": ["e.py"],
    }


def test_what_stopped_a_repository_or_a_merge_request_is_told() -> None:
    plan = Plan(
        (REPO,), Shards(), (LeftOut("billing", "a.bin", "binary"),) * 3, {"shop": "there is no folder"}, ("a note",)
    )
    change = Change("j", REPO, "umbau/j/app", "app", (), {}, (), (Dropped(OUTCOMES["accepted.py"][0], BAD.findings),))
    died, waits = {("billing", "umbau/j/web"): "the worker died"}, (("billing", "umbau/j/lib"),)
    gathered = Gathered((change,), died, waits, change.dropped)
    found = standing(plan, known({}), gathered, (), {"lib": "`pytest` finds no test"}, "index.html")
    assert found.trouble == {
        "shop": "there is no folder",
        "lib": "`pytest` finds no test",
        "billing umbau/j/web": "the worker died",
    }
    assert found.overview == "index.html"
    assert found.dropped == {"tests: `pytest -q`: 1 newly failing: test_a": ["accepted.py"]}
    assert found.files_left_out == {"binary": 3}
    assert found.notes == ("a note", "1 sum of edits waits to be judged: umbau run")


def test_what_the_model_was_asked_for_is_told() -> None:
    edits = [Edit({}, "a", tokens_in=9, tokens_out=4), Edit({}, "b", cached=2), Edit({}, "c", cached=1)]
    outcomes = {
        "key of a.py": [Outcome(shard("a.py"), (Verdict(edits[0], (FAULT,)), Verdict(edits[1])))],
        "key of b.py": [Outcome(shard("b.py"), (Verdict(edits[0]),)), Outcome(shard("b.py"), (Verdict(edits[2]),))],
    }
    found = standing(Plan((REPO,), Shards(planned("a.py", "b.py", "c.py"))), known(outcomes), NOTHING)
    assert (found.tokens, found.cached) == ((9, 4), 3)
    assert "model    9 tokens read and 4 written, 3 replies known from before" in list(standing_text(found))


WAITS = Tended("billing", "umbau/j/app", Action("wait", "waits for review"), "https://git.example.eu/billing/1")


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (Standing({}, {}), 0),
        (Standing({"accepted": 3, "unchanged": 1, "skipped": 2, "waiting": 4}, {}, (WAITS,)), 0),
        (Standing({"accepted": 3, "rejected": 1}, {}), 1),
        (Standing({"accepted": 3}, {}, dropped={"tests: broken": ["a.py"]}), 1),
        (Standing({"rejected": 1, "failed": 1}, {}), 2),
        (Standing({"accepted": 3}, {}, trouble={"shop": "there is no folder"}), 2),
        (Standing({"accepted": 3}, {}, (WAITS, replace(WAITS, trouble="the disk is full"))), 2),
        (Standing({"accepted": 3, "waiting": 2}, {}, paused="the model endpoint is gone"), 2),
        (Standing({"accepted": 3}, {}, files_left_out={"binary": 3}, notes=("a note",)), 0),
    ],
)
def test_the_exit_code_says_how_it_stands(found: Standing, code: int) -> None:
    assert found.code == code


def test_a_standing_as_a_person_reads_it() -> None:
    found = Standing(
        {"failed": 1, "accepted": 12, "waiting": 2, "rejected": 3},
        {"failed: NoCommand": ["f.py"], "rejected: tests: broken": ["a.py", "b.py::f", "c.py"]},
        (
            WAITS,
            Tended("billing", "umbau/j/web", Action("push", "new"), "1.html", "the disk is full\nat last"),
            replace(WAITS, branch="umbau/j/lib", url="", title="Count up in lib"),
        ),
        {"tests: broken": ["d.py"]},
        {"shop": "there is no folder"},
        {"binary": 2, "excluded": 1},
        ("billing: no file matches `select`",),
        "https://git.example.eu/billing",
    )
    assert (
        "\n".join(standing_text(found))
        == """\
shards   12 accepted, 3 rejected, 1 failed, 2 waiting
left out 2 binary, 1 excluded

billing: no file matches `select`

rejected: tests: broken (3)
  a.py
  b.py::f
  c.py

failed: NoCommand (1)
  f.py

left out of its merge request: tests: broken (1)
  d.py

merge requests: waits for review (2)
  billing  umbau/j/app
    https://git.example.eu/billing/1
  billing  Count up in lib

could not push: new (1)
  billing  umbau/j/web
    1.html
    the disk is full

all merge requests: https://git.example.eu/billing

shop: there is no folder"""
    )


def test_a_standing_of_nothing() -> None:
    assert list(standing_text(Standing({}, {}))) == ["shards   none"]


def test_groups_without_anything_to_propose_are_not_told() -> None:
    done = Tended("billing", "umbau/j/web", Action("wait", "nothing to propose"))
    assert list(standing_text(Standing({"unchanged": 1}, {}, (done,), overview="index.html"))) == [
        "shards   1 unchanged"
    ]


def test_pages_are_told_as_they_are_seen_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for url, seen in [
        (f"{tmp_path}/.umbau/forge/billing/1.html", ".umbau/forge/billing/1.html"),
        ("/elsewhere/1.html", "/elsewhere/1.html"),
    ]:
        found = Standing({}, {}, (replace(WAITS, url=url),), overview=url)
        assert list(standing_text(found))[-2:] == [
            f"  billing  umbau/j/app\n    {seen}",
            f"\nall merge requests: {seen}",
        ]


@pytest.mark.parametrize(("number", "lines"), [(LISTED, LISTED), (LISTED + 1, LISTED + 1), (1000, LISTED + 1)])
def test_long_lists_are_cut_short_unless_all_is_asked_for(number: int, lines: int) -> None:
    paths = [f"{one}.py" for one in range(number)]
    plan = Plan((REPO,), Shards(planned(*paths)))
    told = [line for line in plan_text(plan, all_files=False) if line.startswith("  ")]
    assert len(told) == lines
    assert (told[-1] == f"  ... and {number - LISTED} more") is (number > LISTED)
    assert [line for line in plan_text(plan, all_files=True) if line.startswith("  ")] == [
        f"  {path}" for path in paths
    ]
    found = Standing({"rejected": number}, {"rejected: x": paths})
    assert len([line for line in standing_text(found) if line.startswith("  ")]) == lines


def test_a_plan_as_a_person_reads_it() -> None:
    whole = Shard("k", "billing", "c0ffee", ("app/a.py", "app/b.py"))
    method = replace(whole, key="l", paths=("t.py",), spans=(Span("t.py", "T.a", 1, 2), Span("t.py", "T.b", 3, 4)))
    plan = Plan(
        (REPO, replace(REPO, name="shop")),
        Shards(
            [
                Planned(whole, "umbau/j/app", "app"),
                *planned("a.py", branch="umbau/j/app", repo="shop"),
                Planned(method, "umbau/j/app", "app"),
            ]
        ),
        (LeftOut("billing", "x.bin", "binary"), LeftOut("shop", "y.py", "generated"), LeftOut("shop", "z", "binary")),
        {"web": "there is no folder"},
        ("shop: prompts show the first 20 files",),
    )
    assert (
        "\n".join(plan_text(plan, all_files=False))
        == """\
2 repositories, 3 shards, 2 merge requests, 3 left out

billing  umbau/j/app  (2 shards)
  app (2 files)
  t.py::T.a, T.b

shop  umbau/j/app  (1 shard)
  a.py

left out
  binary (2)
    billing: x.bin
    shop: z
  generated (1)
    shop: y.py

shop: prompts show the first 20 files

web: there is no folder"""
    )


def test_a_plan_of_nothing() -> None:
    plan = Plan((), trouble={"web": "there is no folder"})
    assert list(plan_text(plan, all_files=False)) == [
        "0 repositories, 0 shards, 0 merge requests, 0 left out",
        "\nweb: there is no folder",
    ]


@pytest.fixture
def ws(checkout: Callable[..., Checkout], tmp_path: Path) -> Workspace:
    files = {
        "a.py": "x = 1\ny = 1\n",
        "crlf.py": b"x = 1\r\ny = 1\r\n",
        "end.py": "x = 1",
        "feed.py": "x = 1\n\fy = 1\n",
    }
    return Workspace(base_of(checkout(files), tmp_path))


@pytest.mark.parametrize(
    ("path", "text", "lines"),
    [
        ("a.py", "x = 1\ny = 2\n", ["--- a/a.py", "+++ b/a.py", "@@ -1,2 +1,2 @@", " x = 1", "-y = 1", "+y = 2"]),
        ("a.py", "x = 1\ny = 1\n", []),
        ("a.py", None, ["--- a/a.py", "+++ /dev/null", "@@ -1,2 +0,0 @@", "-x = 1", "-y = 1"]),
        ("new.py", "n = 1\n", ["--- a/new.py", "+++ b/new.py", "@@ -0,0 +1 @@", "+n = 1"]),
        ("crlf.py", "x = 1\r\n", ["--- a/crlf.py", "+++ b/crlf.py", "@@ -1,2 +1 @@", " x = 1", "-y = 1"]),
        ("end.py", "x = 2", ["--- a/end.py", "+++ b/end.py", "@@ -1 +1 @@", "-x = 1", "+x = 2"]),
        (
            "feed.py",
            "x = 1\n\fy = 2\n",
            ["--- a/feed.py", "+++ b/feed.py", "@@ -1,2 +1,2 @@", " x = 1", "-\fy = 1", "+\fy = 2"],
        ),
    ],
)
def test_diffs(ws: Workspace, path: str, text: str | None, lines: list[str]) -> None:
    assert list(diff(ws, Edit({path: text}))) == lines


def test_an_outcome_with_every_attempt(ws: Workspace) -> None:
    first = Verdict(Edit({}, "Sure!\n\n", (), 90, 5, "No block."), (Finding("reply", "There is no block."),))
    second = Verdict(Edit({"a.py": "x = 1\ny = 3\n"}, "block", (), 100, 7), (FAULT,), ("inside: fine", "parses"))
    third = Verdict(Edit({"a.py": "x = 1\ny = 2\n"}, "", ("b.py: generated",), 110, 8), (), ("inside: fine",))
    outcome = Outcome(replace(shard("a.py"), key="0123456789abcdef"), (first, second, third), seconds=1.26)
    assert (
        "\n".join(outcome_text(outcome, ws))
        == """\
billing  a.py  0123456789ab
accepted after 3 attempts, 1.3 s, 300 tokens read and 20 written

--- attempt 1 ---
the model said:
Sure!


reply: There is no block.

--- attempt 2 ---
the model said:
block

--- a/a.py
+++ b/a.py
@@ -1,2 +1,2 @@
 x = 1
-y = 1
+y = 3

tests (a.py): `pytest -q`: 1 newly failing: test_a
E  assert 1 == 2
passed   inside: fine
passed   parses

--- attempt 3 ---
note: b.py: generated
--- a/a.py
+++ b/a.py
@@ -1,2 +1,2 @@
 x = 1
-y = 1
+y = 2
passed   inside: fine"""
    )


@pytest.mark.parametrize(
    ("path", "head", "last"),
    [
        ("unchanged.py", "unchanged after 0 attempts, 0.0 s", "\nThere is nothing to change here."),
        ("skipped.py", "skipped after 0 attempts, 0.0 s", "\nsyntax error on line 3\n    print 1"),
        ("failed.py", "failed after 1 attempt, 0.0 s", "\n\nNoCommand: `ruff` cannot run\nmore"),
    ],
)
def test_an_outcome_without_an_edit(ws: Workspace, path: str, head: str, last: str) -> None:
    lines = list(outcome_text(OUTCOMES[path][0], ws))
    assert (lines[1], lines[-1]) == (head, last)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Outcome(shard("ü.py"), (BAD,), "died"), {"shard": {"paths": ["ü.py"]}, "error": "died", "skipped": ""}),
        (Plan((REPO,), Shards(planned("a.py"))), {"planned": [{"branch": "umbau/j/app", "number": 1}], "trouble": {}}),
        (
            standing(Plan((REPO,), Shards(planned("a.py"))), known({}), NOTHING, (WAITS,)),
            {"counts": {"waiting": 1}, "dropped": {}},
        ),
        (Job.model_validate({"name": "j", "repos": [{"git": "."}], "steps": [{"shell": "true"}]}), {"name": "j"}),
        (
            [OUTCOMES["accepted.py"][0]],
            [{"verdicts": [{"findings": [{"judge": "tests"}]}, {"proof": ["inside: fine"]}]}],
        ),
        ({"file": "job.yaml"}, {"file": "job.yaml"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_everything_is_json_as_well(value: object, expected: Any) -> None:
    assert holds(json.loads(as_json(value)), expected)


def holds(given: Any, expected: Any) -> bool:
    """Say whether `given` has all that is expected."""
    if isinstance(expected, dict):
        return all(holds(given[key], value) for key, value in expected.items())
    if isinstance(expected, list):
        return all(holds(*pair) for pair in zip(given, expected, strict=True))
    return bool(given == expected)
