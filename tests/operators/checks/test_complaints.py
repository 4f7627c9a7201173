from __future__ import annotations

from dataclasses import replace

import pytest

from operators.checks.complaints import SHOWN, Complaints
from operators.checks.tests import BaseBroken
from operators.data import Baselined, Edit, Finding, Ruling
from operators.probe import proven
from operators.workspace import Workspace, brief
from tests.operators.conftest import MakeWorkspace, shard_of

# Complains of each line that holds the word `bad`.
GREP = "grep -n -H bad *.py | sed 's/^/.\\//; s/:/: /2' ; ! grep -q bad *.py"
TEXT = "x = 'bad'\ny = 'fine'\n"


def judge(ws: Workspace, text: str, command: str = GREP, timeout: float = 60.0) -> Ruling:
    edit, check = Edit({"a.py": text}), Complaints(command, timeout)
    return check.judge(ws.over(edit), shard_of(ws.base, "a.py"), edit)


def test_what_was_said_before_does_not_count_wherever_it_stands_now(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    proof = f"complaints: {brief(GREP)} says nothing new (1 known)"
    assert judge(ws, "\n\n" + TEXT) == Ruling((), proof, sandbox=proven())
    assert judge(ws, "y = 'fine'\n").findings == ()


def test_what_is_new_is_told_with_its_place(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    (finding,) = judge(ws, TEXT + "z = 'bad'\n").findings
    assert (finding.judge, finding.place) == ("complaints", "a.py:3")
    assert finding.message.endswith("says, and did not before: z = 'bad'")
    (finding,) = judge(ws, TEXT + "x = 'bad'\n").findings
    assert finding.place == "a.py:3", "the same once more is new"
    assert len(judge(ws, "".join(f"x{number} = 'bad'\n" for number in range(99))).findings) == SHOWN


def test_ruff_and_its_baseline(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "import os\n", "b.py": "import re\n"})
    check = Complaints("ruff check --isolated --output-format concise .")
    assert isinstance(check, Baselined)
    seen = check.baseline(ws)
    assert sorted(found[0] for found in seen["found"]) == ["a.py", "b.py"]
    ws = Workspace(replace(ws.base, facts={check.fact: seen}))
    edit = Edit({"a.py": "import os\nimport sys\n"})
    assert [one.place for one in check.judge(ws.over(edit), shard_of(ws.base, "a.py"), edit).findings] == ["a.py:2"]


@pytest.mark.parametrize(
    ("line", "path", "text"),
    [
        ("a.py:1: error: no  [x]", "a.py", "error: no  [x]"),
        ("a.py:1:2: E501 too long", "a.py", "E501 too long"),
        ("./a.py:1:2 - error: no", "a.py", "error: no"),
        ("a.py:3: error: defined on line 12", "a.py", "error: defined on line ..."),
    ],
)
def test_how_tools_complain(workspace: MakeWorkspace, line: str, path: str, text: str) -> None:
    ws = workspace({"a.py": TEXT})
    assert Complaints(f"echo '{line}'; exit 1").baseline(ws)["found"] == [[path, text, 1]]


def test_what_is_no_complaint(workspace: MakeWorkspace) -> None:
    said = "echo 'a.py:1: note: see'; echo 'Found 3 errors in 2 files'; echo '12:30: tea'"
    assert Complaints(said).baseline(workspace({"a.py": TEXT}))["found"] == [["12", "tea", 1]]


def test_a_tool_that_does_not_work_on_the_base_stops_the_repository(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    with pytest.raises(BaseBroken, match="`exit 1` ended with exit code 1 and named no place on the untouched commit"):
        Complaints("exit 1").baseline(ws)
    with pytest.raises(BaseBroken, match="exit code 2 on the untouched commit"):
        Complaints("echo a.py:1: x; exit 2").baseline(ws)
    with pytest.raises(BaseBroken, match="took more than 0 s"):
        Complaints("sleep 9", 0.2).baseline(ws)


def test_a_tool_that_an_edit_breaks_has_found_something(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    command = "if grep -q crash a.py; then echo Traceback; exit 2; fi"
    assert judge(ws, "crash\n", command).findings == (
        Finding("complaints", f"`{command}` ended with exit code 2 and named no place:\nTraceback"),
    )
