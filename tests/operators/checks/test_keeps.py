from __future__ import annotations

from operators.checks.compared import SHOWN
from operators.checks.keeps import Keeps
from operators.data import Edit, Finding, Ruling
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace, shard_of

TEXT = "def test(self):\n    self.assertEqual(slug('a b'), 'a-b')\n"


def judge(ws: Workspace, check: Keeps, files: dict[str, str | None]) -> Ruling:
    edit = Edit(files)
    return check.judge(ws.over(edit), shard_of(ws.base, *files), edit)


def test_a_slip_in_a_copy_is_found(workspace: MakeWorkspace) -> None:
    ws, check = workspace({"a.py": TEXT, "b.txt": "x\n"}), Keeps(("self", "assert*"))
    right = TEXT.replace("self.assertEqual(slug('a b'), 'a-b')", "assert slug('a b') == 'a-b'")
    assert judge(ws, check, {"a.py": right, "b.txt": "y\n"}) == Ruling(
        (), "keeps: the same names, literals and operators as before"
    )
    assert judge(ws, check, {"a.py": right.replace("a-b", "a-a")}).findings == (
        Finding("keeps", "Not as before: in test, 'a-b' is gone.", "a.py"),
        Finding("keeps", "Not as before: in test, 'a-a' is new.", "a.py"),
    )


def test_what_does_not_parse_is_a_fault_and_of_many_some_are_told(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    (finding,) = judge(ws, Keeps(), {"a.py": "x = (\n"}).findings
    assert "the file cannot be compared: syntax error" in finding.message
    assert len(judge(ws, Keeps(), {"a.py": "[a, b, c, d, e, f, g, h]\n"}).findings) == SHOWN
