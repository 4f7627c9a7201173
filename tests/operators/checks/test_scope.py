from __future__ import annotations

from operators.checks.compared import SHOWN
from operators.checks.scope import Scope
from operators.data import Edit, Finding, Ruling
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace, shard_of

TEXT = "x = call(1)\n\n\ndef f():\n    return 'a'\n"


def judge(ws: Workspace, check: Scope, files: dict[str, str | None]) -> Ruling:
    edit = Edit(files)
    return check.judge(ws.over(edit), shard_of(ws.base, *files), edit)


def test_what_was_declared_may_change(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT, "b.txt": "x\n"})
    files: dict[str, str | None] = {"a.py": TEXT.replace("call(1)", "other()"), "b.txt": "y\n", "c.py": None}
    assert judge(ws, Scope(nodes=("Call",)), files) == Ruling((), "scope: nothing else changed in the syntax tree")


def test_everything_else_is_told_with_its_place(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    ruling = judge(ws, Scope(nodes=("Call",)), {"a.py": TEXT.replace("'a'", "'b'")})
    assert ruling.findings == (Finding("scope", "Outside of what this job may change: `'a'` was changed.", "a.py:5"),)


def test_what_was_added_has_no_line_before(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    (finding,) = judge(ws, Scope(nodes=("Call",)), {"a.py": TEXT + "y = 1\n"}).findings
    assert finding.place == "a.py"
    assert "`y = 1` was added" in finding.message


def test_a_file_that_cannot_be_compared_is_a_fault(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT, "b.py": "print 'a'\n"})
    for path, text in (("a.py", "x = (\n"), ("b.py", "print('a')\n")):
        (finding,) = judge(ws, Scope(nodes=("Call",)), {path: text}).findings
        assert "the file cannot be compared: syntax error on line" in finding.message


def test_a_new_file_is_out_of_scope(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    assert judge(ws, Scope(nodes=("Call",)), {"new.py": "x = 1\n"}).findings


def test_only_the_first_of_many_faults_are_told(workspace: MakeWorkspace) -> None:
    text = "".join(f"x{number} = {number}\n" for number in range(20))
    ws = workspace({"a.py": text})
    assert len(judge(ws, Scope(nodes=("Call",)), {"a.py": text.replace("= ", "= 1")}).findings) == SHOWN


def test_imports_may_be_allowed(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    files: dict[str, str | None] = {"a.py": f"import os\n\n{TEXT}"}
    assert judge(ws, Scope(imports=True), files).findings == ()
    assert judge(ws, Scope(nodes=("Call",)), files).findings
