from __future__ import annotations

import re
import sys
import sysconfig
import unittest
import warnings
from pathlib import Path
from typing import Any

import libcst as cst
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libcst.codemod import Codemod, CodemodContext, SkipFile

from operators.codemods import modernise_typing, unittest_to_pytest
from operators.codemods.modernise_typing import ModerniseTyping
from operators.codemods.unittest_to_pytest import UnittestToPytest
from operators.syntax.transform import transform

EXAMPLES = [
    pytest.param(command, arguments, before, after, id=f"{command.__name__}-{len(arguments)}-{number}")
    for command, arguments, examples in (
        (UnittestToPytest, {}, unittest_to_pytest.EXAMPLES),
        (UnittestToPytest, {"classes": True}, unittest_to_pytest.EXAMPLES_OF_CLASSES),
        (ModerniseTyping, {}, modernise_typing.EXAMPLES),
    )
    for number, (before, after) in enumerate(examples)
]


def transformed(command: type[Codemod], source: str, **arguments: Any) -> str:
    return command(CodemodContext(), **arguments).transform_module(cst.parse_module(source)).code


def compiled(source: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compile(source, "<codemod>", "exec", dont_inherit=True)


@pytest.mark.parametrize(("command", "arguments", "before", "after"), EXAMPLES)
def test_example(command: type[Codemod], arguments: dict[str, Any], before: str, after: str) -> None:
    compiled(before)
    compiled(after)
    assert transformed(command, before, **arguments) == after
    assert transformed(command, after, **arguments) == after


# Single statements: what becomes of them in a test, and what is left alone


def in_test(statement: str, head: str = "import unittest\n\n\n") -> str:
    indented = "".join(f"        {line}\n" for line in statement.split("\n"))
    return f"{head}class CaseTests(unittest.TestCase):\n    def test(self):\n{indented}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("self.assertEqual(first=a, second=b)", "assert a == b"),
        ("self.assertEqual(a, b, None)", "assert a == b"),
        ("self.assertEqual((yield), b)", "assert (yield) == b"),
        ("self.assertEqual(*pair)", None),
        ("self.assertEqual(second=b, first=a)", None),
        ("self.assertEqual(a, b, (m := 1))", None),
        ("self.assertEqual(a, b, c, d)", None),
        ("self.assertEquals(a, b)", "assert a == b"),
        ("self.assert_(a)", "assert a"),
        ("self.failIf(a)", "assert not a"),
        ("self.assertTrue((a, b))", None),
        ("self.assertTrue(x for x in y)", "assert (x for x in y)"),
        ("self.assertFalse(not a)", "assert not not a"),
        ("self.assertIs(a, 'b')", None),
        ("self.assertSequenceEqual(a, [1])", None),
        ("self.assertCountEqual(a, [1])", None),
        ("self.assertAlmostEqual(a, 1e999)", "assert a == 1e999 or round(abs(a - 1e999), 7) == 0"),
        ("self.assertAlmostEqual(a + 1, b.c, 3)", "assert a + 1 == b.c or round(abs((a + 1) - b.c), 3) == 0"),
        ("self.assertAlmostEqual(a, 1.5, delta=eps)", None),
        ("self.assertAlmostEqual(a, 1.5, places=2, delta=0.1)", None),
        ("self.assertAlmostEqual(a, 1.5, delta=0.1)", "assert a == 1.5 or abs(a - 1.5) <= 0.1"),
        ("self.assertAlmostEqual(f(), 1.5)", None),
        ("self.assertAlmostEqual(f(), 1.5, delta=0.1)", None),
        ("self.assertAlmostEqual(len(f()) / 2, 1.5)", "assert round(abs(len(f()) / 2 - 1.5), 7) == 0"),
        ("self.assertNotAlmostEqual(f(), 1.5, delta=0.1)", "assert abs(f() - 1.5) > 0.1"),
        ("self.assertNotAlmostEqual(a, b)", "assert not a == b and round(abs(a - b), 7) != 0"),
        ("self.assertEqual(a, b, c.pop())", None),
        ("self.assertEqual(a, b, thread.join())", None),
        ("self.assertEqual(a, b, '%d %s' % (len(a), str(b)))", "assert a == b, '%d %s' % (len(a), str(b))"),
        ("self.assertEqual(a, b, ', '.join(map(str, a)))", None),
        ("self.assertEqual(a, b, f'{a.b!r}: {c[0]}')", "assert a == b, f'{a.b!r}: {c[0]}'"),
        ("self.assertListEqual(a, [b])", "assert a == [b]"),
        ("self.assertListEqual(a, b)", None),
        ("self.assertListEqual((1,), (1,))", None),
        ("self.assertTupleEqual((a, b), c)", "assert (a, b) == c"),
        ("self.assertTupleEqual(a, [b])", None),
        ("self.assertSetEqual(a, {b for b in c})", "assert a == {b for b in c}"),
        ("self.assertSetEqual(a, set())", None),
        ("self.assertDictEqual(a, {})", "assert a == {}"),
        ("self.assertDictEqual(a, dict(b))", None),
        ("self.assertMultiLineEqual(a, f'{b}')", "assert a == f'{b}'"),
        ("self.assertMultiLineEqual(a, b'')", None),
        ("self.assertRegex(f(), g())", None),
        ("self.assertRegex(a, '')", None),
        ("x = self.assertEqual(a, b)", None),
        ("other.assertEqual(a, b)", None),
        ("self.assertRaises(())", None),
        ("self.assertRaises(E, None)", None),
        ("self.assertRaises(*args)", None),
        ("self.assertRaises(E, f, *a, msg=b, **c)", "with pytest.raises(E):\n    f(*a, msg=b, **c)"),
        ("self.assertRaises(E, lambda x: x, 1)", "pytest.raises(E, lambda x: x, 1)"),
        ("self.assertRaisesRegex(E, 'x', f, g())", None),
        ("self.assertRaisesRegex(E, '^x$', f)", None),
        ("self.assertRaisesRegex(E, pattern, f)", None),
        ("with self.assertRaisesRegex(E, 'x' + r'y\\Z'): f()", None),
        ("with self.assertRaisesRegex(E, 'x(?!y)'): f()", None),
        ("with self.assertRaisesRegex(E, f'{x}'): f()", None),
        ("with self.assertRaisesRegex(E, r'[x]\\$'): f()", "with pytest.raises(E, match=r'[x]\\$'): f()"),
        ("with self.assertRaisesRegex(E, re.escape(x)): f()", "with pytest.raises(E, match=re.escape(x)): f()"),
        ("with self.assertWarnsRegex(E, 'x$'): f()", "with pytest.warns(E, match='x$'): f()"),
        ("with self.assertRaisesRegex(E, ''): f()", None),
        ("with self.assertRaises(E) as self.cm: f()", None),
        ("with self.assertWarns(W) as cm: f()", None),
        ("with self.assertRaises(E): f()", "with pytest.raises(E): f()"),
        ("self.fail()", "pytest.fail()"),
        ("self.fail(msg=reason)", "pytest.fail(str(reason))"),
        ("self.skipTest('%s' % x)", "pytest.skip('%s' % x)"),
    ],
)
def test_statement(before: str, after: str | None) -> None:
    result = transformed(UnittestToPytest, in_test(before))
    assert result[result.index("class") :] == in_test(after or before, "")


