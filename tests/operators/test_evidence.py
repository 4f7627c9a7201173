"""Generated tests as evidence, in the sandbox: which count, and how those that prove nothing are seen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest

from operators.checks.pinned import amiss
from operators.checks.reports import Told
from operators.checks.runs import Run
from operators.data import Away, Check, Covered, Edit, Finding, Outcome, Shard, Trouble, Verdict
from operators.evidence import Evidence, evidenced, summed
from operators.refine import judged
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace, shard_of
from tests.operators.scripted import Talks

APP = """\
SEEN = []


def label(name):
    SEEN.append(name)
    return "%s!" % name


def shout(name):
    return name.upper()
"""
AFTER = APP.replace('"%s!" % name', 'f"{name}!"')
FILES = {
    "app.py": APP,
    "tests/test_app.py": "from app import shout\n\n\ndef test_shout():\n    assert shout('a') == 'A'\n",
}
EDIT = Edit({"app.py": AFTER}, tokens_in=5, tokens_out=5)
PASSED = Verdict(EDIT, (), ("tests: 1 passed",), (Covered("app.py", ((6, 6, False),)),))
GOOD = "from app import label\n\n\ndef test_label():\n    assert label('a') == 'a!'\n"
PATH = "tests/test_umbau_app_d4b2e68b.py"
EVIDENCE = Evidence("pytest -q", 60.0, 0.8)
QUICK = Evidence("python -m umbau_unittest discover -s tests", 60.0, 0.8)  # a tenth of what pytest takes to start
CASE = """\
import unittest
from app import label, shout


class TestIt(unittest.TestCase):
    def test_it(self):
        {}
