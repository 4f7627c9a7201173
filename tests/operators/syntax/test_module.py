from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.data import Skip
from operators.source import split
from operators.syntax.module import accepted, changed, check, module
from tests.operators.syntax.samples import TRICKY, library, text_of

BEFORE = '''\
"""About."""

import os


def f():
    """About f."""
    return 1


# between f and A


class A(object):
    x = 1

    # between x and g

    def g(self):
        return 2
        # at the end of g


def h():
    return 3
'''


@pytest.mark.parametrize("path", library(15), ids=lambda path: path.stem)
def test_real_files_round_trip(path: Path) -> None:
    assert module(text_of(path)).code == text_of(path)


def test_a_tricky_file_round_trips() -> None:
    assert module(TRICKY).code == TRICKY


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(:\n", "syntax error on line 1: "),
        ("x = 1\ry = 2\r", "LibCST does not give the same text back"),
    ],
)
def test_what_libcst_cannot_keep_is_skipped(text: str, reason: str) -> None:
    with pytest.raises(Skip) as why:
        module(text)
    assert str(why.value).startswith(reason)


def test_only_what_differs_is_parsed() -> None:
    (was, numbers), (becomes, _) = changed(BEFORE, BEFORE.replace("x = 1", "x = 4"))
    assert "x = 1" in was.code
    assert "x = 4" in becomes.code
    assert "return 3" not in was.code
    assert [split(BEFORE)[number - 1] for number in numbers] == split(was.code)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# between f and A", "# changed"),
        ("# between f and A\n\n\n", "# between f and A\n\n"),
        ("# between f and A\n", ""),
        ("# between x and g", "# changed"),
        ("        # at the end of g\n", ""),
        ("class A(object):", "class A:"),
        ("class A(object):\n    x = 1\n\n", "class A(object):\n    x = 1\n"),
        ('"""About."""', '"""Changed."""'),
        ("import os\n", ""),
        ("return 3\n", "return 3"),
        ("import os\n\n\n", "\n\n"),
        ("def h():\n    return 3\n", ""),
        ("def h():\n", "def h():\n\n"),
    ],
)
def test_whatever_differs_is_in_both_trees(old: str, new: str) -> None:
    (was, _), (becomes, _) = changed(BEFORE, BEFORE.replace(old, new))
    assert was.code != becomes.code
    assert not was.deep_equals(becomes)


def test_an_import_that_was_moved_is_seen() -> None:
    after = BEFORE.replace("import os\n", "") + "\n\n\n\nimport os\n"
    (was, _), (becomes, _) = changed(BEFORE, after)
    assert not was.deep_equals(becomes)


@settings(max_examples=150)
@given(st.data())
def test_two_texts_that_differ_have_two_trees_that_differ(data: st.DataObject) -> None:
    lines = split(BEFORE)
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.lists(st.sampled_from(["\n", "# c\n", "import re\n", "    return 3\n", "x = 1\n"]), max_size=2)
        )
    after = "".join(lines)
    try:
        (was, _), (becomes, _) = changed(BEFORE, after)
    except Skip:
        return
    if after == BEFORE:
        return
    assert not was.deep_equals(becomes) or was.default_indent != becomes.default_indent


def test_a_text_that_did_not_parse_before_may_parse_now() -> None:
    check("print 'a'\n", "print('a')\n")


@pytest.mark.parametrize("after", ["def f(:\n", BEFORE.replace("return 1", "return (1")])
def test_a_text_that_does_not_parse_any_more_is_skipped(after: str) -> None:
    with pytest.raises(Skip, match="syntax error on line"):
        check(BEFORE, after)


def test_the_repositorys_own_interpreter_decides() -> None:
    accepted("x = 1\n", sys.executable)
    with pytest.raises(Skip, match="does not parse with the environment's Python: SyntaxError"):
        accepted("print 'a'\n", sys.executable)


def test_a_coding_cookie_is_not_applied_twice() -> None:
    accepted("# coding: latin-1\nx = 'ü'\n", sys.executable)
    accepted("# coding: ascii\nx = 'ü'\n", sys.executable)


def test_what_newer_interpreters_accept_is_no_fault(tmp_path: Path) -> None:
    newer = tmp_path / "python"
    newer.write_text("#!/bin/sh\nexit 0\n")
    newer.chmod(0o755)
    check("type X = int\n", "type X = str\n", str(newer))
