from __future__ import annotations

from dataclasses import replace

import pytest

from operators.checks.inside import Inside
from operators.data import Edit, Finding, Ruling, Span
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace, shard_of

TEXT = "import os\n\n\ndef f():\n    return 1\n\n\ndef g():\n    return 2\n"
STEERING = [
    ".github/workflows/ci.yml",
    ".gitlab-ci.yml",
    ".gitlab/agents/config.yaml",
    ".circleci/config.yml",
    "Jenkinsfile",
    "CODEOWNERS",
    "docs/CODEOWNERS",
    ".gitattributes",
    "app/.gitattributes",
    ".gitmodules",
    ".pre-commit-config.yaml",
    ".git/config",
    "app/.git/hooks/pre-commit",
]


def judge(ws: Workspace, edit: Edit, *paths: str, check: Inside | None = None) -> Ruling:
    return (check or Inside()).judge(ws.over(edit), shard_of(ws.base, *paths), edit)


def test_the_shards_own_files_may_change(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT, "b.py": TEXT})
    ruling = judge(ws, Edit({"a.py": "x = 1\n", "b.py": "y = 1\n"}), "a.py", "b.py")
    assert ruling == Ruling((), "inside: only the shard's 2 file(s) changed")


@pytest.mark.parametrize(
    "path",
    ["b.py", "new.py", "../a.py", "./a.py", "/etc/passwd", "pkg/../a.py", "A.py", "a.py ", "", "a.py\0", *STEERING],
)
def test_no_other_file_may(workspace: MakeWorkspace, path: str) -> None:
    ws = workspace({"a.py": TEXT, "b.py": TEXT})
    ruling = judge(ws, Edit({"a.py": "x = 1\n", path: "y = 1\n"}), "a.py")
    assert ruling.findings == (Finding("inside", "This file is not yours to change. Yours: a.py.", path),)


@pytest.mark.parametrize("path", STEERING)
def test_what_steers_a_forge_may_not_even_if_it_is_the_shards(workspace: MakeWorkspace, path: str) -> None:
    ws = workspace({"a.py": TEXT})
    edit = Edit({path: "x\n"})
    found = Finding("inside", "Files that steer CI and reviews must stay as they are.", path)
    assert judge(ws, edit, path).findings == (found,)
    assert judge(ws, edit, path, check=Inside(allow=(path,))).findings == ()
    assert judge(ws, edit, path, check=Inside(allow=("*.nothing",))).findings == (found,)


def test_files_with_like_names_steer_nothing(workspace: MakeWorkspace) -> None:
    ws, paths = workspace({"a.py": TEXT}), ("app/.github/x.py", "app/Jenkinsfile.py", "gitlab/a.py", "codeowners.py")
    assert judge(ws, Edit(dict.fromkeys(paths, "x\n")), *paths).findings == ()


def test_no_file_may_be_deleted(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    assert judge(ws, Edit({"a.py": None}), "a.py").findings == (
        Finding("inside", "The file must not be deleted.", "a.py"),
    )


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        ("return 1", "return 3", []),
        ("import os\n", "import os\nimport re\n", []),
        ("return 2", "return 3", ["Line 9 is outside of a.py::f."]),
        ("import os\n", "", ["Line 1 is outside of a.py::f."]),
        ("return", "yield", ["Line 9 is outside of a.py::f."]),
    ],
)
def test_a_symbol_changes_its_own_lines_only(workspace: MakeWorkspace, old: str, new: str, messages: list[str]) -> None:
    ws = workspace({"a.py": TEXT})
    shard, edit = (
        replace(shard_of(ws.base, "a.py"), spans=(Span("a.py", "f", 4, 5),)),
        Edit({"a.py": TEXT.replace(old, new)}),
    )
    ruling = Inside().judge(ws.over(edit), shard, edit)
    assert [finding.message for finding in ruling.findings] == messages
    assert {finding.place for finding in ruling.findings} <= {"a.py"}


def test_only_the_first_of_many_lines_are_told(workspace: MakeWorkspace) -> None:
    text = "".join(f"def f{number}():\n    return {number}\n" for number in range(20))
    ws = workspace({"a.py": text})
    edit = Edit({"a.py": text.replace("return", "yield")})
    shard = replace(shard_of(ws.base, "a.py"), spans=(Span("a.py", "f0", 1, 2),))
    assert len(Inside().judge(ws.over(edit), shard, edit).findings) == 5


def test_a_symbol_that_does_not_parse_any_more_is_told_as_such(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    edit = Edit({"a.py": TEXT.replace("return 1", "return (1")})
    shard = replace(shard_of(ws.base, "a.py"), spans=(Span("a.py", "f", 4, 5),))
    (finding,) = Inside().judge(ws.over(edit), shard, edit).findings
    assert finding.judge == "parses"
    assert finding.message.startswith("syntax error on line 5")