"""
RIGHT = CASE.format("self.assertEqual(label('a'), 'a!')")


def fenced(test: str) -> str:
    return f"```python\n{test}```"


def judge(ws: Workspace, evidence: Evidence, *replies: str, verdict: Verdict = PASSED) -> tuple[Verdict, Talks]:
    model = Talks([fenced(reply) for reply in replies])
    evidence = replace(evidence, model=model, attempts=len(replies))
    return evidenced(ws, shard_of(ws.base, "app.py"), verdict, evidence, judged), model


@pytest.mark.parametrize(
    "verdict",
    [
        replace(PASSED, covered=(Covered("app.py", ((6, 6, True),)),)),
        replace(PASSED, covered=()),
        replace(PASSED, findings=(Finding("tests", "newly failing"),)),
        Verdict(Edit({})),
    ],
)
def test_nobody_is_asked_when_there_is_no_need(workspace: MakeWorkspace, verdict: Verdict) -> None:
    found, model = judge(workspace(FILES), EVIDENCE, GOOD, verdict=verdict)
    assert found == verdict
    assert model.asked == []


def test_a_test_that_would_notice_counts_also_when_it_is_the_second(workspace: MakeWorkspace) -> None:
    ws = workspace(FILES)
    idle = GOOD.replace("assert label('a') == 'a!'", "label('a')")
    found, model = judge(ws, replace(EVIDENCE, command="pytest -q tests -k shout"), idle, GOOD)
    assert found.passed and found.proven == {PATH: GOOD}
    assert found.covered == (Covered("app.py", ((6, 6, True),), generated=((6, 6),)),)
    assert found.proof[0] == "tests: 1 passed"
    assert "a generated test passes on the untouched commit and with the edit, twice each" in found.proof[1]
    told = f"{PATH}:4: `test_label` asserts nothing that could fail"
    assert found.evidence[0].findings == (Finding("pinned", told),)
    assert told in model.asked[1][-1]["content"]
    outcome = Outcome(shard_of(ws.base, "app.py"), (found,))
    assert outcome.tokens == (205, 25)


STATIC = [
    (GOOD.replace("assert label('a') == 'a!'", "label('a')"), "`test_label` asserts nothing that could fail"),
    (GOOD.replace("from app import label", "label = '{}!'.format"), "it does not import `app`, which it is about"),
    (GOOD.replace("assert", "open('x', 'w').write('')\n    assert"), "a test must not touch files"),
    (GOOD.replace("assert", "import time\n    time.sleep(0)\n    assert"), "a test must not wait"),
    (GOOD.replace("():", "(monkeypatch):\n    monkeypatch.setattr('app.label', '{}!'.format)"), "is not tested"),
    ("def test_label(:\n", "syntax error on line 1"),
]


@pytest.mark.parametrize(("test", "told"), STATIC)
def test_what_it_must_not_hold_is_seen_before_it_is_run(workspace: MakeWorkspace, test: str, told: str) -> None:
    ws = workspace(FILES)
    found, _ = judge(ws, replace(EVIDENCE, command="no-such-command"), test)
    assert found.evidence[0].findings[0].judge == "pinned"
    (finding,) = found.findings
    assert told in finding.message
    assert finding.message.startswith("passing tests execute 0% of the changed statements, and not those at app.py:6;")
    assert (found.proven, found.covered, found.proof) == ({}, (), ())


OTHER = CASE.format("self.assertEqual(shout('a'), 'A')")
WRONG = CASE.format("self.assertEqual(label('a'), 'a?')")
WEAK = CASE.format("self.assertIsInstance(label('a'), str)")
# Sets of strings have another order with each seed of hashes.
FLAKY = CASE.format("self.assertEqual([*{label(str(n)) for n in range(99)}], [f'{n}!' for n in ORDER])")
SHOW_ORDER = "print([int(name[:-1]) for name in {f'{n}!' for n in range(99)}])"


@pytest.mark.parametrize(
    ("test", "told"),
    [
        (OTHER, 'it executes nothing that is in question: line 6 of app.py, `return "%s!" % name`'),
        (WRONG, "it does not pass on the code as it is: test_umbau_app_d4b2e68b.TestIt.test_it failed"),
        (WEAK, 'it still passes when this does something else: line 6 of app.py, `return "%s!" % name`'),
        (FLAKY, "it does not come out the same each time"),
    ],
)
def test_what_it_does_when_it_is_run_is_seen(workspace: MakeWorkspace, test: str, told: str) -> None:
    order = subprocess.check_output([sys.executable, "-c", SHOW_ORDER], env={"PYTHONHASHSEED": "0"}, text=True)
    found, _ = judge(workspace(FILES), QUICK, test.replace("ORDER", order.strip()))
    assert told in found.findings[0].message
    assert found.proven == {}


def test_a_test_that_shows_another_behaviour_speaks_against_the_edit_and_no_other_is_asked_for(
    workspace: MakeWorkspace,
) -> None:
    wrong = replace(PASSED, edit=Edit({"app.py": APP.replace('"%s!" % name', 'f"{name}?"')}))
    found, model = judge(workspace(FILES), QUICK, RIGHT, OTHER, verdict=wrong)
    (finding,) = found.findings
    assert finding.judge == "tests"
    assert finding.message.startswith("a test that passes on the code as it was fails with this edit, which changes")
    assert RIGHT.strip() in finding.message and "AssertionError" in finding.message
    assert len(model.asked) == 1
    assert [one.findings[0].judge for one in found.evidence] == ["differs"]


def test_with_unittest(workspace: MakeWorkspace) -> None:
    found, model = judge(workspace(FILES), QUICK, RIGHT)
    assert found.findings == ()
    assert found.covered == (Covered("app.py", ((6, 6, True),), generated=((6, 6),)),)
    assert "Write for unittest" in model.asked[0][0]["content"]


@pytest.mark.parametrize(
    ("files", "attempts", "told"),
    [
        ({"tests/conftest.py": "x = 2\n"}, 0, "A generated test cannot show what they did before"),
        ({"new.py": "x = 2\n"}, 0, "A generated test cannot show what they did before"),
        ({"app.py": AFTER}, 2, "No generated test is evidence: There is no code in the reply"),
    ],
)
def test_where_there_is_no_test_the_edit_is_refused_as_before(
    workspace: MakeWorkspace, files: dict[str, str], attempts: int, told: str
) -> None:
    ws = workspace({**FILES, "tests/conftest.py": "x = 1\n"})
    (path,) = files
    verdict = Verdict(Edit(dict(files)), (), (), (Covered(path, ((6, 6, False),)),))
    evidence = replace(EVIDENCE, model=Talks(["I cannot."]), attempts=2)
    found = evidenced(ws, shard_of(ws.base, path), verdict, evidence, judged)
    assert told in found.findings[0].message
    assert len(found.evidence) == attempts


@pytest.mark.parametrize("fault", [Away("the model is gone"), Trouble("no answer")])
def test_trouble_of_ours_is_not_held_against_the_edit(workspace: MakeWorkspace, fault: Trouble) -> None:
    ws = workspace(FILES)
    evidence = replace(EVIDENCE, model=Talks([fault]))
    with pytest.raises(type(fault), match=str(fault)):
        evidenced(ws, shard_of(ws.base, "app.py"), PASSED, evidence, judged)


def test_it_is_judged_where_it_is_told_and_asked_for_here(workspace: MakeWorkspace) -> None:
    ws, seen = workspace(FILES), []

    def elsewhere(ws: Workspace, shard: Shard, edit: Edit, checks: Sequence[Check]) -> Verdict:
        seen.append((len(model.asked), *edit.files))
        return Verdict(edit, (Finding("pinned", "no"),))

    model = Talks([fenced(GOOD)])
    evidenced(ws, shard_of(ws.base, "app.py"), PASSED, replace(EVIDENCE, model=model, attempts=2), elsewhere)
    assert seen == [(1, PATH), (2, PATH)]


def test_generated_tests_are_run_on_the_sum_as_well(workspace: MakeWorkspace) -> None:
    ws = workspace(FILES)
    found = summed(ws, PASSED, QUICK, {PATH: RIGHT})
    assert found.proof == ("tests: 1 passed", "evidence: executed by generated tests only: app.py:6")
    assert found.covered == (Covered("app.py", ((6, 6, True),), generated=((6, 6),)),)
    (finding,) = summed(ws, PASSED, QUICK, {}).findings
    assert finding.message.startswith("passing tests execute 0%")
    (finding,) = summed(ws, PASSED, QUICK, {PATH: WRONG}).findings
    assert finding.message.startswith(
        "with the sum, generated tests of its parts: test_umbau_app_d4b2e68b.TestIt.test_it failed"
    )


@pytest.mark.parametrize(
    ("code", "told", "why"),
    [
        (0, Told({"a": "passed"}), ""),
        (0, Told({"a": "passed", "b": "skipped"}), "b skipped"),
        (1, Told({"a": "failed", "b": "error"}), "a failed, b error"),
        (0, None, "ended with exit code 0 and without a report"),
        (5, Told({}), "ended with exit code 5 and without a report"),
        (0, Told({"a": "passed"}, honest=False), "the test runner has been tampered with"),
        (0, Told({"a": "passed"}, whole=False), "before all tests were reported on"),
        (3, Told({"a": "passed"}), "ended with exit code 3 though every test passed"),
    ],
)
def test_which_runs_are_good(code: int, told: Told | None, why: str) -> None:
    found = amiss(Run(code, "", told))
    assert found == why or (why and why in found)
