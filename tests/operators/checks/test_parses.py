from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from operators.checks.parses import Parses
from operators.data import Edit
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace, shard_of

TEXT = "import os\n\n\ndef f():\n    return 1\n"


def messages(ws: Workspace, files: dict[str, str | None]) -> list[str]:
    edit = Edit(files)
    ruling = Parses().judge(ws.over(edit), shard_of(ws.base, *files), edit)
    assert all(finding.judge == "parses" and finding.place in files for finding in ruling.findings)
    return [finding.message for finding in ruling.findings]


def test_what_parses_is_no_fault(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT, "b.txt": "no python\n"})
    assert (
        messages(ws, {"a.py": TEXT.replace("1", "2"), "b.txt": "still ( none\n", "new.py": "x = 1\n", "c.py": None})
        == []
    )


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (TEXT.replace("return 1", "return (1"), "Syntax error on line 5 for Python {}: '(' was never closed."),
        (TEXT.replace("return 1", "return 1)"), "Syntax error on line 5 for Python {}: unmatched ')'."),
        (
            TEXT.replace("    return", "return"),
            "expected an indented block after function",
        ),
        ("<<<<<<< SEARCH\nx\n=======\n>>>>>>> REPLACE\n", "Syntax error on line 1"),
        ("```python\nx = 1\n```\n", "Syntax error on line 1"),
        (
            TEXT + "x = " + "(" * 300 + ")" * 300 + "\n",
            "Syntax error on line 6",
        ),
        (TEXT + "x = " + "-" * 20_000 + "1\n", "annot be parsed"),
    ],
)
def test_what_does_not_parse_is_told_with_the_line(workspace: MakeWorkspace, after: str, message: str) -> None:
    ws = workspace({"a.py": TEXT})
    (told,) = messages(ws, {"a.py": after})
    assert message.format("{}.{}".format(*sys.version_info)) in told


def test_what_did_not_parse_before_may_parse_now(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "print 'a'\n"})
    assert messages(ws, {"a.py": "print('a')\n"}) == []


@pytest.mark.parametrize("own", [False, True], ids=["umbau's python", "the repository's"])
@pytest.mark.parametrize(
    ("after", "message"),
    [
        (
            f"import re\nfrom __future__ import annotations\n{TEXT}",
            "from __future__ imports must occur",
        ),
        (TEXT + "return 1\n", "'return' outside function"),
        (TEXT + "def g(a, a): ...\n", "duplicate argument 'a' in function definition"),
        (TEXT + "    break\n", "'break' outside loop"),
        (TEXT.replace("return 1", "return await g()"), "'await' outside async function"),
        (TEXT.replace("return 1", "x = 1\n    global x"), "name 'x' is assigned to before global declaration"),
    ],
)
def test_what_parses_but_cannot_be_imported_is_a_fault(
    workspace: MakeWorkspace, after: str, message: str, own: bool
) -> None:
    base = workspace({"a.py": TEXT}).base
    ws = Workspace(replace(base, parser=sys.executable) if own else base)
    (told,) = messages(ws, {"a.py": after})
    assert message in told


@pytest.mark.parametrize("own", [False, True], ids=["umbau's python", "the repository's"])
def test_what_could_not_be_imported_before_is_no_fault_of_the_edit(workspace: MakeWorkspace, own: bool) -> None:
    base = workspace({"a.py": TEXT + "return 1\n"}).base
    ws = Workspace(replace(base, parser=sys.executable) if own else base)
    assert messages(ws, {"a.py": TEXT + "return 2\n"}) == []
    assert len(messages(ws, {"a.py": TEXT + "return (2\n"})) == 1


@pytest.mark.parametrize("own", [False, True], ids=["umbau's python", "the repository's"])
def test_nothing_of_a_text_is_run(workspace: MakeWorkspace, tmp_path: Path, own: bool) -> None:
    base = workspace({"a.py": TEXT}).base
    ws = Workspace(replace(base, parser=sys.executable) if own else base)
    assert messages(ws, {"a.py": f"open({str(tmp_path / 'ran')!r}, 'w').close()\n'\\d'\n"}) == []
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("data", "after", "found"),
    [
        (b"x = 1\n", "x = 2", ["The file must end with a line ending, as before."]),
        (b"x = 1", "x = 2\n", ["The file must not end with a line ending, as before."]),
        (b"x = 1\n", "", []),
        (b"", "x = 1\n", []),
        (b"x = 1\r\ny = 2\r\nz = 3\r\n", "x = 1\r\ny = 3\r\nz = 3\r\n", []),
        (b"x = 1\r\ny = 2\r\nz = 3\r\n", "x = 1\ny = 3\nz = 3\n", ["The line ending of line 1 was changed."]),
        (b"x = 1\ny = 2\nz = 3\n", "x = 1\ny = 3\nz = 3\r\n", []),
        (b"x = 1\ny = 2\r\nz = 3\n", "x = 1\ny = 2\nz = 4\n", ["The line ending of line 2 was changed."]),
        (b"x = 1\ny = 2\r\nz = 3\n", "a = 0\nx = 1\ny = 2\nz = 4\n", ["The line ending of line 2 was changed."]),
        (b"x = 1\ny = 2\r\n", "x = 1\ny = 2\r\nz = 3\n", []),
        (b"x = 1\n\x0c\ny = 1\n", "x = 1\n\x0c\ny = 2\n", []),
    ],
)
def test_what_was_not_edited_comes_back_byte_for_byte(
    workspace: MakeWorkspace, data: bytes, after: str, found: list[str]
) -> None:
    ws = workspace({"a.py": data})
    assert messages(ws, {"a.py": after})[: len(found) or 1] == found


def test_each_file_is_judged(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT, "b.py": TEXT})
    assert len(messages(ws, {"a.py": "x = (\n", "b.py": "y = )\n"})) == 2


def test_the_repositorys_own_python_decides(workspace: MakeWorkspace, tmp_path: Path) -> None:
    ws = workspace({"a.py": "x = 1\n"})
    older, same = tmp_path / "python", replace(ws.base, parser=sys.executable)
    older.write_text("#!/bin/sh\necho 'SyntaxError: too new' >&2\nexit 1\n")
    older.chmod(0o755)
    assert messages(Workspace(same), {"a.py": "x = 2\n"}) == []
    assert messages(Workspace(replace(ws.base, parser=str(older))), {"a.py": "x = 2\n"}) == [
        "Does not parse with the environment's Python: SyntaxError: too new."
    ]
