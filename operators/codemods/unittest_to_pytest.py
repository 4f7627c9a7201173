"""From unittest's assert methods, expectations, marks and fixtures to pytest's, wherever both mean the same."""

from __future__ import annotations

from functools import partial

import libcst as cst
from libcst.codemod import CodemodContext, VisitorBasedCodemodCommand

from operators.codemods import facts, imports, waiting
from operators.codemods.cases import Cases


class UnittestToPytest(VisitorBasedCodemodCommand):
    """`whole`: the text is a whole module, not an excerpt; only then do unused imports go.

    `classes`: those that need it no longer lose `unittest.TestCase`, their setUp and its like being renamed. That is
    for whoever knows that no other module derives from them, and that their tests do not lean on each other: without
    TestCase they run as they stand, no longer sorted by name.
    """

    DESCRIPTION = "unittest's assertions, expectations, marks and fixtures to pytest's"

    def __init__(self, context: CodemodContext, whole: bool = True, classes: bool = False) -> None:
        super().__init__(context)
        self.whole = whole
        self.classes = whole and classes

    def transform_module(self, tree: cst.Module) -> cst.Module:
        # Not LibCST's own: that copies the tree for metadata, and its import visitors take longer than all the rest.
        return self.transform_module_impl(tree)

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        source = self.context.scratch.get("text", tree.code)
        before = facts.read(source)
        if not any(
            name.startswith(("assert", "fail", "skip", "unittest")) for name in (*before.attributes, *before.dotted)
        ):
            return tree
        cases = Cases(before, partial(waiting.read, source), tree, self.classes)
        after = cst.ensure_type(tree.visit(cases), cst.Module)
        for module in sorted(cases.needs - before.top):
            after = imports.added(after, f"import {module}")
        if cases.reordered:
            self.warn(f"{', '.join(cases.reordered)}: tests now run as they stand, no longer sorted by name")
        if self.whole and after is not tree:
            gone = facts.read(tree.code).used - facts.read(after.code).used
            after = imports.dropped(after, {name for name in gone if before.origin_of(name).startswith("unittest")})
        return after


