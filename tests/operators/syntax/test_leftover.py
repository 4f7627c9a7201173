from __future__ import annotations

import pytest

from operators.data import Skip
from operators.syntax.leftover import leftover


@pytest.mark.parametrize(
    ("code", "wanted", "lines"),
    [
        ("x = d.iteritems()\n", "iteritems", [1]),
        ("x = f().iteritems\n", "iteritems", [1]),
        ("x = f'{d.iteritems()}'\n", "iteritems", [1]),
        ("x = 'iteritems'  # iteritems\n", "iteritems", []),
        ("x = iteritems2(d)\n", "iteritems", []),
        ("import numpy as np\nx = np.int\n", "np.int", [2]),
        ("import numpy as np\nx = np.int64\n", "np.int", []),
        ("import numpy as np\nx = np.int.y(1)\n", "np.int", [2]),
        ("import numpy as np\nx = np.int\n", "numpy.int", [2]),
        ("from numpy import int as i\n\nx = i\n", "numpy.int", [1, 3]),
        ("from collections import Callable\n", "collections.Callable", [1]),
        ("from collections.abc import Callable\n", "collections.Callable", []),
        ("import imp, os\n", "imp", [1]),
        ("f(old=1)\n", "old", [1]),
        ("def f(a, old=1): ...\n", "old", [1]),
        ("def f():\n    def old(): ...\n", "old", [2]),
        ("class A:\n    old = 1\n", "old", [2]),
        ("try: f()\nexcept E as old: pass\n", "old", [2]),
    ],
)
def test_names_are_found_in_code(code: str, wanted: str, lines: list[int]) -> None:
    assert [line for line, _ in leftover(code, [wanted], "")] == lines


@pytest.mark.parametrize(
    ("code", "pattern", "found"),
    [
        ("x = a % b\ny = 'a % b'  # a % b\n", r"\w % \w", [(1, "a % b")]),
        ("x = '''\nself.assert\n'''\nself.assertEqual()\n", r"self\.assert\w*", [(4, "self.assertEqual")]),
        ("x = 1\n", "y", []),
    ],
)
def test_patterns_are_found_in_code(code: str, pattern: str, found: list[tuple[int, str]]) -> None:
    assert leftover(code, [], pattern) == found


def test_what_does_not_parse_cannot_be_searched() -> None:
    with pytest.raises(Skip):
        leftover("x = (\n", ["x"], "")
