from __future__ import annotations

import pytest

from operators.chain import Chain
from operators.checks.idempotent import Idempotent
from operators.codemod import Codemod
from operators.data import Edit, Finding, Operator, Ruling, Skip
from operators.shell import Shell
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace, shard_of
from tests.operators.scripted import Does, Proposes

FORMAT = Codemod("convert_format_to_fstring.ConvertFormatStringCommand", reach="symbol", hits=r"\.format\(")


def judge(ws: Workspace, operator: Operator, files: dict[str, str | None]) -> Ruling:
    edit = Edit(files)
    return Idempotent(operator).judge(ws.over(edit), shard_of(ws.base, "a.py"), edit)


@pytest.mark.parametrize("operator", [FORMAT, Chain((FORMAT, Shell("true"))), Proposes([None]), Chain(())])
def test_an_operator_that_is_done_is_no_fault(workspace: MakeWorkspace, operator: Operator) -> None:
    ws = workspace({"a.py": "x = '{}'.format(1)\n"})
    assert judge(ws, operator, {"a.py": "x = f'{1}'\n"}) == Ruling((), "idempotent: a second run changes nothing")


def test_an_operator_that_goes_on_is_told_with_the_place(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\ny = 1\n"})
    more = Does(lambda text: f"{text}# {len(text)}\n")
    assert judge(ws, more, {"a.py": "x = 1\ny = 2\n"}).findings == (
        Finding("idempotent", "Applied to its own output, the operator changes it once more.", "a.py:3"),
    )


def test_a_file_that_could_not_be_worked_on_before_is_no_fault(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = '{}'.format(1)\n", "b.py": "print 'a'.format()\n"})
    edit = Edit({"a.py": "x = f'{1}'\n"})
    shard = shard_of(ws.base, "a.py", "b.py")
    assert Idempotent(FORMAT).judge(ws.over(edit), shard, edit).findings == ()


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (FORMAT, "The output cannot be worked on again: syntax error on line 1 for Python"),
        (Shell("exit 3"), "Applied to its own output: `exit 3` ended with exit code 3:"),
        (Proposes([Skip("binary")]), "The output cannot be worked on again: binary."),
    ],
)
def test_output_that_cannot_be_worked_on_is_a_fault(workspace: MakeWorkspace, operator: Operator, message: str) -> None:
    ws = workspace({"a.py": "x = '{}'.format(1)\n"})
    (finding,) = judge(ws, operator, {"a.py": "x = '{}'.format(1\n"}).findings
    assert finding.message.startswith(message)