EXAMPLES: list[tuple[str, str]] = [
    (
        """\
import unittest

from shop import Basket, price


class TestBasket(unittest.TestCase):
    def setUp(self):
        self.basket = Basket()

    def test_starts_empty(self):
        self.assertEqual(len(self.basket), 0)
        self.assertFalse(self.basket)

    def test_holds_what_was_put_in(self):
        self.basket.add("tea", 2)
        self.assertIn("tea", self.basket)  # by name
        self.assertIsNotNone(self.basket.total, "the total is kept up to date")
        self.assertEqual(self.basket.total, 2 * price("tea"), msg="tea")


if __name__ == "__main__":
    unittest.main()
""",
        """\
import unittest

from shop import Basket, price


class TestBasket(unittest.TestCase):
    def setUp(self):
        self.basket = Basket()

    def test_starts_empty(self):
        assert len(self.basket) == 0
        assert not self.basket

    def test_holds_what_was_put_in(self):
        self.basket.add("tea", 2)
        assert "tea" in self.basket  # by name
        assert self.basket.total is not None, "the total is kept up to date"
        assert self.basket.total == 2 * price("tea"), "tea"


if __name__ == "__main__":
    unittest.main()
""",
    ),
    (
        """\
from unittest import TestCase


class TestGrammar(TestCase):
    def test_precedence(self):
        self.assertEqual(a if b else c, lambda: d)
        self.assertEqual(a == b, not c)
        self.assertTrue(a or b)
        self.assertFalse(a or b)
        self.assertFalse(a == b)
        self.assertEqual(flag, None)
        self.assertIn((x := read()), known)
        self.assertEqual(text, "one "
                               "string")
""",
        """\
from unittest import TestCase


class TestGrammar(TestCase):
    def test_precedence(self):
        assert (a if b else c) == (lambda: d)
        assert (a == b) == (not c)
        assert a or b
        assert not (a or b)
        assert not a == b
        assert flag == None
        assert (x := read()) in known
        assert text == ("one "
                               "string")
""",
    ),
    (
        """\
class TestLayout(Base):
    def test_lines(self):
        # What a call says over several lines stays there when it has to.
        self.assertEqual(
            parse("a"),  # the input
            ["a"],  # the tokens
        )
        self.assertEqual(parse("a"),
                         ["a"])
        self.assertEqual(
            parse("a"),
            {
                "a": 1,
            },
            "one token",
        )
        self.assertEqual(
            parse("first second third fourth"), ["first", "second", "third", "fourth"],
            "tokens are separated by blanks",
        )
        self.assertTrue(any(
            token == "a"
            for token in parse("a")
        )); self.assertIs(first, second)
""",
        """\
class TestLayout(Base):
    def test_lines(self):
        # What a call says over several lines stays there when it has to.
        assert (
            parse("a")  # the input
            == ["a"]  # the tokens
        )
        assert parse("a") == ["a"]
        assert (
            parse("a")
            == {
                "a": 1,
            }
        ), "one token"
        assert (
            parse("first second third fourth")
            == ["first", "second", "third", "fourth"]
        ), "tokens are separated by blanks"
        assert any(
            token == "a"
            for token in parse("a")
        ); assert first is second
""",
    ),
    (
        """\
class TestNumbers(Base):
    def test_almost(self):
        self.assertAlmostEqual(float(area(1)), 3.1415927)
        self.assertAlmostEqual(width, height, places=3)
        self.assertAlmostEqual(start, stop, delta=timedelta(seconds=1))
        self.assertNotAlmostEqual(area(1), 1.5, 2)
        self.assertAlmostEqual(area(1), 3.1415927)  # left alone: it may equal a float without being a number
""",
        """\
class TestNumbers(Base):
    def test_almost(self):
        assert round(abs(float(area(1)) - 3.1415927), 7) == 0
        assert width == height or round(abs(width - height), 3) == 0
        assert start == stop or abs(start - stop) <= timedelta(seconds=1)
        assert round(abs(area(1) - 1.5), 2) != 0
        self.assertAlmostEqual(area(1), 3.1415927)  # left alone: it may equal a float without being a number
""",
    ),
    (
        """\
class TestKinds(Base):
    def test_kinds(self):
        self.assertIsInstance(node, (Leaf, Branch), "a node")
        self.assertNotIsInstance(node, Root)
        self.assertRegex(str(node), r"Leaf .*")
        self.assertNotRegex(text=str(node), unexpected_regex="None")
        self.assertIs(kind, 3)  # left alone: Python warns of `is` with a literal
""",
        """\
import re


class TestKinds(Base):
    def test_kinds(self):
        assert isinstance(node, (Leaf, Branch)), "a node"
        assert not isinstance(node, Root)
        assert re.search(r"Leaf .*", str(node))
        assert not re.search("None", str(node))
        self.assertIs(kind, 3)  # left alone: Python warns of `is` with a literal
""",
    ),
    (
        """\
import unittest


class TestErrors(unittest.TestCase):
    def test_contexts(self):
        with self.assertRaises(KeyError) as caught:
            table["missing"]
        self.assertEqual(caught.exception.args, ("missing",))
        with self.assertRaisesRegex(ValueError, "no .* number"), patched():
            parse("x")
        with self.assertWarns(DeprecationWarning):
            old()

    def test_calls(self):
        self.assertRaises(ValueError, parse, "x", strict=True)  # one line becomes two
        self.assertRaises(ValueError, lambda: parse("x"))
        self.assertRaisesRegex(ValueError, "no .* number", parse, "x")
        self.assertRaises(TypeError, parse, read())
""",
        """\
import unittest

import pytest


class TestErrors(unittest.TestCase):
    def test_contexts(self):
        with pytest.raises(KeyError) as caught:
            table["missing"]
        assert caught.value.args == ("missing",)
        with pytest.raises(ValueError, match="no .* number"), patched():
            parse("x")
        with pytest.warns(DeprecationWarning):
            old()

    def test_calls(self):
        with pytest.raises(ValueError):
            parse("x", strict=True)  # one line becomes two
        with pytest.raises(ValueError):
            parse("x")
        with pytest.raises(ValueError, match="no .* number"):
            parse("x")
        pytest.raises(TypeError, parse, read())
""",
    ),
    (
        """\
class TestErrorsLeftAlone(Base):
    def test_message(self):
        with self.assertRaises(KeyError, msg="no such key"):
            table["missing"]

    def test_context_itself(self):
        with self.assertRaises(KeyError) as caught:
            table["missing"]
        self.check(caught)
""",
        """\
class TestErrorsLeftAlone(Base):
    def test_message(self):
        with self.assertRaises(KeyError, msg="no such key"):
            table["missing"]

    def test_context_itself(self):
        with self.assertRaises(KeyError) as caught:
            table["missing"]
        self.check(caught)
""",
    ),
    (
        """\
class TestOutcomes(Base):
    def test_outcomes(self):
        if not supported():
            self.skipTest("not supported")
        try:
            parse("1")
        except ValueError as error:
            self.fail(f"{error}")
        try:
            parse("1")
            self.fail("left alone: pytest's failure is no Exception, and would not be caught below")
        except Exception:
            pass
""",
        """\
import pytest


class TestOutcomes(Base):
    def test_outcomes(self):
        if not supported():
            pytest.skip("not supported")
        try:
            parse("1")
        except ValueError as error:
            pytest.fail(f"{error}")
        try:
            parse("1")
            self.fail("left alone: pytest's failure is no Exception, and would not be caught below")
        except Exception:
            pass
""",
    ),
    (
        """\
import sys
import unittest
from unittest import mock


class PlatformTests(unittest.TestCase):
    @unittest.skip("not yet")
    def test_later(self):
        pass

    @unittest.skipIf(sys.platform == "win32", "needs fork")
    @unittest.skipUnless(HAS_FORK, "needs fork")
    @mock.patch("os.fork")
    def test_fork(self, fork):
        self.assertFalse(fork.called)

    @unittest.expectedFailure
    def test_known_bug(self):
        self.assertEqual(parse("1e3"), 1000)
""",
        """\
import sys
import unittest
from unittest import mock

import pytest


class PlatformTests(unittest.TestCase):
    @pytest.mark.skip(reason="not yet")
    def test_later(self):
        pass

    @pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
    @pytest.mark.skipif(not HAS_FORK, reason="needs fork")
    @mock.patch("os.fork")
    def test_fork(self, fork):
        assert not fork.called

    @pytest.mark.xfail(strict=True)
    def test_known_bug(self):
        assert parse("1e3") == 1000
""",
    ),
    (
        """\
class TestOwnAssertions(Base):
    def assertEqual(self, first, second):
        super().assertEqual(first.strip(), second.strip())

    def test_own(self):
        self.assertEqual(" a", "a ")
        self.assertTrue(self.assertEqual)
        return self.assertTrue(True)
""",
        """\
class TestOwnAssertions(Base):
    def assertEqual(self, first, second):
        super().assertEqual(first.strip(), second.strip())

    def test_own(self):
        self.assertEqual(" a", "a ")
        assert self.assertEqual
        return self.assertTrue(True)
""",
    ),
]

