"""The script that repositories get, function by function, against what it is to agree with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import guard
from operators.data import Skip
from operators.source import decode, generated
from operators.syntax.leftover import leftover
from operators.syntax.standing import decoded, found, in_code

CODE = """\
import numpy as np, os.path as p
from numpy import int as i
from . import np as other
x = np.int(3); y = np.int64(3)  # np.int
s = "np.int", f"{np.int}"
def old(arg, *, key=None): return p.join(getattr(np, "int"), key)
old(1, key=2)
try: pass
except E as caught: global seen
z = __import__("numpy").int
match x:
    case Point(left=a): pass
"""
NAMES = ["numpy.int", "np.int", "i", "old", "key", "os.path.join", "arg", "caught", "seen", "left", "nothing", "join"]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_found_where_the_check_finds_them(name: str) -> None:
    assert in_code(CODE, [name], "") == {line for line, _ in leftover(CODE, [name], "")}


@pytest.mark.parametrize("pattern", [r"np\.int\b", r"\bold\(", "numpy", '"', "Point"])
def test_patterns_are_found_where_the_check_finds_them(pattern: str) -> None:
    assert in_code(CODE, [], pattern) == {line for line, _ in leftover(CODE, [], pattern)}


def test_our_own_code_is_read_as_the_check_reads_it() -> None:
    names, pattern = ["re.compile", "Path", "self", "os.path"], r"\bself\.|import "
    for file in sorted(Path(__file__).parents[3].glob("operators/**/*.py"))[:60]:
        text = file.read_text()
        assert in_code(text, names, pattern) == {line for line, _ in leftover(text, names, pattern)}, file


@pytest.mark.parametrize("text", ["def (", "x = '", "\0", "x" + "(" * 500])
def test_what_is_no_python_is_looked_at_as_text(text: str) -> None:
    old = [{"text": r"\bx\b", "names": ["x"], "code": ""}]
    with pytest.raises(Skip):
        leftover(text, ["x"], "")
    assert in_code(f"{text} #x", ["x"], "") is None
    assert found("a.py", f"x\n{text}", old, "j") == [1] + [2] * (text[0] == "x")


@pytest.mark.parametrize(
    ("line", "stands"),
    [
        ("old()", True),
        ("old()  # umbau: allow my.job", False),
        ("old()  # Umbau: allow my.job", True),
        ("old()  # noqa, umbau: allow my.job.", False),
        ("old()  # umbau: allow my.jobs", True),
        ("old()  # umbau: allow my.job.x", True),
        ("old()  # umbau: allow my", True),
        ("old()  # umbau: allow myxjob", True),
    ],
)
def test_a_line_may_say_that_it_stays(line: str, stands: bool) -> None:
    old = [{"text": "old"}, {"text": "old", "names": ["old"], "code": ""}]
    assert found("a.py", f"\n{line}\n", old, "my.job") == ([2] if stands else [])


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_lines_end_where_the_detector_ends_them(ending: str) -> None:
    text = ending.join(["a = old", "\fold", "# old\x0bold", "older", ""])
    assert found("a.txt", text, [{"text": "old$"}], "j") == [1, 2, 3]


def test_it_is_called_where_a_parser_may_die() -> None:
    old = [{"text": "", "names": ["old"], "code": ""}]
    assert guard.call("standing:found", path="a.py", text="x = 1\nold()\n", old=old, name="j") == [2]


_BITS = st.sampled_from(
    [b"old()", b"\n", b"\r\n", b"\r", b"\0", b"\xe9", "ä".encode(), b"# coding: latin-1", b"# coding: x"]
)
_MORE = st.sampled_from(
    [b"# @generated", b"\xef\xbb\xbf", b"# coding: utf-7", b"version https://git-lfs.github.com/spec/v1"]
)


@settings(max_examples=200, deadline=None)
@given(data=st.lists(_BITS | _MORE, max_size=8).map(b"".join), path=st.sampled_from(["a.py", "a.txt"]))
def test_files_are_read_as_the_detector_reads_them(data: bytes, path: str) -> None:
    expected: Any
    try:
        expected = decode(data, path).text
    except Skip:
        expected = None
    assert decoded(data, path) == (None if expected is None or generated(expected) else expected)
