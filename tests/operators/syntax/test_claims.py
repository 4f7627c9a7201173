from __future__ import annotations

import pytest

from operators.data import Skip
from operators.syntax.claims import differences


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("self.assertEqual(a, b)", "assert a == b"),
        ("self.assertEqual(first=a, second=b, msg='m')", "assert b == a, 'm'"),
        ("self.failUnlessEqual(a, b)", "assert a == b"),
        ("self.assertEqual(a, b)", "self.assertEqual(a, b)"),
        ("self.assertEqual(a, b)", "self.assertEqual(b, a)"),
        ("self.assertListEqual([a], b)", "assert [a] == b"),
        ("self.assertTrue(a == b, m)", "assert a == b, m"),
        ("self.assertTrue(a < b < c)", "assert a < b < c"),
        ("self.assertFalse(a in b)", "assert a not in b"),
        ("self.assertFalse(a in b)", "assert not a in b"),
        ("self.assertFalse(a)", "assert not a"),
        ("self.assertIsNone(a, 'm')", "assert a is None, 'm'"),
        ("self.assertIsNotNone(a)", "assert a is not None"),
        ("self.assertNotIn(a, b)", "assert a not in b"),
        ("self.assertLess(a, b)", "assert a < b"),
        ("self.assertIsInstance(a, B)", "assert isinstance(a, B)"),
        ("self.assertNotIsInstance(a, B)", "assert not isinstance(a, B)"),
        ("self.assertRegex(a, r'b')", "import re\nassert re.search(r'b', a)"),
        ("self.assertAlmostEqual(a, b, 3)", "assert round(abs(a - b), 3) == 0"),
        ("self.assertAlmostEqual(a, b, 3, 'm')", "assert a == pytest.approx(b), 'm'"),
        ("self.assertCountEqual(a, b)", "assert sorted(a) == sorted(b)"),
        ("self.assertRaises(E, f, x)", "with pytest.raises(E):\n    f(x)"),
        ("with self.assertRaisesRegex(E, 'm') as c:\n    f()", "with pytest.raises(E, match='m') as c:\n    f()"),
        ("with self.assertWarns(E):\n    f()", "with warns(E):\n    f()"),
        ("self.fail('m')", "pytest.fail('m')"),
        ("self.skipTest('m')", "pytest.skip('m')"),
        ("self.assertShapes(a, b)", "self.assertShapes(a, b)"),
        ("self.assertEqual(*a)", "assert_same(*a)"),
        ("assert a == b", "assert b == a"),
        ("self.assertIn(container=c, member=m)", "assert m in c"),
        ("self.assertTrue(a, msg=None)", "assert a"),
        (
            "with self.assertRaisesRegex(expected_exception=E, expected_regex='m'): f()",
            "with raises(E, match='m'): f()",
        ),
        (
            "with self.assertRaises(E) as caught: f()\nself.assertEqual(caught.exception.args, 3)",
            "with raises(E) as caught: f()\nassert caught.value.args == 3",
        ),
    ],
)
def test_the_same_is_claimed_in_other_words(before: str, after: str) -> None:
    assert differences(before, after) == []


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("self.assertEqual(a, b)", "assert a, b", ["the claim `a == b` is gone", "the claim `a, b` is new"]),
        ("self.assertEqual(a, b)", "assert a != b", ["the claim `a == b` is gone", "the claim `a != b` is new"]),
        ("self.assertTrue(a, 'm')", "assert a == 'm'", ["the claim `a, 'm'` is gone", "the claim `a == 'm'` is new"]),
        (
            "self.assertEqual(a, b, 'm')",
            "assert a == b",
            ["the claim `a == b, 'm'` is gone", "the claim `a == b` is new"],
        ),
        ("self.assertLess(a, b)", "assert b < a", ["the claim `a < b` is gone", "the claim `b < a` is new"]),
        ("self.assertIn(a, b)", "assert b in a", ["the claim `a in b` is gone", "the claim `b in a` is new"]),
        ("self.assertIsNone(a)", "assert a", ["the claim `a is None` is gone", "the claim `a` is new"]),
        ("self.assertEqual(a, b)", "a == b", ["the claim `a == b` is gone"]),
        ("f(a)", "assert a", ["the claim `a` is new"]),
        ("self.assertAlmostEqual(a, b)", "a == b", ["the claim `?` is gone"]),
        (
            "with self.assertRaisesRegex(E, 'm'): f()",
            "with pytest.raises(E, 'm'): f()",
            ["the claim `raises E matching 'm'` is gone", "the claim `raises E` is new"],
        ),
        (
            "with self.assertRaises(E) as e: f()\nself.assertTrue(e.exception)",
            "with raises(E) as e: f()\nassert e.exception",
            ["the claim `e.value` is gone", "the claim `e.exception` is new"],
        ),
        (
            "self.assertGreater(b=1, a=x)",
            "assert 1 > x",
            ["the claim `x > 1` is gone", "the claim `1 > x` is new"],
        ),
        ("self.fail()", "pytest.skip()", ["the claim `fail` is gone", "the claim `skip` is new"]),
        (
            "class A:\n def f(self): self.assertTrue(a)\n def g(self): self.assertTrue(b)",
            "class A:\n def f(self): assert a\n def g(self): assert a",
            ["in A.g, the claim `b` is gone", "in A.g, the claim `a` is new"],
        ),
    ],
)
def test_another_claim_is_found(before: str, after: str, found: list[str]) -> None:
    assert differences(before, after) == found


def test_what_does_not_parse_is_skipped() -> None:
    with pytest.raises(Skip, match="syntax error"):
        differences("x", "(")
