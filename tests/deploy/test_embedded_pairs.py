"""What the embedded model learns from."""

from __future__ import annotations

import ast
import random
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[2] / "deploy" / "embedded"))

from pairs import Pair, changed, pairs, recombined
from renamed import by_length, renamed

MODULE = '''\
import unittest


class TestA(unittest.TestCase):
    def test_short(self):
        total = self.basket.total
        self.assertEqual(total, 31, "it is kept")
        with self.assertRaises(KeyError):
            self.basket.remove("tea")

    def test_without(self):
        pass

    def test_long(self):
        self.assertEqual("""
left""", 1)
'''


def test_code_is_cut_into_statements_and_short_functions(tmp_path: Path) -> None:
    (tmp_path / "test_a.py").write_text(MODULE)
    (tmp_path / "test_b.py").write_text("print 'Python 2'\n")
    (tmp_path / "test_c.py").write_bytes(b"\xff")
    found = list(pairs(sorted(tmp_path.iterdir())))
    assert found[:2] == [
        Pair("statement", 'self.assertEqual(total, 31, "it is kept")', 'assert total == 31, "it is kept"'),
        Pair(
            "statement",
            'with self.assertRaises(KeyError):\n    self.basket.remove("tea")',
            'import pytest\nwith pytest.raises(KeyError):\n    self.basket.remove("tea")',
        ),
    ]
    (function,) = found[2:]
    assert function.kind == "function"
    assert function.before.startswith("def test_short(self):\n    total = self.basket.total\n")
    assert function.after.startswith(
        "import pytest\ndef test_short(self):\n    total = self.basket.total\n    assert total"
    )


@pytest.mark.parametrize("before", ["self.assertEqual(", "x = '''\nself.assertTrue(1)"])
def test_what_cannot_stand_alone_is_no_pair(before: str) -> None:
    assert changed(before, "statement") is None


KNOWN = [
    Pair("statement", code, changed(code, "statement") or "")
    for code in (
        "self.assertEqual(total, 31)",
        "self.assertIn('tea', self.basket.items(kind=3), msg)",
        "self.assertIsInstance(basket, shop.Basket)",
    )
]


def test_arguments_of_one_go_with_the_method_of_another() -> None:
    made = list(recombined(KNOWN, 50, random.Random(0)))
    assert made == list(recombined(KNOWN, 50, random.Random(0)))
    assert len({pair.before for pair in made}) > len(KNOWN)
    assert all(changed(pair.before, "statement") == pair.after for pair in made)


@given(st.sampled_from(KNOWN), st.integers())
def test_a_renamed_pair_is_a_pair(pair: Pair, seed: int) -> None:
    words = by_length(["one three_letters seven other names"])
    before, after = renamed(pair.before, pair.after, words, random.Random(seed))
    assert (len(before), len(after)) == (len(pair.before), len(pair.after))
    assert changed(before, "statement") == after
    assert ast.parse(before)