EXAMPLES_OF_CLASSES: list[tuple[str, str]] = [  # with the option `classes`
    (
        """\
import unittest

from shop import Basket, price


class TestBasket(unittest.TestCase):
    def setUp(self):
        self.basket = Basket()

    def test_starts_empty(self):
        self.assertEqual(len(self.basket), 0)
        self.assertFalse(self.basket)

    def test_holds_what_was_put_in(self):
        self.basket.add("tea", 2)
        self.assertIn("tea", self.basket)  # by name
        self.assertIsNotNone(self.basket.total, "the total is kept up to date")
        self.assertEqual(self.basket.total, 2 * price("tea"), msg="tea")


if __name__ == "__main__":
    unittest.main()
""",
        """\
import pytest
from shop import Basket, price


class TestBasket:
    def setup_method(self):
        self.basket = Basket()

    def test_starts_empty(self):
        assert len(self.basket) == 0
        assert not self.basket

    def test_holds_what_was_put_in(self):
        self.basket.add("tea", 2)
        assert "tea" in self.basket  # by name
        assert self.basket.total is not None, "the total is kept up to date"
        assert self.basket.total == 2 * price("tea"), "tea"


if __name__ == "__main__":
    raise SystemExit(pytest.main([__file__]))
""",
    ),
    (
        """\
from unittest import TestCase


class TestWithSubtests(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.table = load()

    def test_rows(self):
        for row in self.table:
            with self.subTest(row=row):
                self.assertGreaterEqual(row.price, 0)


class TestWithoutThem(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.table = load()

    def test_size(self):
        self.assertLess(len(self.table), 10)
""",
        """\
from unittest import TestCase


class TestWithSubtests(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.table = load()

    def test_rows(self):
        for row in self.table:
            with self.subTest(row=row):
                assert row.price >= 0


class TestWithoutThem:
    @classmethod
    def setup_class(cls):
        cls.table = load()

    def test_size(self):
        assert len(self.table) < 10
""",
    ),
]
