from __future__ import annotations

import pytest

from operators.checks.command import Command
from operators.data import Edit, Ruling
from operators.probe import proven
from operators.workspace import NoCommand, Workspace
from tests.operators.conftest import MakeWorkspace, shard_of


def judge(ws: Workspace, command: str, edit: Edit, timeout: float = 30.0) -> Ruling:
    return Command(command, timeout).judge(ws.over(edit), shard_of(ws.base, "a.py"), edit)


def test_a_command_that_succeeds_is_no_fault(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n"})
    assert judge(ws, "grep -q 2 a.py", Edit({"a.py": "x = 2\n"})) == Ruling(
        (), "command: `grep -q 2 a.py` passed", sandbox=proven()
    )


def test_a_command_is_given_the_files_of_the_edit(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n", "b.py": "x = 1\n", "c d.py": "x = 1\n"})
    edit = Edit({"a.py": "x = 2\n", "c d.py": "x = 2\n", "b.py": None})
    (finding,) = judge(ws, "echo {paths}; exit 1", edit).findings
    assert finding.message.endswith("\n./a.py ./c d.py")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo wrong; exit 2", "`echo wrong; exit 2` ended with exit code 2:\nwrong"),
        ("python -c 'import a'", "ZeroDivisionError: division by zero"),
        ("sleep 300", "`sleep 300` took more than 2 s:"),
        (
            "set -e\nfor name in a b c; do\n  echo $name\ndone\ncat /nowhere/to/be/found/at/all\n",
            "`set -e for name in a b c; do echo $name done cat /nowhere/to/be/found/at/all` ended with exit code 1",
        ),
        (f"true {'x' * 200} && exit 3", f"`true {'x' * 75}...` ended with exit code 3"),
    ],
)
def test_a_command_that_fails_is_told_with_what_it_said(workspace: MakeWorkspace, command: str, message: str) -> None:
    ws = workspace({"a.py": "x = 1\n"})
    (finding,) = judge(ws, command, Edit({"a.py": "1 / 0\n"}), timeout=2.0 if "sleep" in command else 30.0).findings
    assert message in finding.message
    assert finding.judge == "command"


def test_a_command_that_is_not_installed_is_an_error_of_ours(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n"})
    with pytest.raises(NoCommand, match=r"environment\.install"):
        judge(ws, "no-such-linter {paths}", Edit({"a.py": "x = 2\n"}))


def test_what_one_command_did_the_next_does_not_see(workspace: MakeWorkspace) -> None:
    ws, edit = workspace({"a.py": "x = 1\n"}), Edit({"a.py": "x = 2\n"})
    assert judge(ws, "echo changed > a.py; touch new.py", edit).findings == ()
    assert judge(ws, "grep -q 'x = 2' a.py && test ! -e new.py", edit).findings == ()
