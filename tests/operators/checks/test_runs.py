"""What edits do to a run of tests, in the sandbox."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from operators.checks.tests import Tests as Check
from operators.data import Covered, Edit, Ruling
from operators.environment import Environment, NotBuilt
from operators.workspace import Workspace
from tests.operators.conftest import MakeBase, MakeWorkspace, shard_of

APP = """\
LIMIT = 3


def double(x):
    if x > LIMIT:
        return x + x
    return 2 * x


def other(x):
    return [x]
"""
SUITE = """\
import pytest
from app import double, other


@pytest.fixture(scope="session")
def shared():
    return other(1)


@pytest.mark.parametrize("x", [1, 5])
def test_double(x):
    assert double(x) == 2 * x


def test_shared(shared):
    assert shared == [1]


def test_known():
    assert 0
"""
FILES = {"app.py": APP, "tests/test_app.py": SUITE, "tests/test_more.py": "def test_more(): ...\n"}
WRONG = APP.replace("2 * x", "3 * x")


def looked_at(ws: Workspace, command: str = "pytest -q") -> Workspace:
    """The workspace with what the tests say of the untouched commit, as a store gives it back."""
    facts = json.loads(json.dumps({command: Check(command).baseline(ws)}))
    return Workspace(replace(ws.base, facts=facts))


def judge(ws: Workspace, files: dict[str, str | None], check: Check = Check("pytest -q")) -> Ruling:  # noqa: B008
    edit = Edit(files)
    return check.judge(ws.over(edit), shard_of(ws.base, *files), edit)


def said(ruling: Ruling) -> str:
    return " ".join(finding.message.splitlines()[0] for finding in ruling.findings)


@pytest.fixture
def ws(workspace: MakeWorkspace) -> Workspace:
    return looked_at(workspace(FILES))


REPORTS = """\
import _pytest.reports as r
_old = r.TestReport.from_item_and_call.__func__
def _new(cls, item, call):
    report = _old(cls, item, call)
    report.outcome, report.longrepr = "passed", None
    return report
