from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from operators.codemod import Codemod
from operators.data import Edit, Finding, Skip, Span, Verdict
from operators.guard import Broken
from tests.operators.conftest import MakeWorkspace, shard_of

FORMAT = Codemod("convert_format_to_fstring.ConvertFormatStringCommand", reach="symbol", hits=r"\.format\(")
TEXT = "def f():\n    return '{}'.format(1)\n\n\ndef g():\n    return '{}'.format(2)\n"


def test_a_codemod_proposes_what_it_changes(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT, "b.py": "x = 1\n", "c.txt": "'{}'.format(1)\n"})
    edit = FORMAT.propose(ws, shard_of(ws.base, "a.py", "b.py", "c.txt"), ())
    assert edit == Edit({"a.py": TEXT.replace("'{}'.format(1)", "f'{1}'").replace("'{}'.format(2)", "f'{2}'")})


def test_a_codemod_that_changes_nothing_proposes_nothing(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n"})
    assert FORMAT.propose(ws, shard_of(ws.base, "a.py"), ()) is None


def test_a_codemod_does_not_say_the_same_twice(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    past = (Verdict(Edit({}), (Finding("tests", "broken"),)),)
    assert FORMAT.propose(ws, shard_of(ws.base, "a.py"), past) is None


def test_a_codemod_changes_only_the_shards_symbols_wherever_they_stand_now(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT}).over(Edit({"a.py": f"# one more line\n{TEXT}"}))
    shard = replace(shard_of(ws.base, "a.py"), spans=(Span("a.py", "g", 5, 6),))
    for reach in ("module", "symbol"):
        edit = replace(FORMAT, reach=reach).propose(ws, shard, ())  # type: ignore[arg-type]
        assert edit == Edit({"a.py": f"# one more line\n{TEXT}".replace("'{}'.format(2)", "f'{2}'")})


def test_what_a_codemod_says_of_a_file_that_it_leaves_as_it_is_is_told(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = '{}'.format(*y)\n"})
    edit = FORMAT.propose(ws, shard_of(ws.base, "a.py"), ())
    assert edit
    assert (dict(edit.files), len(edit.notes)) == ({}, 1)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"print 'a'.format()\n", "syntax error on line 1"),
        (b"\0", "binary"),
        (b"x = '\xfc'.format()\n", "not UTF-8"),
        (b"x = " + b"(" * 3000 + b")" * 3000, "too many nested parentheses"),
    ],
)
def test_a_file_that_cannot_be_worked_on_is_skipped(workspace: MakeWorkspace, data: bytes, reason: str) -> None:
    ws = workspace({"a.py": data})
    with pytest.raises(Skip, match=reason):
        FORMAT.propose(ws, shard_of(ws.base, "a.py"), ())


def test_one_file_of_several_that_cannot_be_worked_on_is_left_out_with_a_note(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "print 'a'.format()\n", "b.py": "x = '{}'.format(1)\n", "c.py": b"\0", "d.py": "x = 1\n"})
    edit = FORMAT.propose(ws, shard_of(ws.base, "a.py", "b.py", "c.py"), ())
    assert edit
    assert edit.files == {"b.py": "x = f'{1}'\n"}
    assert edit.notes[0].startswith("a.py: syntax error on line 1")
    assert edit.notes[1] == "c.py: binary"
    edit = FORMAT.propose(ws, shard_of(ws.base, "c.py", "d.py"), ())
    assert edit == Edit({}, notes=("c.py: binary",))
    with pytest.raises(Skip, match=r"a\.py: syntax error on line 1 .*; c\.py: binary"):
        FORMAT.propose(ws, shard_of(ws.base, "a.py", "c.py"), ())


def test_a_file_that_is_gone_is_no_concern(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT}).over(Edit({"a.py": None}))
    assert FORMAT.propose(ws, shard_of(ws.base, "a.py"), ()) is None


def test_a_codemod_of_the_jobs_own_folder_is_found_and_blamed(workspace: MakeWorkspace, tmp_path: Path) -> None:
    source = "from libcst.codemod import Codemod\nclass Bad(Codemod):\n    def transform_module_impl(self, tree):\n"
    (tmp_path / "bad_one.py").write_text(f"{source}        self.warn('soon')\n        raise ZeroDivisionError\n")
    ws = workspace({"a.py": TEXT})
    with pytest.raises(Broken, match="ZeroDivisionError"):
        Codemod("bad_one.Bad", home=str(tmp_path)).propose(ws, shard_of(ws.base, "a.py"), ())


def test_the_files_own_bytes_are_kept(workspace: MakeWorkspace) -> None:
    text = "# coding: latin-1\r\nx = 'ü{}'.format(1)\r\ny = 2"
    ws = workspace({"a.py": text.encode("latin-1")})
    edit = FORMAT.propose(ws, shard_of(ws.base, "a.py"), ())
    assert edit == Edit({"a.py": text.replace("'ü{}'.format(1)", "f'ü{1}'")})
    assert (ws.over(edit).tree().folder / "a.py").read_bytes() == (edit.files["a.py"] or "").encode("latin-1")
