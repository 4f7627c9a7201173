from __future__ import annotations

import ast
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.data import Skip
from operators.source import split
from operators.syntax.pieces import pieces, replaced
from tests.operators.syntax.samples import TRICKY

HITS = r"self\.assert"
TEXT = """\
import unittest


class TestA(unittest.TestCase):
    def test_a(self):
        self.assertEqual(f(1), 2)
        for x in range(3):
            y = x
            self.assertEqual(
                x,
                y,
            )
        with self.assertRaises(E):
            self.assertTrue(f())

    def test_b(self):
        try:
            f()
        except E:
            self.assertTrue(g()); done = 1
        if f(): self.assertTrue(g())

    @slow
    def test_c(self):
        x = 1
        with open() as file, self.assertRaises(E) as cm:
            f()
        self.assertEqual(cm.exception.code, 1)

    def assertEqual(self, a, b=self.assertTrue):
        pass
"""


@pytest.mark.parametrize(
    ("spans", "found"),
    [
        ([], [(6, 6), (9, 12), (13, 14), (20, 20), (21, 21), (23, 28)]),
        ([(16, 21)], [(20, 20), (21, 21)]),
        ([(10, 10)], []),
        ([(9, 9)], [(9, 12)]),
        ([(30, 31)], []),
    ],
)
def test_the_smallest_statements_with_a_hit(spans: list[tuple[int, int]], found: list[tuple[int, int]]) -> None:
    assert pieces(TEXT, HITS, spans) == found


def test_branches_of_all_kinds_are_looked_into() -> None:
    text = (
        "match x:\n    case 1:\n        self.assertA()\n    case _:\n        pass\n"
        "try:\n    f()\nexcept* E:\n    f()\nelse:\n    self.assertB()\nfinally:\n    self.assertC()\n"
        "while x:\n    f()\nelse:\n    self.assertD()\n"
    )
    assert pieces(text, HITS) == [(3, 3), (11, 11), (13, 13), (17, 17)]


def test_an_elif_cannot_stand_alone() -> None:
    text = "if x:\n    self.assertA()\nelif y:\n    self.assertB()\nelse:\n    if z: self.assertC()\n"
    assert pieces(text, HITS) == [(2, 2), (4, 4), (6, 6)]
    assert pieces(text.replace("elif y", "elif self.assertD()"), HITS) == [(1, 6)]


def test_what_does_not_parse_is_skipped() -> None:
    with pytest.raises(Skip):
        pieces("self.assertEqual(\n", HITS)


@pytest.mark.parametrize(
    ("text", "changes", "after"),
    [
        ("    a\n", [], "    a\n"),
        ("def f():\n    a()\n    b()\n", [(2, 2, "x()\ny()")], "def f():\n    x()\n    y()\n    b()\n"),
        (
            "def f():\n    a()\n    b()\n",
            [(2, 2, "x"), (3, 3, "if y:\n    z")],
            "def f():\n    x\n    if y:\n        z\n",
        ),
        ("def f():\r\n    a()", [(2, 2, "x\n\ny\n")], "def f():\r\n    x\r\n\r\n    y"),
        ("def f():\n\ta()\n", [(2, 2, "x")], "def f():\n\tx\n"),
        ("import os\n\na()\n", [(3, 3, "import pytest\npytest.b()")], "import os\n\nimport pytest\n\npytest.b()\n"),
        ("import pytest\na()\n", [(2, 2, "import pytest\npytest.b()")], "import pytest\npytest.b()\n"),
        ('"""About."""\na()\n', [(2, 2, "import re\nb()")], '"""About."""\n\nimport re\nb()\n'),
        ("def f():\n    import a\n", [(2, 2, "import b")], "def f():\n    import b\n"),
        ("a()\n", [(1, 1, "x = (")], "x = (\n"),
        ("try:\n    a\nfinally:\n    b\n", [(2, 2, "import c\nx")], "import c\ntry:\n    x\nfinally:\n    b\n"),
        ("a()", [(1, 1, "import c\nx")], "import c\nx"),
    ],
)
def test_pieces_are_replaced(text: str, changes: list[tuple[int, int, str]], after: str) -> None:
    assert replaced(text, changes) == after


@given(st.sets(st.sampled_from(["f(", "x", "a", "return", "if", "self"]), min_size=1))
def test_pieces_are_apart_in_order_and_hold_every_hit_that_is_code(hits: set[str]) -> None:
    pattern = "|".join(map("\\b{}".format, (hit.replace("(", r"\(") for hit in hits)))
    for text in (TEXT, TRICKY):
        found = pieces(text, pattern)
        assert all(one[1] < other[0] for one, other in pairwise(found))
        assert all(first <= last <= len(split(text)) for first, last in found)


@given(st.data())
def test_a_piece_put_back_as_it_was_changes_nothing(data: st.DataObject) -> None:
    lines = split(TEXT)
    chosen = data.draw(st.lists(st.sampled_from(pieces(TEXT, HITS)), unique=True).map(sorted))
    changes = []
    for first, last in chosen:
        margin = len(lines[first - 1]) - len(lines[first - 1].lstrip())
        changes.append((first, last, "".join(line[margin:] for line in lines[first - 1 : last])))
    after = replaced(TEXT, changes)
    assert after == TEXT
    assert ast.dump(ast.parse(after)) == ast.dump(ast.parse(TEXT))