r.TestReport.from_item_and_call = classmethod(_new)
"""
WRITTEN = """\
import json, pathlib
_lines = [{"id": f"tests/test_app.py::test_double[{x}]", "outcome": "passed", "seconds": 0} for x in (1, 5)]
_lines += [{"code": 0, "honest": True, "known": 2, "files": None, "worker": False}]
pathlib.Path("/left/1.jsonl").write_text("\\n".join(map(json.dumps, _lines)))
"""


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os\nos._exit(0)\n", "ended with exit code 0 (and without a report|before all tests were reported)"),
        ("import atexit, os\natexit.register(os._exit, 0)\n", "newly failing: tests/test_app.py::test_double"),
        ("import sys\nsys.exit(0)\n", "ended with exit code|newly failing"),
        (REPORTS, "the test runner has been tampered with"),
        ("import sys\nprint('10 passed')\nsys.stdout.flush()\n", "newly failing: tests/test_app.py::test_double"),
        (WRITTEN, r"newly failing: tests/test_app.py::test_double\[1\] \(run 2\)"),
    ],
)
def test_a_wrong_edit_cannot_make_itself_look_green(ws: Workspace, code: str, why: str) -> None:
    assert re.search(why, said(judge(ws, {"app.py": code + WRONG})))


def test_unittest_that_calls_everything_good_is_noticed(workspace: MakeWorkspace) -> None:
    command = "python -m umbau_unittest test_app.py"
    suite = "import unittest, app\n\n\nclass T(unittest.TestCase):\n    def test(self):\n        assert app.A\n"
    ws = looked_at(workspace({"app.py": "A = 1\n", "test_app.py": suite}), command)
    patched = "import unittest\nunittest.TestResult.addFailure = lambda *_: None\nA = 0\n"
    assert "tampered with" in said(judge(ws, {"app.py": patched}, Check(command)))
    assert judge(ws, {"app.py": "A = 2\n"}, Check(command)).proof.endswith("1 passed (untouched: 1 passed)")


@pytest.mark.parametrize(
    ("files", "proof"),
    [
        ({"app.py": APP.replace("2 * x", "x * 2")}, "1 passed of those selected, 5 in all (untouched"),
        ({"app.py": APP.replace("[x]", "[x, ]")}, "4 passed (untouched"),  # a session's fixture calls it
        ({"app.py": APP.replace("LIMIT = 3", "LIMIT = 2")}, "4 passed (untouched"),
        ({"app.py": APP.replace("LIMIT = 3", "LIMIT = 3  # three")}, "4 passed (untouched"),
        ({"app.py": APP + "# the end\n"}, "not run, as no statement changes"),
        (
            {"tests/test_more.py": "def test_more(): ...\n\n\ndef test_new(): ...\n"},
            "2 passed of those selected, 6 in all (untouched",
        ),
        ({"tests/test_app.py": SUITE.replace("[1, 5]", "[5, 7]")}, "3 passed of those selected, 5 in all"),
    ],
)
def test_only_tests_that_can_see_an_edit_are_run(ws: Workspace, files: dict[str, str | None], proof: str) -> None:
    ruling = judge(ws, files)
    assert not ruling.findings
    assert f"tests: `pytest -q` {proof}" in ruling.proof


@pytest.mark.parametrize(
    ("files", "why"),
    [
        (
            {"tests/test_more.py": "import pytest\n\n\n@pytest.mark.skip\ndef test_more(): ...\n"},
            "passed before and did not pass or run now: tests/test_more.py::test_more",
        ),
        ({"tests/test_more.py": "def test_new():\n    assert 0\n"}, "newly failing: tests/test_more.py::test_new"),
        ({"tests/test_more.py": "1 / 0\n"}, "1 newly failing: tests/test_more.py"),
        ({"app.py": WRONG}, "1 newly failing: tests/test_app.py::test_double[1]"),
    ],
)
def test_what_tests_of_a_selection_say_counts(ws: Workspace, files: dict[str, str | None], why: str) -> None:
    ruling = judge(ws, files)
    assert why in said(ruling)
    assert ruling.failing


def test_edits_have_to_be_tested_if_the_job_wants_it(ws: Workspace) -> None:
    ruling = judge(ws, {"app.py": APP + "\n\ndef new(x):\n    return x\n"}, Check("pytest -q", covered=0.8))
    assert said(ruling) == (
        "`pytest -q`: passing tests execute 50% of the changed statements, and not those at app.py:15; 80% is wanted"
    )


def test_a_sum_clears_whom_no_failing_test_sees(ws: Workspace) -> None:
    good, bad = Edit({"tests/test_more.py": "def test_more():\n    pass\n"}), Edit({"app.py": WRONG})
    whole = Edit({**good.files, **bad.files})
    check, shard = Check("pytest -q"), shard_of(ws.base, *whole.files)
    ruling = check.judge(ws.over(whole), shard, whole)
    assert ruling.failing == {"tests/test_app.py::test_double"}
    assert check.share(ws.over(good), shard, good, ws.over(whole), ruling)
    assert check.share(ws.over(bad), shard, bad, ws.over(whole), ruling) is None


ORDER = "import state\n\n\ndef test_first():\n    state.set()\n\n\ndef test_second():\n    assert state.get()\n"
STATE = "KNOWN = []\n\n\ndef set():\n    KNOWN.append(1)\n\n\ndef get():\n    return bool(KNOWN)\n"


def test_tests_that_need_others_are_forgiven_where_these_are_not_run(workspace: MakeWorkspace) -> None:
    ws = looked_at(workspace({"state.py": STATE, "test_a.py": ORDER}))
    ruling = judge(ws, {"state.py": STATE.replace("bool(KNOWN)", "KNOWN != []")})
    assert not ruling.findings, "test_second alone fails on the untouched commit as well"
    broken = STATE.replace("return bool(KNOWN)", "return not KNOWN")
    assert not judge(ws, {"state.py": broken}).findings
    assert "newly failing: test_a.py::test_second" in said(
        judge(ws, {"state.py": broken}, Check("pytest -q", full=True))
    )


def test_what_passes_alone_and_spoils_others_is_no_accident(workspace: MakeWorkspace) -> None:
    """A cache that an edit adds makes a test fail only after another."""
    files = {"app.py": "def made():\n    return []\n", "test_a.py": "from app import made\n"}
    files["test_a.py"] += "".join(
        f"\n\ndef test_{name}():\n    found = made()\n    found.append(1)\n    assert found == [1]\n" for name in "ab"
    )
    ws = looked_at(workspace(files))
    spoilt = "KEPT = []\n\n\ndef made():\n    return KEPT\n"
    assert "1 newly failing: test_a.py::test_b" in said(judge(ws, {"app.py": spoilt}))


@pytest.mark.parametrize("options", ["-x", "--lf", "--maxfail=1 --ff", "-p no:cacheprovider"])
def test_options_of_the_repositorys_own_hide_nothing(workspace: MakeWorkspace, options: str) -> None:
    ws = looked_at(workspace({**FILES, "pytest.ini": f"[pytest]\naddopts = {options}\n"}))
    assert len(ws.base.facts["pytest -q"]["results"]) == 5
    assert "tests/test_app.py::test_double[1]" in said(judge(ws, {"app.py": WRONG}))


@pytest.mark.parametrize("options", ["-n 2", "--cov=app --cov-fail-under=100", "-n 2 --cov=app -x"])
def test_other_plugins_are_no_obstacle(base: MakeBase, options: str) -> None:
    """pytest-xdist runs tests elsewhere; pytest-cov would trace in our place."""
    made = base({**FILES, "pytest.ini": f"[pytest]\naddopts = {options}\n"})
    try:
        made = Environment(install=("pytest", "pytest-xdist", "pytest-cov")).build(made)
    except NotBuilt as why:
        pytest.skip(f"no package index: {why}")
    ws = looked_at(Workspace(made))
    facts = ws.base.facts["pytest -q"]
    assert (len(facts["results"]), facts["flaky"], facts["honest"], facts["whole"]) == (5, [], True, True)
    assert said(judge(ws, {"app.py": WRONG})).endswith("1 newly failing: tests/test_app.py::test_double[1]")
    good = judge(ws, {"app.py": APP.replace("2 * x", "x * 2")})
    assert "1 passed of those selected, 5 in all" in good.proof
    assert good.covered == (Covered("app.py", ((7, 7, True),)),)


def test_a_test_that_starts_processes_sees_every_edit_of_code(workspace: MakeWorkspace) -> None:
    """Nobody knows what is executed there."""
    app = "def double(x):\n    return 2 * x\n\n\nif __name__ == '__main__':\n    print(double(4))\n"
    suite = (
        "import subprocess, sys\nfrom app import double\n\n\ndef test_double():\n    assert double(1) == 2\n\n\n"
        "def test_main():\n    done = subprocess.run([sys.executable, 'app.py'], capture_output=True)\n"
        "    assert done.stdout == b'8\\n'\n"
    )
    ws = workspace({"app.py": app, "test_app.py": suite})
    check = Check("pytest -q")
    ws = Workspace(replace(ws.base, facts={"pytest -q": check.baseline(ws)}))
    edit = Edit({"app.py": app.replace("2 * x", "2 * x if x < 3 else 9")})
    (finding,) = check.judge(ws.over(edit), shard_of(ws.base, "app.py"), edit).findings
    assert "1 newly failing: test_app.py::test_main" in finding.message