@pytest.mark.parametrize(
    ("statement", "kept"),
    [
        ("with self.assertRaises(AssertionError):\n    self.fail('x')", "self.fail"),
        ("with contextlib.suppress(Exception):\n    self.assertRaises(E, f)", "self.assertRaises(E, f)"),
        ("try:\n    self.skipTest('x')\nexcept mod.error:\n    pass", "self.skipTest"),
        ("def later():\n    self.fail('x')\nself.assertRaises(AssertionError, later)", "self.fail"),
        ("with self.assertRaises(E):\n    with self.assertWarns(W):\n        f()", "self.assertWarns"),
        ("with self.assertRaises(E), self.assertWarns(W):\n    f()", "self.assertWarns"),
        ("pytest = None\nself.fail('x')", "self.fail"),
        ("with self.assertRaises(E) as cm:\n    f()\ncm.exception = None", "self.assertRaises(E)"),
        ("with self.assertRaises(E) as cm:\n    f()\ncheck(cm)\nprint(cm.exception)", "cm.exception"),
        ("with self.assertRaises(E) as cm:\n    f()\nwith g() as cm:\n    cm.exception", "self.assertRaises(E)"),
    ],
)
def test_what_something_else_waits_for_stays(statement: str, kept: str) -> None:
    assert kept in transformed(UnittestToPytest, in_test(statement))


HELPER = "    def check(self):\n        {}\n"


