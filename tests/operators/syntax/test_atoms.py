from __future__ import annotations

import pytest

from operators.data import Skip
from operators.syntax.atoms import differences

SWAPPED = ["in f, 1 is gone", "in g, 2 is gone", "in f, 2 is new", "in g, 1 is new"]
FREE = ("self", "assert*", "pytest", "raises", "match=")


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("self.assertEqual(a, b)", "assert a == b", []),
        ("self.assertEqual(a, b)", "assert b == a", []),
        ("self.assertIsNone(a)", "assert a is None", []),
        ("self.assertEqual(a, 'text')", "assert a == 'test'", ["'text' is gone", "'test' is new"]),
        ("self.assertEqual(a, 10)", "assert a == 1", ["10 is gone", "1 is new"]),
        ("self.assertEqual(a, 1)", "assert a == 1.0", ["1 is gone", "1.0 is new"]),
        ("self.assertEqual(a.b, a)", "assert a.b == b", ["a is gone", "b is new"]),
        ("self.assertEqual(f(a), b)", "assert f(a) == b == b", ["b is new"]),
        ("self.assertEqual(f(k=a), b)", "assert f(j=a) == b", ["k= is gone", "j= is new"]),
        ("self.assertTrue(a + b)", "assert a - b", ["operator Add is gone", "operator Sub is new"]),
        ("self.assertTrue(a and b)", "assert a", ["operator And is gone", "b is gone"]),
        ("self.assertTrue(f(*a))", "assert f(a)", ["a Starred is gone"]),
        ("self.assertTrue(a[1:])", "assert a[1]", ["a Slice is gone"]),
        ("self.assertEqual(f'{a}b', c)", "assert f'{a}c' == c", ["'b' is gone", "'c' is new"]),
        ("with self.assertRaises(E): f()", "import pytest\nwith pytest.raises(E, match=x): f()", ["x is new"]),
        ("x(-a)", "x(a)", ["operator USub is gone"]),
        ("x(f'{a!r}')", "x(f'{a}')", ["!r is gone"]),
        ("x((a, b))", "x([a, b])", ["a Tuple is gone", "a List is new"]),
        ("x([a for a in b])", "x({a for a in b})", ["a ListComp is gone", "a SetComp is new"]),
        ("try: f()\nexcept E as a: g()", "try: f()\nexcept E as b: g()", ["a is gone", "b is new"]),
        ("global a", "global b", ["a is gone", "b is new"]),
        ("match x:\n case [a, *b]: f()", "match x:\n case [a, *c]: f()", ["b is gone", "c is new"]),
        ("def f(): pass", "def g(): pass", ["f is gone", "g is new"]),
        ("f(**a)", "f(a)", ["** is gone"]),
        ("def f(*, a): pass", "def f(a): pass", ["in f, a keyword-only argument is gone"]),
        ("def f(): return a", "def f(): a", ["in f, a Return is gone"]),
        ("async def f(): pass", "def f(): pass", ["a AsyncFunctionDef is gone"]),
        ("f'{a}'", "a", ["a JoinedStr is gone"]),
        ("match a:\n case {**b}: f()", "match a:\n case {**c}: f()", ["b is gone", "c is new"]),
        ("match a:\n case P(b=1): f()", "match a:\n case P(c=1): f()", ["b= is gone", "c= is new"]),
        ("def f(): a(1)\ndef g(): a(2)", "def f(): a(2)\ndef g(): a(1)", SWAPPED),
        ("class A:\n def f(self): a(1)", "class A:\n def f(self): a(2)", ["in A.f, 1 is gone", "in A.f, 2 is new"]),
        (f"a({'x' * 200!r})", "a()", [f"'{'x' * 76}... is gone"]),
        (f"a({hex(10**5_000)})", "a()", [f"{hex(10**5_000)[:77]}... is gone"]),
    ],
)
def test_what_differs_is_told(before: str, after: str, found: list[str]) -> None:
    assert differences(before, after, FREE) == found


def test_only_names_may_be_free() -> None:
    assert set(differences("a + [b, 'c']", "1", ("*",))) == {
        "operator Add is gone",
        "a List is gone",
        "'c' is gone",
        "1 is new",
    }


def test_what_does_not_parse_is_skipped() -> None:
    with pytest.raises(Skip):
        differences("a", "(", ())
