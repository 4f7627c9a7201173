from __future__ import annotations

import ast
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.data import Skip
from operators.source import split
from operators.syntax.outline import Lines
from operators.syntax.pieces import alone, pieces, replaced
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


def lines(text: str, hits: str, spans: Sequence[Lines] = ()) -> list[Lines]:
    return [(first, last) for first, last, _ in pieces(text, hits, spans)]


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
    assert lines(TEXT, HITS, spans) == found


def test_branches_of_all_kinds_are_looked_into() -> None:
    text = (
        "match x:\n    case 1:\n        self.assertA()\n    case _:\n        pass\n"
        "try:\n    f()\nexcept* E:\n    f()\nelse:\n    self.assertB()\nfinally:\n    self.assertC()\n"
        "while x:\n    f()\nelse:\n    self.assertD()\n"
    )
    assert lines(text, HITS) == [(3, 3), (11, 11), (13, 13), (17, 17)]


ON_ONE_LINE = {
    "else": ("if a:\n    b\nelse: self.assertA()\n", [(1, 3)]),
    "try": ("try: self.assertA()\nexcept E: b\n", [(1, 2)]),
    "except": ("try:\n    a\nexcept E: self.assertA()\n", [(1, 3)]),
    "case": ("match a:\n    case 1: self.assertA()\n", [(1, 2)]),
    "def": ("def f(self,\n      x): self.assertA(x)\n", [(1, 2)]),
    "def with decorators": ("@a\n@(\n    b\n)\ndef f(self): self.assertA()\n", [(1, 5)]),
    "if": ("if (a and\n    b): self.assertA()\n", [(1, 2)]),
    "a body of two": ("if a: b; self.assertA()\n", [(1, 1)]),
    "after a semicolon": ("a; self.assertA(\n    1)\nb\n", [(1, 2)]),
    "after a backslash": ("if a: \\\n    self.assertA()\n", [(1, 2)]),
    "after both": ("a; \\\n    self.assertA()\n", [(1, 2)]),
    "behind what is not ASCII": ("'ä'; self.assertA()\n", [(1, 1)]),
    "with that binds": ("def f(self):\n    with self.assertA() as a: b\n    a.c\n", [(1, 3)]),
    "with that binds, further in": (
        "def f(self):\n    def g():\n        with self.assertA() as a: b\n    c\n",
        [(2, 3)],
    ),
    "with that binds, at the top": ("with self.assertA() as a:\n    b\na.c\n", [(1, 2)]),
    "header": ("def f(a: self.assertA):\n    b\n", []),
    "decorator": ("@self.assertA\ndef f():\n    b\n", []),
}


@pytest.mark.parametrize("name", ON_ONE_LINE)
def test_a_piece_is_a_statement(name: str) -> None:
    text, found = ON_ONE_LINE[name]
    assert lines(text, HITS) == found
    for _, _, code in pieces(text, HITS):
        ast.parse(code)


def test_the_end_of_a_line_is_not_looked_at() -> None:
    assert lines("f()\r\ng(1)\r\n", r"\)$") == [(1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("    a(\n        b,\n    )\n", "a(\n    b,\n)"),
        ('    a("""\n    b\n\n        c""")\r\n', 'a("""\nb\n\n    c""")'),
        ('    a("""\nleft""")\n', ""),
        ('    a("""\n    """)\n', 'a("""\n""")'),
        ('    a("""\n    \n    """)\n', ""),
        ("\ta(\n\t\tb)", "a(\n\tb)"),
        ("\ta(\n    b)", ""),
    ],
)
def test_code_that_could_not_be_moved_back_cannot_stand_alone(text: str, code: str) -> None:
    assert alone(split(text)) == code


def test_an_elif_cannot_stand_alone() -> None:
    text = "if x:\n    self.assertA()\nelif y:\n    self.assertB()\nelse:\n    if z: self.assertC()\n"
    assert lines(text, HITS) == [(2, 2), (4, 4), (6, 6)]
    assert lines(text.replace("elif y", "elif self.assertD()"), HITS) == [(1, 6)]


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
        ('"""\nimport c\n"""\na\n', [(4, 4, "import c\nx")], '"""\nimport c\n"""\n\nimport c\nx\n'),
        ("import c  # why\na\n", [(2, 2, "import c\nx")], "import c  # why\nx\n"),
        ("import b, c\na\n", [(2, 2, "import c\nx")], "import b, c\nx\n"),
        ("from b import d\na\n", [(2, 2, "from b import (\n    c,\n)\nx")], "from b import d\nfrom b import c\nx\n"),
        (
            "try:\n    import c\nexcept E:\n    b\na\n",
            [(5, 5, "import c\nx")],
            "try:\n    import c\nexcept E:\n    b\nx\n",
        ),
        ("a\nb\n", [(1, 1, "# so\nimport d as e\n\nx"), (2, 2, "import d as\ny")], "# so\n\nx\nimport d as\ny\n"),
        ("a\n", [(1, 1, "from now on\nx")], "from now on\nx\n"),
        ("a\n", [(1, 1, "from __future__ import d\nx")], "from __future__ import d\nx\n"),
        (
            "def f():\n    from t import (\n        b,\n    )\n    b\n",
            [(2, 4, "from u import b")],
            "def f():\n    from u import b\n    b\n",
        ),
        ("def f():\n    a\n", [(2, 2, "import c")], "def f():\n    import c\n"),
        ("def f():\r\n    a\r\n", [(2, 2, "x\r\ny")], "def f():\r\n    x\r\n    y\r\n"),
        ("def f():\n    a\n", [(2, 2, 'x("""\n\n  """)')], 'def f():\n    x("""\n\n      """)\n'),
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
        assert all(first <= last <= len(split(text)) for first, last, _ in found)
        for _, _, code in found:
            ast.parse(code)


@given(st.data())
def test_a_piece_put_back_as_it_was_changes_nothing(data: st.DataObject) -> None:
    changes = data.draw(st.lists(st.sampled_from(pieces(TEXT, HITS)), unique=True).map(sorted))
    after = replaced(TEXT, changes)
    assert after == TEXT
    assert ast.dump(ast.parse(after)) == ast.dump(ast.parse(TEXT))