@pytest.mark.parametrize(
    "helper", ["self.fail('x')", "self.skipTest('x')", "with self.assertRaises(E):\n            f()"]
)
@pytest.mark.parametrize(
    "waiting",
    [
        "try:\n    self.check()\nexcept Exception:\n    pass",
        "try:\n    self.check()\nexcept (A.B, error):\n    pass",
        "self.assertRaises(Exception, self.f)",
        "with pytest.raises(expected_exception=Exception):\n    self.check()",
        "with contextlib.suppress(Exception):\n    self.check()",
        "Thread(target=self.check)",
        "call(getattr(self, 'check'))",
    ],
)
def test_a_helper_for_which_somebody_waits_is_left_alone(waiting: str, helper: str) -> None:
    source = f"{in_test(waiting)}\n{HELPER.format(helper)}"
    assert HELPER.format(helper) in transformed(UnittestToPytest, source)


def test_other_helpers_and_the_tests_themselves_are_not() -> None:
    statement = "try:\n    self.check()\nexcept ValueError:\n    pass\nexcept:\n    raise"
    source = f"{in_test(statement)}\n{HELPER.format('self.fail(1)')}"
    assert "pytest.fail(str(1))" in transformed(UnittestToPytest, source)
    source = in_test("try:\n    f()\nexcept Exception:\n    pass\nself.fail('x')")
    assert "pytest.fail('x')" in transformed(UnittestToPytest, source)


@pytest.mark.parametrize(
    ("inner", "stays"),
    [
        ("def f():\n    self.fail('x')\nf()", False),
        ("def f():\n    self.fail('x')\ncall(f)", True),
        ("async def f():\n    self.fail('x')\nf()", True),
        ("def f():\n    yield\n    self.fail('x')\nf()", True),
        ("@app.route('/')\ndef f():\n    self.fail('x')\nf()", True),
        ("class TestInner(TestCase):\n    def test(self):\n        self.fail('x')", True),
    ],
)
def test_a_function_that_is_handed_to_somebody_is_left_alone(inner: str, stays: bool) -> None:
    assert ("self.fail('x')" in transformed(UnittestToPytest, in_test(inner))) == stays


@pytest.mark.parametrize(
    ("decorator", "stays"),
    [("retry(3)", True), ("mark.xfail(raises=AssertionError)", True), ("mock.patch('x')", False), ("other", False)],
)
def test_a_test_whose_decorator_may_catch_is_left_alone(decorator: str, stays: bool) -> None:
    head = "import unittest\nfrom unittest import mock\nfrom pytest import mark\n\n\n"
    source = in_test("self.fail('x')", head).replace("    def", f"    @{decorator}\n    def")
    assert ("self.fail('x')" in transformed(UnittestToPytest, source)) == stays


@pytest.mark.parametrize(
    "around",
    [
        "    def setUp(self):\n        f()",
        "    @classmethod\n    def tearDownClass(cls):\n        f()",
        "    def more(self):\n        self.addCleanup(f)",
        "def setUpModule():\n    f()",
        "@pytest.fixture(autouse=True)\ndef around():\n    f()",
    ],
)
def test_an_expected_failure_is_the_tests_own(around: str) -> None:
    source = in_test("f()").replace("    def", "    @unittest.expectedFailure\n    def")
    assert "@pytest.mark.xfail(strict=True)\n" in transformed(UnittestToPytest, source)
    assert "@unittest.expectedFailure\n" in transformed(UnittestToPytest, f"{source}\n{around}\n")
    derived = source.replace("(unittest.TestCase)", "(TestsOfOurs)")
    assert "@unittest.expectedFailure\n" in transformed(UnittestToPytest, derived)


@pytest.mark.parametrize("method", ["assertDictEqual", "_getAssertEqualityFunc"])
def test_assert_equal_is_left_alone_where_it_may_ask_another(method: str) -> None:
    source = f"{in_test('self.assertEqual(a, b)')}\n    def {method}(self, *args):\n        pass\n"
    assert transformed(UnittestToPytest, source) == source


