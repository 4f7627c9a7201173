from __future__ import annotations

import codecs
from dataclasses import replace

import pytest

from operators.checks.inside import Inside
from operators.data import Edit, Finding, Ruling, Span
from operators.shell import Shell
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace, shard_of

TEXT = "import os\n\n\ndef f():\n    return 1\n\n\ndef g():\n    return 2\n"
RUNNING = [
    "pytest.ini",
    "pyproject.toml",
    "app/setup.cfg",
    "tox.ini",
    "uv.lock",
    "package-lock.json",
    "sitecustomize.py",
    "src/usercustomize.py",
    "evil.pth",
]
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


@pytest.mark.parametrize("path", RUNNING)
def test_what_steers_builds_and_tests_may_only_if_the_job_names_it(workspace: MakeWorkspace, path: str) -> None:
    ws, edit, name = workspace({"a.py": TEXT}), Edit({path: "x\n"}), path.rpartition("/")[2]
    found = Finding("inside", "Files that steer builds and test runs must stay as they are.", path)
    assert judge(ws, edit, path).findings == (found,)
    assert judge(ws, edit, path, check=Inside(named=("a.py",))).findings == (found,)
    assert judge(ws, edit, path, check=Inside(named=(name,))).findings == ()
    assert judge(ws, edit, path, check=Inside(allow=(name,))).findings == ()


def test_naming_a_file_that_steers_a_forge_is_not_enough(workspace: MakeWorkspace) -> None:
    ws, path = workspace({"a.py": TEXT}), ".gitlab-ci.yml"
    assert judge(ws, Edit({path: "x\n"}), path, check=Inside(named=(path,))).findings


def test_files_with_like_names_steer_nothing(workspace: MakeWorkspace) -> None:
    ws, paths = (
        workspace({"a.py": TEXT}),
        ("app/.github/x.py", "app/Jenkinsfile.py", "gitlab/a.py", "codeowners.py", "block.py"),
    )
    assert judge(ws, Edit(dict.fromkeys(paths, "x\n")), *paths).findings == ()


@pytest.mark.parametrize("text", [None, "", "\n", " \n\n"])
def test_no_file_may_be_deleted_or_emptied(workspace: MakeWorkspace, text: str | None) -> None:
    ws = workspace({"a.py": TEXT, "empty.py": ""})
    assert judge(ws, Edit({"a.py": text}), "a.py").findings == (
        Finding("inside", "The file must not be deleted or emptied.", "a.py"),
    )
    assert bool(judge(ws, Edit({"empty.py": text}), "empty.py").findings) is (text is None)


LATIN = "# coding: latin-1\nx = 'ü'\n"


@pytest.mark.parametrize(
    ("data", "after", "message"),
    [
        (codecs.BOM_UTF8 + b"x = 1\n", "x = 2\n", ""),
        (LATIN.encode("latin-1"), LATIN.replace("ü", "ö"), ""),
        (
            LATIN.encode("latin-1"),
            LATIN.replace("ü", "→"),
            "'→' cannot be written in the file's encoding, iso8859-1.",
        ),
        (LATIN.encode("latin-1"), "x = 'ü'\n", "The file could not be read again: not UTF-8."),
        (
            LATIN.encode("latin-1"),
            LATIN.replace("latin-1", "cp1251"),
            "The file is written in iso8859-1; what says so must stay as it is.",
        ),
        (b"x = 1\n", "# coding: utf-7\nx = 1\n", "The file could not be read again: encoding utf-7."),
        (b"x = 1\n", "x = '\0'\n", "The file could not be read again: binary."),
        (b"x = 1\n", "x = '\ud800'\n", "'\\ud800' cannot be written in the file's encoding, utf-8."),
        (b"x = 1\n", "\ufeffx = 1\n", "The file is written in utf-8; what says so must stay as it is."),
        (b"x = 1\n", "x = 1\n" + "#" * (1 << 20) + "\n", "The file could not be read again: larger than 1 MB."),
    ],
)
def test_a_text_must_come_back_from_the_files_encoding(
    workspace: MakeWorkspace, data: bytes, after: str, message: str
) -> None:
    ws = workspace({"a.py": data})
    found = [Finding("inside", message, "a.py")] if message else []
    assert list(judge(ws, Edit({"a.py": after}), "a.py").findings) == found


def test_a_file_that_a_command_recodes_is_not_passed_on(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": LATIN.encode("latin-1")})
    recode = Shell("sed -i 1d a.py; iconv -f latin1 -t utf8 a.py > b; cat b > a.py; rm b")
    edit = recode.propose(ws, shard_of(ws.base, "a.py"), ())
    assert edit == Edit({"a.py": "x = 'ü'\n"})
    (finding,) = judge(ws, edit, "a.py").findings
    assert finding.message == "The file could not be read again: not UTF-8."


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        ("return 1", "return 3", []),
        ("import os\n", "import os\nimport re\n", []),
        ("return 2", "return 3", ["Line 9 is outside of a.py::f."]),
        ("import os\n", "", ["Line 1 is outside of a.py::f."]),
        ("return", "yield", ["Line 9 is outside of a.py::f."]),
        (
            "return 1\n",
            "return 1\n\n\n@skip\n",
            ["`def g():` on line 8 is outside of a.py::f, but what was added takes it in, decorates it or adds to it."],
        ),
        (
            "import os\n",
            "import os\nimport x as g\n",
            ["`import x as g` must not be added: the rest of the file has another `g`. Call it something else."],
        ),
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
