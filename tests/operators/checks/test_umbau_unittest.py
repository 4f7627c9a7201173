"""unittest tells of each test how it ended, as pytest does."""

from __future__ import annotations

import pytest

from operators.checks.tests import Tests as Check
from operators.data import Edit
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace, shard_of

COMMAND = "python -m umbau_unittest tests/test_app.py tests.test_broken"
APP = "def double(x):\n    return 2 * x\n"
SUITE = """\
import unittest
from app import double


class TestDouble(unittest.TestCase):
    def test_passes(self):
        self.assertEqual(double(1), 2)

    def test_fails(self):
        self.assertEqual(double(1), 3)

    def test_breaks(self):
        double()

    @unittest.skip("not today")
    def test_skipped(self): ...

    @unittest.expectedFailure
    def test_expected_to_fail(self):
        self.fail()

    @unittest.expectedFailure
    def test_that_should_fail(self): ...

    def test_parts(self):
        for x in (1, 2):
            with self.subTest(x):
                self.assertEqual(double(x), 2)

    def test_whose_end_fails(self):
        self.addCleanup(self.fail)


class TestNever(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise OSError("no <database>\\0")

    def test_never(self): ...


class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_awaited(self):
        self.assertEqual(double(2), 4)
"""
FILES = {"app.py": APP, "tests/__init__.py": "", "tests/test_app.py": SUITE, "tests/test_broken.py": "import nothing\n"}
OWN = "tests.test_app.TestDouble."


def test_every_end_has_its_word(workspace: MakeWorkspace) -> None:
    found = Check(COMMAND).baseline(workspace(FILES))
    assert found["code"] == 1
    assert found["results"] == {
        f"{OWN}test_passes": "passed",
        f"{OWN}test_fails": "failed",
        f"{OWN}test_breaks": "error",
        f"{OWN}test_skipped": "skipped",
        f"{OWN}test_expected_to_fail": "skipped",
        f"{OWN}test_that_should_fail": "failed",
        f"{OWN}test_parts": "failed",
        f"{OWN}test_whose_end_fails": "failed",
        "setUpClass (tests.test_app.TestNever)": "error",
        "tests.test_app.TestAsync.test_awaited": "passed",
        "unittest.loader._FailedTest.test_broken": "error",
    }
    assert (found["flaky"], found["honest"], found["whole"]) == ([], True, True)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (APP.replace("2 * x", "x + 1"), "1 newly failing: tests.test_app.TestAsync.test_awaited"),
        (f"import os\nos._exit(0)\n{APP}", "ended with exit code 0 and without a report"),
        (f"import unittest\nraise unittest.SkipTest('no')\n{APP}", "ended with exit code 1 and without a report"),
    ],
)
def test_edits_are_judged_test_by_test(code: str, said: str, workspace: MakeWorkspace) -> None:
    assert said in _said(workspace(FILES), code)


def test_what_fails_on_the_base_may_go_on_failing(workspace: MakeWorkspace) -> None:
    assert _said(workspace(FILES), f"# doubles\n{APP}") == ""


def test_odd_names(workspace: MakeWorkspace) -> None:
    suite = (
        'import unittest\nclass TestA(unittest.TestCase): ...\nsetattr(TestA, "test_<\\1\\udc80&", lambda self: None)\n'
    )
    found = Check("python -m umbau_unittest test_a.py").baseline(workspace({"test_a.py": suite}))
    assert found["results"] == {"test_a.TestA.test_<\1\udc80&": "passed"}


def _said(ws: Workspace, code: str) -> str:
    edit = Edit({"app.py": code})
    return "".join(finding.message for finding in Check(COMMAND).judge(ws.over(edit), shard_of(ws.base), edit).findings)