@pytest.mark.parametrize(
    "member",
    [
        "maxDiff = None",
        "test_alias = something",
        "def setUp(self):\n        super().setUp()",
        "def id(self):\n        return 1",
        "def __init__(self, *args):\n        pass",
        "def test_more(self):\n        self.addCleanup(f)",
        "def test_more(self):\n        check(self)",
        "def test_more(self):\n        return 1",
        "def test_more(self):\n        yield 1",
        "def test_more(self, fixture):\n        pass",
        "async def test_more(self):\n        pass",
        "@decorated\n    def test_more(self):\n        pass",
        "@classmethod\n    def setUpClass(cls):\n        cls.enterClassContext(f())",
        "class TestInner:\n        pass",
        "def setup(self):\n        pass",
        "def tearDown(self, more=None):\n        pass",
    ],
)
def test_a_class_that_needs_its_base_keeps_it(member: str) -> None:
    source = (
        f"import unittest\n\n\nclass TestIt(unittest.TestCase):\n    def test(self):\n        pass\n\n    {member}\n"
    )
    assert transformed(UnittestToPytest, source, classes=True) == source


@pytest.mark.parametrize(
    "rest",
    [
        "class More(TestIt):\n    pass",
        "unittest.main(verbosity=2)",
        "suite = unittest.makeSuite(TestIt)",
        "names = ['TestIt']",
    ],
)
def test_a_class_that_something_else_uses_keeps_its_base(rest: str) -> None:
    source = f"import unittest\n\n\nclass TestIt(unittest.TestCase):\n    def test(self):\n        pass\n\n\n{rest}\n"
    assert transformed(UnittestToPytest, source, classes=True) == source


def test_an_excerpt_only_gains_imports_and_loses_no_base() -> None:
    source = (
        "import unittest\n\n\nclass TestIt(unittest.TestCase):\n    def setUp(self):\n        self.fail('x')\n\n"
        "    def test(self):\n        pass\n"
    )
    excerpt = source.replace("self.fail", "pytest.fail").replace(
        "import unittest\n", "import unittest\n\nimport pytest\n"
    )
    assert transformed(UnittestToPytest, source, whole=False) == excerpt


def test_comments_beside_imports_stay() -> None:
    head = "# licence\n\n# ours\nimport unittest\n# theirs\nimport os\n\n\n"
    source = head + "class TestIt(unittest.TestCase):\n    def test(self):\n        os\n"
    result = transformed(UnittestToPytest, source, classes=True)
    assert result.startswith("# licence\n\n# ours\n# theirs\nimport os\n")
    kept = source.replace("import unittest\n", "import unittest  # noqa\n")
    assert "import unittest  # noqa\n" in transformed(UnittestToPytest, kept, classes=True)


def test_another_order_is_told() -> None:
    context = CodemodContext()
    tests = "".join(f"    def test_{name}(self):\n        pass\n\n" for name in "ba")
    tree = cst.parse_module(f"from unittest import TestCase\n\n\nclass TestIt(TestCase):\n{tests}")
    UnittestToPytest(context, classes=True).transform_module(tree)
    assert context.warnings == ["TestIt: tests now run as they stand, no longer sorted by name"]


# An excerpt shows one symbol, but what decides may stand anywhere in the file


def by_symbol(source: str) -> str:
    name, hits = "unittest_to_pytest.UnittestToPytest", r"\bself\.(assert[A-Z]|fail)"
    return transform(name, {"whole": False}, "test_it.py", source, reach="symbol", hits=hits)[0]


@pytest.mark.parametrize(
    ("statement", "elsewhere"),
    [
        ("self.assertEqual(' a', 'a ')", "    def assertEqual(self, *args):\n        pass"),
        ("self.assertEqual(a, b)", "    def setUp(self):\n        self.addTypeEqualityFunc(A, same)"),
        ("self.assertIsInstance(a, int)", "def isinstance(a, b):\n    return True"),
        ("self.assertIs(a, b)", "    def assertIs(self, *args):\n        pass"),
        ("self.assertRaises(E, f)", "pytest = None"),
    ],
)
def test_what_an_excerpt_hides_counts(statement: str, elsewhere: str) -> None:
    source = f"{in_test(statement)}\n{elsewhere}\n"
    assert by_symbol(source) == source
    plain = source.replace(elsewhere, "    x = 1")
    assert by_symbol(plain) != plain


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="knows this syntax")
def test_a_file_that_only_a_newer_python_parses_is_left_out() -> None:
    for command, source in ((UnittestToPytest, in_test("self.assertTrue(a)")), (ModerniseTyping, "import typing\n")):
        with pytest.raises(SkipFile, match=r"newer syntax .* line"):
            transformed(command, f'{source}x = t"{{a}}"\n')


# The same tests pass, before and after

