from __future__ import annotations

import pytest

from operators.checks.api import Api
from operators.checks.compared import SHOWN, of_tests
from operators.checks.honest import Honest
from operators.data import Check, Edit, Finding, Ruling
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace, shard_of

CODE = "def price(name):\n    return len(name)\n"
TEST = "from shop import price\n\n\ndef test_price():\n    assert price('tea') == 3\n"


def judge(check: Check, ws: Workspace, files: dict[str, str | None]) -> Ruling:
    edit = Edit(files)
    return check.judge(ws.over(edit), shard_of(ws.base, *files), edit)


def test_an_honest_edit_of_several_files(workspace: MakeWorkspace) -> None:
    ws = workspace({"shop.py": CODE, "tests/test_shop.py": TEST, "a.txt": "x\n"})
    files: dict[str, str | None] = {
        "shop.py": CODE.replace("len(name)", "1 + 2"),
        "tests/test_shop.py": TEST.replace("== 3", "== 1 + 2"),
        "a.txt": "# rest of the file unchanged\n",
    }
    assert judge(Honest(), ws, files) == Ruling((), "honest: no test weakened, nothing faked, hidden or left out")
    assert judge(Honest(("mock",)), ws, files).proof.endswith(" (not looked at: mock)")
    assert judge(Api(), ws, files) == Ruling((), "api: public names and how functions are called are as before")


def test_each_fault_is_told_with_its_place(workspace: MakeWorkspace) -> None:
    ws = workspace({"shop.py": CODE, "tests/test_shop.py": TEST})
    files: dict[str, str | None] = {
        "shop.py": CODE.replace("len(name)", "exit(len(name))"),
        "tests/test_shop.py": TEST.replace("test_price", "check_price"),
    }
    assert judge(Honest(), ws, files).findings == (
        Finding("honest", "`exit` in `price` is new: can end a test run early (rule `sys.exit`).", "shop.py:2"),
        Finding(
            "honest",
            "The test `test_price` is gone, or no runner would find it: tests must stay, under their names "
            "(rule `tests`).",
            "tests/test_shop.py",
        ),
    )
    assert judge(Honest(("sys.exit", "tests")), ws, files).findings == ()


def test_rules_for_tests_hold_in_tests_only(workspace: MakeWorkspace) -> None:
    ws = workspace({"shop.py": TEST, "test_shop.py": CODE})
    assert judge(Honest(), ws, {"shop.py": TEST.replace("== 3", "")}).findings == ()
    assert judge(Api(), ws, {"test_shop.py": CODE.replace("price", "cost")}).findings == ()
    assert judge(Api(), ws, {"shop.py": TEST.replace("test_price", "cost")}).findings == (
        Finding("api", "Others may use this: the public name `test_price` is gone. Keep it as it was.", "shop.py"),
    )
    assert judge(Api(("test_*",)), ws, {"shop.py": TEST.replace("test_price", "cost")}).findings == ()


def test_only_the_first_of_many_faults_are_told(workspace: MakeWorkspace) -> None:
    text = "".join(f"def test_{number}():\n    assert {number} == f()\n" for number in range(20))
    ws = workspace({"test_a.py": text})
    assert len(judge(Honest(), ws, {"test_a.py": text.replace("def test", "def rest")}).findings) == SHOWN


def test_a_file_that_cannot_be_compared_is_a_fault(workspace: MakeWorkspace) -> None:
    (finding,) = judge(Honest(), workspace({"a.py": "x = 1\n"}), {"a.py": "x = (\n"}).findings
    assert finding.message.startswith("The file cannot be compared: syntax error on line")
    assert finding.place == "a.py"


@pytest.mark.parametrize(
    ("path", "is_one"),
    [
        ("test_a.py", True),
        ("app/a_test.py", True),
        ("tests.py", True),
        ("app/tests/helpers.py", True),
        ("rice/test/test.py", True),
        ("testing/a.py", True),
        ("conftest.py", True),
        ("app/contest.py", False),
        ("app/latest.py", False),
        ("app/attest/a.py", False),
        ("tests/data/a.txt", True),
        ("app/testimony.py", True),
    ],
)
def test_which_files_are_of_tests(path: str, is_one: bool) -> None:
    assert of_tests(path) is is_one
