from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.hunks import Hunk, apply
from operators.source import split
from operators.syntax.borders import bordered
from tests.operators.syntax.samples import TRICKY

CLASS = "class A:\n    def f(self): return 1\n    def g(self): return 2\n"


@pytest.mark.parametrize(
    ("before", "after", "places"),
    [
        ("a = 1\nb = 1\n", "a = 2\nb = 2\n", [(0, 1), (1, 2)]),
        ("a = 1\nb = 1\n", "a = (\n    2)\nb = 2\n", [(0, 1), (1, 2)]),
        ("import a\nb = 1\n", "import a as c\nb = 2\n", [(0, 1), (1, 2)]),
        (CLASS, CLASS.replace("return", "yield"), [(1, 2), (2, 3)]),
        (CLASS, CLASS.replace("return", "yield").replace("class A", "@a\nclass A"), [(0, 1), (1, 2), (2, 3)]),
        (CLASS, CLASS.replace("A", "B").replace("return", "yield"), [(0, 3)]),  # other symbols
        (CLASS, CLASS.replace("return", "yield").replace("def g", "def h"), [(1, 3)]),
        ("import a\nb = 1\nc = 1\n", "import a\n\nb = 2\nc = 2\n\n", [(1, 1), (1, 2), (2, 3)]),
        ("a = 1\nb = 1\n", "a = 2\n", [(0, 2)]),  # which of the two it was cannot be told
        ("a = 1\nb = 1\n", "a = 2\nc = 2\nb = 2\n", [(0, 2)]),
        ("a = 1; b = 1\nc = 1\n", "a = 2; b = 2\nc = 2\n", [(0, 1), (1, 2)]),
        ("import a; b = 1\nc = 1\n", "import a\nb = 2\nc = 2\n", [(0, 2)]),
        ("a = 1\nb = 1\n", "a = (\nb = 2\n", [(0, 2)]),  # does not parse
    ],
)
def test_what_changes_in_neighbours_is_told_apart(before: str, after: str, places: list[tuple[int, int]]) -> None:
    hunks = bordered(before, after)
    assert [(hunk.first, hunk.last) for hunk in hunks] == places
    assert apply(split(before), hunks) == split(after)


@pytest.mark.parametrize(
    ("before", "after", "hunks"),
    [
        ("a = 1\nb = 1\n", "a = 1\n\nb = 1\n", [Hunk(0, 1, ("a = 1\n", "\n"))]),
        ("a = 1\nb = 1\n", "a = 2\n\nb = 2\n", [Hunk(0, 1, ("a = 2\n", "\n")), Hunk(1, 2, ("b = 2\n",))]),
        ("a = 1\nb = 1\n", "a = 1\ndef f(): ...\nb = 1\n", [Hunk(0, 1, ("a = 1\n", "def f(): ...\n"))]),
        (CLASS, CLASS.replace("    def g", "    @a\n    def g"), [Hunk(2, 3, ("    @a\n", CLASS.splitlines(True)[2]))]),
        (CLASS, CLASS.replace("    def f", "    @a\n    def f"), [Hunk(1, 2, ("    @a\n", CLASS.splitlines(True)[1]))]),
        (CLASS, CLASS.replace("class A", "@a\nclass A"), [Hunk(0, 1, ("@a\n", "class A:\n"))]),
        (CLASS, CLASS.replace("    def f", "    # why\n    def f"), [Hunk(1, 1, ("    # why\n",))]),
        ("import a\nb = 1\n", "import a\ndef f(): ...\nb = 1\n", [Hunk(1, 1, ("def f(): ...\n",))]),
        ("a = 1\nb = 1\n", "a = 1\nimport c\nb = 1\n", [Hunk(1, 1, ("import c\n",))]),
        ("a = 1\n\nb = 1\n", "a = 1\n\n@new\ndef f(): ...\nb = 1\n", [Hunk(2, 2, ("@new\n", "def f(): ...\n"))]),
    ],
)
def test_what_is_put_at_the_border_of_a_symbol_is_given_to_one(before: str, after: str, hunks: list[Hunk]) -> None:
    assert bordered(before, after) == hunks


@given(st.data())
def test_applying_the_hunks_gives_the_new_text(data: st.DataObject) -> None:
    lines = split(TRICKY)
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.lists(st.sampled_from(["\n", "# new\n", "import re\n", "x = 1\n", lines[at]]), max_size=2)
        )
    after = "".join(lines)
    hunks = bordered(TRICKY, after)
    assert apply(split(TRICKY), hunks) == split(after)
    assert all(one.last <= other.first for one, other in pairwise(hunks))


@given(st.lists(st.booleans(), min_size=1, max_size=12))
def test_each_of_many_neighbours_has_its_own_hunk(changed: list[bool]) -> None:
    before = [f"n{number} = 1\n" for number in range(len(changed))]
    after = [f"n{number} = {1 + own}\n" for number, own in enumerate(changed)]
    assert [hunk.first for hunk in bordered("".join(before), "".join(after))] == [
        number for number, own in enumerate(changed) if own
    ]