VALUES = """
1; 1.00000001; -2; 0.1 + 0.2; 0.3; float("inf"); float("nan"); None; True; "a"; "ab"; "a" "b"; b"a"; [1]; [1, 2]; (1, 2)
{1}; {"a": 1}; int; str; (int, str); a; a + 1; items[0]; len(items); 1j; lambda: 0; a if a else 1; not a; a == 1
a or items; a in items; [x for x in items]; (x for x in items)
"""
METHODS = {
    name: count
    for count, names in (
        (1, "assertTrue assertFalse assertIsNone assertIsNotNone"),
        (
            2,
            """assertEqual assertNotEqual assertIs assertIsNot assertIn assertNotIn assertIsInstance assertNotIsInstance
            assertGreater assertGreaterEqual assertLess assertLessEqual assertAlmostEqual assertNotAlmostEqual
            assertRegex assertNotRegex""",
        ),
    )
    for name in names.split()
}


@st.composite
def statements(draw: st.DrawFn) -> str:
    method = draw(st.sampled_from(sorted(METHODS)))
    values = st.sampled_from(re.split(r"[;\n] *", VALUES.strip()))
    args = [draw(values) for _ in range(METHODS[method])]
    if "Almost" in method:
        args += draw(st.sampled_from([[], ["2"], ["places=0"], ["delta=0.5"], ["delta=None"]]))
    elif draw(st.booleans()):
        args.append(draw(st.sampled_from(["'why'", "msg='why'", "msg=None"])))
    gap = draw(st.sampled_from([", ", ",\n            ", ",  # note\n            "]))
    return f"self.{method}({draw(st.sampled_from(['', chr(10) + ' ' * 12]))}{gap.join(args)})"


def passes(source: str) -> bool:
    names: dict[str, Any] = {}
    exec(compiled(source), names)
    case = names["TestIt"]
    test = case("test") if issubclass(case, unittest.TestCase) else case()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            test.test()
        except Exception:
            return False
    return True


@given(statements())
def test_converted_assertions_pass_and_fail_alike(statement: str) -> None:
    source = (
        "import unittest\n\na, items = 1, [1, 1.5]\n\n\nclass TestIt(unittest.TestCase):\n"
        f"    def test(self):\n        {statement}\n"
    )
    result = transformed(UnittestToPytest, source)
    assert result.count("#") == source.count("#")
    assert transformed(UnittestToPytest, result) == result
    assert passes(result) == passes(source)


# ModerniseTyping


@pytest.mark.parametrize(
    ("python", "after"),
    [
        ("3.8", "from typing import Dict, Optional\n\nx: Optional[Dict[str, 'X']]\n"),
        ("3.9", "from typing import Dict, Optional\n\nx: Optional[Dict[str, 'X']]\n"),
        ("3.10", "from typing import Dict\n\nx: Dict[str, 'X'] | None\n"),
        ("3.11", "\nx: dict[str, 'X'] | None\n"),
    ],
)
def test_what_the_oldest_python_knows(python: str, after: str) -> None:
    source = "from typing import Dict, Optional\n\nx: Optional[Dict[str, 'X']]\n"
    assert transformed(ModerniseTyping, source, python=python) == after.lstrip("\n")


def test_a_version_that_yaml_took_for_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="quoted"):
        ModerniseTyping(CodemodContext(), python=3.1)  # type: ignore[arg-type]


def test_an_excerpt_keeps_its_imports_and_what_its_class_redefines() -> None:
    source = (
        "from typing import List, Iterable, Optional\n\n\nclass A:\n    list = None\n\n"
        "    def f(self, x: List[int]) -> Optional[int]:\n        y: Iterable[int]\n"
    )
    hits = r"\bOptional\b"
    after, _ = transform(
        "modernise_typing.ModerniseTyping", {"whole": False}, "a.py", source, reach="symbol", hits=hits
    )
    assert after == source.replace("Optional[int]:", "int | None:")


JOINED = """\
import dataclasses
from typing import Optional, TypeVar
from x import Named, other

T = TypeVar("T")
Pairs = dict[str, int]
Same = Named
class Here: ...
@dataclasses.dataclass
class Data: ...
class Outer:
    class Inner: ...
"""
NOT_JOINED = """\
import threading
from typing import Optional
from x import *
from x import Twice, one
if one: from y import Twice
try: from pil import Image
except ImportError: Image = None
Node = "Tree"
class Odd(metaclass=Meta): ...
@singleton
class Single: ...
class Colours: ...
def Made(): ...
def f():
    global Global
    class Local: ...
"""


