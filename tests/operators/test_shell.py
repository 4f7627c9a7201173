from __future__ import annotations

import pytest

from operators.data import Edit, Finding, Verdict
from operators.shell import Shell
from operators.workspace import NoCommand
from tests.operators.conftest import MakeWorkspace, shard_of


def test_a_command_proposes_what_it_did(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n", "b.py": "y = 1\n", "c.py": "z = 1\n"})
    command = "for f in {paths}; do echo more >> $f; done; rm c.py; mkdir new; echo d > new/d.py"
    edit = Shell(command).propose(ws, shard_of(ws.base, "a.py", "b.py"), ())
    assert edit == Edit({"a.py": "x = 1\nmore\n", "b.py": "y = 1\nmore\n", "c.py": None, "new/d.py": "d\n"})


def test_a_command_goes_on_from_the_edit_so_far(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n"}).over(Edit({"a.py": "x = 2\n"}))
    assert Shell("echo more >> a.py").propose(ws, shard_of(ws.base, "a.py"), ()) == Edit({"a.py": "x = 2\nmore\n"})


def test_a_command_that_changes_nothing_proposes_nothing(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n"})
    shard = shard_of(ws.base, "a.py")
    assert Shell("cat {paths}; mkdir -p __pycache__; touch __pycache__/a.pyc").propose(ws, shard, ()) is None


def test_a_command_does_not_say_the_same_twice(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n"})
    past = (Verdict(Edit({}), (Finding("tests", "broken"),)),)
    assert Shell("echo more >> a.py").propose(ws, shard_of(ws.base, "a.py"), past) is None


@pytest.mark.parametrize(
    ("command", "timeout", "told"),
    [
        (
            "echo first; echo why >&2; exit 3",
            30,
            "`echo first; echo why >&2; exit 3` ended with exit code 3:\nfirst\nwhy",
        ),
        ("kill -9 $$", 30, "`kill -9 $$` ended with exit code -9:\n"),
        ("sleep 300", 0.3, "`sleep 300` took more than 0 s:\n"),
        ("printf '\\000' > a.py", 30, "left something that is not source code: binary"),
        ("printf '\\377' > a.py", 30, "left something that is not source code: not UTF-8"),
        ("rm a.py; ln -s /etc/passwd a.py", 30, "left something that is not source code: a.py"),
        ("mkfifo pipe", 30, "left something that is not source code: pipe"),
        (
            "head -c 2000000 /dev/zero | tr '\\0' a > large.py",
            30,
            "left something that is not source code: larger than",
        ),
        ("printf x > \"$(printf 'caf\\351.py')\"", 30, "left something that is not source code: 'caf\\udce9.py'"),
        ("touch 'new\nline.py'", 30, "left something that is not source code: 'new\\nline.py'"),
    ],
)
def test_what_goes_wrong_is_told_to_whoever_must_repair_it(
    workspace: MakeWorkspace, command: str, timeout: float, told: str
) -> None:
    ws = workspace({"a.py": "x = 1\n"})
    edit = Shell(command, timeout).propose(ws, shard_of(ws.base, "a.py"), ())
    assert edit
    assert dict(edit.files) == {}
    assert told in edit.trouble


def test_only_the_end_of_what_a_failing_command_said_is_told(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n"})
    edit = Shell("yes | head -c 100000; echo the end; exit 1").propose(ws, shard_of(ws.base, "a.py"), ())
    assert edit
    assert edit.trouble.endswith("the end")
    assert len(edit.trouble) < 5_000


def test_a_command_that_is_not_installed_is_an_error_of_ours(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n"})
    with pytest.raises(NoCommand):
        Shell("no-such-formatter {paths}").propose(ws, shard_of(ws.base, "a.py"), ())


def test_encodings_and_line_ends_are_kept(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": b"\xef\xbb\xbfx = 1\r\n", "b.py": "# coding: latin-1\nx = 'ü'\n".encode("latin-1")})
    edit = Shell("sed -i s/x/y/ {paths}").propose(ws, shard_of(ws.base, "a.py", "b.py"), ())
    assert edit == Edit({"a.py": "y = 1\r\n", "b.py": "# coding: latin-1\ny = 'ü'\n"})
    assert (ws.over(edit).tree().folder / "a.py").read_bytes() == b"\xef\xbb\xbfy = 1\r\n"
