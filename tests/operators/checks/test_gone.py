"""What must hold in the end: `gone` and `rule`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from operators.checks.gone import SHOWN, Gone
from operators.checks.rule import Rule
from operators.data import Check, Edit, Finding, Outcome, Ruling, Span, Trouble
from operators.refine import judged, refine
from operators.workspace import NoCommand, Workspace
from tests.operators.conftest import MakeWorkspace, shard_of
from tests.operators.scripted import Proposes

OLD = "import numpy as np\n\n\ndef f():\n    return np.int  # np.int\n\n\ndef g():\n    return np.int\n"
NEW = OLD.replace("return np.int", "return int")
PERCENT = "def f(a):\n    return '%s' % a\n\n\ndef g(a):\n    return '%s' % a  # noqa: UP031\n"


def judge(check: Check, ws: Workspace, text: str | None, *spans: Span) -> Ruling:
    edit = Edit({} if text is None else {"a.py": text})
    return check.judge(ws.over(edit), replace(shard_of(ws.base, "a.py"), spans=spans), edit)


def test_names_that_are_gone_and_names_that_are_not(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": OLD})
    assert judge(Gone(("np.int",)), ws, NEW) == Ruling((), "gone: np.int")
    left = tuple(Finding("gone", "`np.int` must be gone, and still stands here.", f"a.py:{line}") for line in (5, 9))
    assert judge(Gone(("np.int",)), ws, OLD + "\n").findings == left
    assert judge(Gone(("np.int",)), ws, None).findings == left


def test_comments_count_where_the_job_says_so(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": OLD})
    (finding,) = judge(Gone(("np.int",), text=True), ws, NEW).findings
    assert finding.place == "a.py:5"
    (finding,) = judge(Gone(pattern=r"np\.\w+", text=True), ws, NEW).findings
    assert finding.message == "`np.int` must be gone, and still stands here."


def test_files_that_are_no_python_are_text(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.cfg": "old = 1\nolder = 2\n"})
    edit = Edit({"a.cfg": "older = 2\nx = old\n"})
    (finding,) = Gone(("old",)).judge(ws.over(edit), shard_of(ws.base, "a.cfg"), edit).findings
    assert finding.place == "a.cfg:2"


def test_only_the_shards_own_lines_count(workspace: MakeWorkspace) -> None:
    ws, span = workspace({"a.py": OLD}), Span("a.py", "f", 4, 5)
    grown = OLD.replace("import numpy as np\n", "import numpy as np\nimport re\n").replace(
        "return np.int  #", "return int  #"
    )
    assert judge(Gone(("np.int",)), ws, grown, span).findings == ()
    (finding,) = judge(Gone(("np.int",)), ws, None, span).findings
    assert finding.place == "a.py:5"


def test_only_the_first_of_many_places_are_told(workspace: MakeWorkspace) -> None:
    assert len(judge(Gone(("old",)), workspace({"a.py": "old()\n" * 20}), None).findings) == SHOWN


def test_what_does_not_parse_is_left_to_another_judge(workspace: MakeWorkspace) -> None:
    assert judge(Gone(("old",)), workspace({"a.py": OLD}), "old(\n").findings == ()


def test_a_rule_that_finds_nothing_more(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": PERCENT})
    assert judge(Rule("UP031"), ws, PERCENT.replace("'%s' % a", "f'{a}'")) == Ruling((), "rule: ruff finds no UP031")
    findings = judge(Rule("UP031"), ws, None).findings
    assert [finding.place for finding in findings] == ["a.py:2", "a.py:6"], "`noqa` does not help"
    assert findings[0].message == "UP031 must be gone here: Use format specifiers instead of percent format"
    assert judge(Rule("UP031"), ws, PERCENT.replace("'%s' % a\n", "f'{a}'\n"), Span("a.py", "f", 1, 2)).findings == ()


def test_a_rule_that_ruff_does_not_know(workspace: MakeWorkspace) -> None:
    with pytest.raises(Trouble, match="ruff cannot look for UP999"):
        judge(Rule("UP999"), workspace({"a.py": PERCENT}), None)


def test_a_ruff_that_is_not_there(workspace: MakeWorkspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(NoCommand, match=r"add it to the job's environment\.install"):
        judge(Rule("UP031"), workspace({"a.py": PERCENT}), None)


def refined(ws: Workspace, operator: Proposes, check: Check) -> Outcome:
    return refine(
        ws, shard_of(ws.base, "a.py"), operator, lambda ws, shard, edit: judged(ws, shard, edit, [check]), attempts=2
    )


def test_no_change_needed_is_believed_where_the_postcondition_holds(workspace: MakeWorkspace) -> None:
    nothing = Edit({}, said="NO CHANGE NEEDED")
    done = refined(workspace({"a.py": NEW}), Proposes([nothing]), Gone(("np.int",)))
    assert (done.status, done.verdicts[-1].proof) == ("unchanged", ("gone: np.int",))
    red = refined(workspace({"a.py": OLD}, "shop"), Proposes([nothing, Edit({"a.py": NEW})]), Gone(("np.int",)))
    assert (red.status, len(red.verdicts)) == ("accepted", 2)
    assert red.verdicts[0].findings[0].judge == "gone"


def test_a_codemod_that_finds_nothing_to_do_is_not_believed_either(workspace: MakeWorkspace) -> None:
    assert refined(workspace({"a.py": NEW}), Proposes([None]), Gone(("np.int",))).verdicts == ()
    red = refined(workspace({"a.py": OLD}, "shop"), Proposes([None]), Gone(("np.int",)))
    assert (red.status, len(red.verdicts[0].findings)) == ("rejected", 2)