@pytest.mark.parametrize("name", ["T", "Pairs", "Same", "Named", "Named[int]", "Here", "Data", "Outer.Inner", "int"])
def test_what_the_file_says_is_a_class_is_joined(name: str) -> None:
    assert f"a: {name} | None" in transformed(ModerniseTyping, f"{JOINED}a: Optional[{name}]\n")


@pytest.mark.parametrize(
    "name",
    [
        "Twice",
        "Image",
        "Image.Size",
        "Node",
        "Odd",
        "Single",
        "Made",
        "Global",
        "Unknown",
        "threading.Lock",
        "Colours.RED",
        "Local",
        "callable",
        "f()",
    ],
)
def test_what_may_be_no_class_is_not_joined(name: str) -> None:
    source = f"{NOT_JOINED}a: Optional[{name}]\n"
    assert transformed(ModerniseTyping, source) == source


@pytest.mark.parametrize("name", ["Image", "Node", "Made", "threading.Lock", "callable"])
def test_nor_is_it_where_only_get_type_hints_would_find_out(name: str) -> None:
    head = f"from __future__ import annotations\n{NOT_JOINED}"
    source = f"{head}a: Optional[{name}]\nb: Optional[Unknown]\n"
    assert f"a: Optional[{name}]\nb: Unknown | None\n" in transformed(ModerniseTyping, source)


@pytest.mark.parametrize(
    "look",
    [
        "from typing import get_origin\nget_origin(hint) is Union",
        "typing.get_type_hints(f)",
        "getattr(hint, '__origin__', None)",
        "hint.__args__",
        "import inspect\ninspect.signature(f).return_annotation",
        "from typeguard import typechecked",
    ],
)
def test_a_file_that_looks_into_annotations_is_left_alone(look: str) -> None:
    source = f"from typing import Callable, Union\n{look}\na: Union[int, Callable[[], None]]\n"
    assert transformed(ModerniseTyping, source) == source


@pytest.mark.parametrize(
    ("head", "kept"),
    [
        ("from typing import Dict as Dict\n", "from typing import Dict as Dict\n"),
        ("from typing import Iterable as Iterable\n", "from typing import Iterable as Iterable\n"),
        ("from typing import Dict\n__all__ = ['Dict']\n", "from typing import Dict\n"),
        ("from typing import Iterable\n__all__ = ['x']\n__all__ += ['Iterable']\n", "from typing import Iterable\n"),
    ],
)
def test_what_is_imported_for_other_modules_stays(head: str, kept: str) -> None:
    source = f"{head}a: {'Dict' if 'Dict' in head else 'Iterable'}[str, int]\n"
    assert kept in transformed(ModerniseTyping, source)


def test_an_alias_from_which_a_class_derives_stays() -> None:
    source = "from typing import List, TypeVar\n\nT = TypeVar('T')\nRows = List[T]\n\n\nclass Table(Rows): ...\n"
    assert transformed(ModerniseTyping, source) == source
    assert "Rows = list[T]" in transformed(ModerniseTyping, source.replace("(Rows)", ""))


# Real code

STANDARD = sorted(Path(sysconfig.get_path("stdlib"), "test").glob("test_*.py"))
TYPED = sorted(path for path in Path(cst.__file__).parent.rglob("*.py") if "import" in path.name or "code" in str(path))


def sample(paths: list[Path], word: str) -> list[Path]:
    fit = [path for path in paths if path.stat().st_size < 30_000 and word in path.read_text("utf-8", "replace")]
    return fit[:: max(len(fit) // 30, 1)][:30]


@pytest.mark.parametrize(
    ("command", "arguments", "path"),
    [
        pytest.param(command, arguments, path, id=f"{command.__name__}-{path.name}")
        for command, arguments, paths in (
            (UnittestToPytest, {"classes": True}, sample(STANDARD, "self.assert")),
            (ModerniseTyping, {}, sample(TYPED, "typing")),
        )
        for path in paths
    ],
)
def test_real_code(command: type[Codemod], arguments: dict[str, Any], path: Path) -> None:
    source = path.read_bytes().decode()
    result = transformed(command, source, **arguments)
    compiled(result)
    assert transformed(command, result, **arguments) == result
    assert result.count("#") == source.count("#")
