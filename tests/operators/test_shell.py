from __future__ import annotations

from dataclasses import replace

import pytest

from operators.checks.idempotent import Idempotent
from operators.checks.inside import Inside
from operators.checks.parses import Parses
from operators.data import Edit, Finding, Span, Verdict
from operators.hunks import add
from operators.refine import judged
from operators.shell import Shell
from operators.syntax.cut import cut
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
        ("kill -9 $$", 30, "SIGKILL"),
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


UGLY = """\
import os
x = [1,2]
def f():
    return [3,4]
y = [5,6]
def g(a,b):
    return os.getcwd( )
"""


@pytest.mark.parametrize(
    ("symbol", "first", "last", "old", "new"),
    [
        ("line 2", 2, 2, "x = [1,2]", "x = [1, 2]"),
        ("f", 3, 4, "    return [3,4]", "    return [3, 4]"),
        ("g", 6, 7, "def g(a,b):\n    return os.getcwd( )", "def g(a, b):\n    return os.getcwd()"),
    ],
)
def test_of_a_shards_symbols_a_command_changes_only_those(
    workspace: MakeWorkspace, symbol: str, first: int, last: int, old: str, new: str
) -> None:
    ws = workspace({"a.py": UGLY})
    shard = replace(shard_of(ws.base, "a.py"), spans=(Span("a.py", symbol, first, last),))
    format_it = Shell("sed -i 's/,\\([^ ]\\)/, \\1/; s/( )/()/' {paths}")
    edit = format_it.propose(ws, shard, ())
    assert edit == Edit(
        {"a.py": UGLY.replace(old, new)},
        notes=(f"a.py: what `{format_it.command}` changed outside of a.py::{symbol} was left out",),
    )
    verdict = judged(ws, shard, edit, [Inside(), Parses(), Idempotent(format_it)])
    assert verdict.findings == ()


def test_the_edits_of_all_symbols_make_what_a_formatter_makes_of_the_file(workspace: MakeWorkspace) -> None:
    text = UGLY + "class A:\n    def f(self): return [1,2]\n    def g(self): return [3,4]\n    z = [5,6]\nu = [7,8]\n"
    ws = workspace({"a.py": text})
    whole = shard_of(ws.base, "a.py")
    format_it = Shell("ruff format --isolated {paths}")
    edits = []
    for name, first, last in cut(text, r",|os\.", 2):
        edit = format_it.propose(ws, replace(whole, spans=(Span("a.py", name, first, last),)), ())
        assert edit
        edits.append(edit.files["a.py"] or "")
    all_of_it = format_it.propose(ws, whole, ())
    assert all_of_it
    assert add(text, edits) == all_of_it.files["a.py"]


def test_a_command_that_changes_only_what_is_not_the_shards_proposes_nothing(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": UGLY})
    shard = replace(shard_of(ws.base, "a.py"), spans=(Span("a.py", "f", 3, 4),))
    assert Shell("sed -i 's/5,/5, /; 1i import re' a.py").propose(ws, shard, ()) is None


def test_symbols_get_the_imports_that_a_command_adds_for_them(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": UGLY})
    shard = replace(shard_of(ws.base, "a.py"), spans=(Span("a.py", "f", 3, 4),))
    edit = Shell("sed -i 's/3,/re.X,/; 1i import re' a.py").propose(ws, shard, ())
    assert edit
    assert edit.files == {"a.py": "import re\n" + UGLY.replace("3,", "re.X,")}


def test_a_command_whose_change_reaches_over_the_shards_symbols_says_so(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\ny = 2\n"})
    shard = replace(shard_of(ws.base, "a.py"), spans=(Span("a.py", "line 1", 1, 1),))
    edit = Shell("echo 'z = 3' > a.py").propose(ws, shard, ())
    assert edit == Edit(
        {}, notes=("a.py: a change of lines 1 to 2 was left out, because it reaches beyond what may change",)
    )
