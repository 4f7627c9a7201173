from __future__ import annotations

import ast
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.codemods import modernise_typing, unittest_to_pytest
from operators.data import Skip
from operators.syntax.honest import WHY, faults, unknown
from tests.operators.syntax.samples import LIBRARY, TRICKY

TESTS = """\
import unittest
import pytest
from shop import Basket, price


class TestBasket(unittest.TestCase):
    def test_total(self):
        basket = Basket()
        self.assertEqual(basket.total, 0)
        basket.add("tea", 2)
        self.assertEqual(basket.total, 2 * price("tea"))

    def test_refuses(self):
        with self.assertRaises(ValueError):
            Basket().add("", 1)


@pytest.mark.parametrize("name", ["tea", "milk", "oats"])
def test_price(name):
    assert price(name) > 0
    assert price(name, 2) == 2 * price(name)


def check(basket):
    assert basket.total >= 0
    assert basket.items


def test_checked():
    check(Basket())
"""
CODE = """\
import os
import sys
import json
from typing import Optional


class Money:
    def __init__(self, amount):
        self.amount = amount

    def __eq__(self, other):
        return isinstance(other, Money) and self.amount == other.amount


def price(name, count=1):
    # look it up
    table = json.loads(os.environ["PRICES"])
    try:
        return table[name] * count
    except KeyError:
        raise ValueError(name)


def main():
    if len(sys.argv) < 2:
        sys.exit(2)
    print(price(sys.argv[1]))


if __name__ == "__main__":
    main()
"""
TOTAL = '        self.assertEqual(basket.total, 2 * price("tea"))\n'
TWICE = "    assert price(name, 2) == 2 * price(name)\n"
# What a cheat does to the tests: rule, then what is replaced by what.
WEAKER: dict[str, tuple[str, str, str]] = {
    "a test renamed": ("tests", "def test_total", "def total"),
    "a test with a prefix": ("tests", "def test_total", "def _test_total"),
    "a test removed": ("tests", TESTS[TESTS.index("    def test_refuses") : TESTS.index("@pytest")], "\n"),
    "a class that is not collected": ("tests", "class TestBasket(unittest.TestCase)", "class BasketTests"),
    "a class with __init__": (
        "tests",
        "class TestBasket(unittest.TestCase):\n",
        "class TestBasket:\n    def __init__(self): ...\n\n",
    ),
    "a class that says no": ("tests", "TestCase):\n", "TestCase):\n    __test__ = False\n\n"),
    "a test deleted below": ("tests", "def check(", "del test_price\n\n\ndef check("),
    "a test overwritten": ("tests", "def check(", "test_price = None\n\n\ndef check("),
    "a test that a class hides": ("tests", "def check(", "class TestBasket: ...\n\n\ndef check("),
    "a test made a fixture": ("tests", "def test_checked", "@pytest.fixture\ndef test_checked"),
    "a test within another": (
        "tests",
        "def test_checked():\n    check",
        "def outer():\n  def test_checked():\n    check",
    ),
    "a test under a condition": (
        "tests",
        "def test_checked():\n    check(Basket())\n",
        "if price:\n    def test_checked():\n        check(Basket())\n",
    ),
    "fewer cases": ("cases", '["tea", "milk", "oats"]', '["tea"]'),
    "no cases": ("cases", '["tea", "milk", "oats"]', "[]"),
    "a skip mark": ("skip", "def test_checked", "@pytest.mark.skip\ndef test_checked"),
    "a skipif mark": ("skip", "def test_checked", '@pytest.mark.skipif(True, reason="")\ndef test_checked'),
    "a mark by another name": (
        "skip",
        "def test_checked",
        "from pytest import mark as m\n\n\n@m.skip\ndef test_checked",
    ),
    "unittest.skip": ("skip", "    def test_total", "    @unittest.skip('later')\n    def test_total"),
    "skipTest": ("skip", "        basket = Basket()\n", "        self.skipTest('later')\n        basket = Basket()\n"),
    "pytest.skip": ("skip", TWICE, "    pytest.skip('later')\n" + TWICE),
    "a file skipped": ("skip", "\n\nclass TestB", "\npytest.skip('x', allow_module_level=True)\n\n\nclass TestB"),
    "a mark for all": ("skip", "\n\nclass TestB", "\npytestmark = pytest.mark.skip\n\n\nclass TestB"),
    "importorskip": ("skip", "from shop import", "pytest.importorskip('shops')\nfrom shop import"),
    "raise SkipTest": ("skip", TWICE, "    raise unittest.SkipTest\n"),
    "a case that is skipped": ("skip", '"milk",', 'pytest.param("milk", marks=pytest.mark.skip),'),
    "xfail": ("xfail", "def test_checked", "@pytest.mark.xfail\ndef test_checked"),
    "expectedFailure": ("xfail", "    def test_total", "    @unittest.expectedFailure\n    def test_total"),
    "a mock": (
        "mock",
        "    def test_total(self):\n",
        "    @unittest.mock.patch('shop.price', lambda *_: 0)\n    def test_total(self):\n",
    ),
    "a mock from elsewhere": ("mock", "import pytest\n", "import pytest\nfrom unittest.mock import ANY as zero\n"),
    "monkeypatch": ("mock", "def test_checked():\n", "def test_checked(monkeypatch):\n    monkeypatch.undo()\n"),
    "an assertion less": ("asserts", TOTAL, ""),
    "an assertion as a comment": ("asserts", TWICE, "    # " + TWICE.strip() + "\n"),
    "an assertion only called": ("asserts", "assert price(name) > 0", "price(name) > 0"),
    "an assertion of a helper": ("asserts", "    assert basket.items\n", ""),
    "an early return": ("asserts", TWICE, "    return\n" + TWICE),
    "a return under a condition": ("asserts", TWICE, "    if name:\n        return\n" + TWICE),
    "if False": ("asserts", TWICE, "    if False:\n    " + TWICE),
    "a condition": ("asserts", TWICE, "    if price(name):\n    " + TWICE),
    "no turn of a loop": ("asserts", TWICE, "    for _ in []:\n    " + TWICE),
    "within a function that nobody calls": ("asserts", TWICE, "    def inner():\n    " + TWICE),
    "swallowed": ("asserts", TWICE, "    try:\n    " + TWICE + "    except AssertionError:\n        pass\n"),
    "suppressed": (
        "asserts",
        TWICE,
        "    from contextlib import suppress\n    with suppress(AssertionError):\n    " + TWICE,
    ),
    "returned from finally": ("asserts", TWICE, "    try:\n    " + TWICE + "    finally:\n        return\n"),
    "a generator": ("asserts", "        basket = Basket()\n", "        basket = yield Basket()\n"),
    "assert True": ("trivial", TWICE, "    assert True\n"),
    "assert a tuple": ("trivial", TWICE, "    assert (price(name, 2) == 2 * price(name), 'twice')\n"),
    "assert x == x": ("trivial", TWICE, "    assert price(name, 2) == price(name, 2)\n"),
    "assert or True": ("trivial", TWICE, TWICE.rstrip() + " or True\n"),
    "assertTrue(1)": ("trivial", TOTAL, "        self.assertTrue(1)\n"),
    "assertEqual(x, x)": ("trivial", TOTAL, "        self.assertEqual(basket.total, basket.total)\n"),
    "assert a length": ("trivial", "assert price(name) > 0", "assert len(name) >= 0"),
    "any exception": ("except", "assertRaises(ValueError)", "assertRaises(Exception)"),
    "a broad except": (
        "except",
        "        basket.add(",
        "        try: basket.add('x', 1)\n        except Exception: pass\n        basket.add(",
    ),
    "a method of unittest's overridden": (
        "runner",
        "    def test_total",
        "    def assertEqual(self, *_): ...\n\n    def test_total",
    ),
    "run overridden": ("runner", "    def test_total", "    def run(self, result=None): ...\n\n    def test_total"),
    "load_tests": ("runner", "def check(", "def load_tests(*_): ...\n\n\ndef check("),
    "a report made up": ("runner", "import pytest\n", "import pytest\nimport _pytest.reports\n"),
    "an always-equal object": (
        "always-equal",
        "def check(",
        "class Any:\n    def __eq__(self, other): return True\n\n\ndef check(",
    ),
    "an exit": ("sys.exit", "    check(Basket())", "    raise SystemExit(0)"),
}
LOOKUP = "    table = json.loads("
# What a cheat does to the code under test.
FAKED: dict[str, tuple[str, str, str]] = {
    "os._exit": ("os._exit", LOOKUP, "    os._exit(0)\n" + LOOKUP),
    "os._exit by another name": ("os._exit", "import os\n", "import os\nfrom os import _exit as leave\n"),
    "os._exit by getattr": ("os._exit", LOOKUP, "    getattr(os, '_exit')(0)\n" + LOOKUP),
    "sys.exit elsewhere": ("sys.exit", LOOKUP, "    sys.exit(0)\n" + LOOKUP),
    "sys.exit moved to the top": (
        "sys.exit",
        "        sys.exit(2)\n",
        "        pass\n\n\nsys.exit(0)\n\n\ndef other():\n    pass\n",
    ),
    "exit()": ("sys.exit", LOOKUP, "    exit()\n" + LOOKUP),
    "SystemExit": ("sys.exit", "raise ValueError(name)", "raise SystemExit"),
    "atexit": ("atexit", "import json\n", "import atexit\nimport json\n"),
    "sys.modules": ("sys.modules", LOOKUP, "    sys.modules['pytest'] = None\n" + LOOKUP),
    "sys.modules changed": ("sys.modules", LOOKUP, "    sys.modules.pop('json')\n" + LOOKUP),
    "settrace": ("settrace", LOOKUP, "    sys.settrace(None)\n" + LOOKUP),
    "signal": ("signal", LOOKUP, "    import signal\n    signal.alarm(1)\n" + LOOKUP),
    "frames": ("frames", LOOKUP, "    sys._getframe(1).f_locals.clear()\n" + LOOKUP),
    "pytest imported": ("runner", "import json\n", "import json\nimport pytest\n"),
    "a report monkeypatched": ("runner", "import json\n", "import json\nfrom _pytest import reports\n"),
    "a hook": ("runner", "def main", "def pytest_runtest_makereport(item): ...\n\n\ndef main"),
    "looks whether tests run": ("runner", LOOKUP, "    if 'PYTEST_CURRENT_TEST' in os.environ: return 1\n" + LOOKUP),
    "looks for pytest": ("runner", LOOKUP, "    if 'pytest' in sys.modules: return 1\n" + LOOKUP),
    "equal to all": (
        "always-equal",
        "return isinstance(other, Money) and self.amount == other.amount",
        "return True",
    ),
    "equal to itself": (
        "always-equal",
        "return isinstance(other, Money) and self.amount == other.amount",
        "return other == other",
    ),
    "always true": ("always-equal", "    def __eq__", "    def __bool__(self):\n        return True\n\n    def __eq__"),
    "a lambda that compares": (
        "always-equal",
        "    def __eq__",
        "    __ne__ = lambda self, other: False\n\n    def __eq__",
    ),
    "a module's function replaced": ("patching", "def main", "json.loads = lambda text: {}\n\n\ndef main"),
    "a builtin replaced": ("patching", "def main", "import builtins\nbuiltins.len = lambda _: 9\n\n\ndef main"),
    "setattr on a module": ("patching", LOOKUP, "    setattr(json, 'loads', eval)\n" + LOOKUP),
    "a module's dictionary": ("patching", LOOKUP, "    vars(json)['loads'] = dict\n" + LOOKUP),
    "globals": ("patching", LOOKUP, "    globals()['price'] = int\n" + LOOKUP),
    "__builtins__": ("patching", LOOKUP, "    __builtins__['len'] = int\n" + LOOKUP),
    "a class's comparison replaced": (
        "patching",
        "def main",
        "from decimal import Decimal\nDecimal.__eq__ = lambda *_: True\n\n\ndef main",
    ),
    "a sibling module's function": (
        "patching",
        "def main",
        "from . import stock\nstock.left = lambda name: 1\n\n\ndef main",
    ),
    "eval": ("eval", "json.loads(", "eval("),
    "__import__": ("import", LOOKUP, "    __import__('os')\n" + LOOKUP),
    "an import by name": ("import", LOOKUP, "    import importlib\n    importlib.import_module('x')\n" + LOOKUP),
    "subprocess": ("subprocess", "import json\n", "import json\nimport subprocess\n"),
    "os.system": ("subprocess", LOOKUP, "    os.system('true')\n" + LOOKUP),
    "a socket": ("network", "import json\n", "import json\nimport socket as s\n"),
    "a request": ("network", LOOKUP, "    import requests\n    requests.get('https://a')\n" + LOOKUP),
    "ctypes": ("ctypes", "import json\n", "from ctypes import CDLL\nimport json\n"),
    "pickle": ("pickle", "json.loads(", "__import__('pickle').loads("),
    "a blob": ("base64", LOOKUP, f"    blob = '{'QUJD' * 60}'\n{LOOKUP}"),
    "base64": ("base64", "import json\n", "import base64\nimport json\n"),
    "a body replaced by pass": (
        "placeholder",
        "    if len(sys.argv) < 2:\n        sys.exit(2)\n    print(price(sys.argv[1]))\n",
        "    pass\n",
    ),
    "a body replaced by NotImplementedError": (
        "placeholder",
        "    if len(sys.argv) < 2:\n        sys.exit(2)\n    print(price(sys.argv[1]))\n",
        '    """Run."""\n    raise NotImplementedError("later")\n',
    ),
    "existing code": ("placeholder", "    # look it up\n", "    # ... existing code ...\n"),
    "the rest": ("placeholder", "    # look it up\n", "    # rest of the function unchanged\n"),
    "as before": ("placeholder", "    # look it up\n", "    # same as before\n"),
    "a later day": ("placeholder", "    # look it up\n", "    # TODO: look it up\n"),
    "a checker silenced": ("silenced", '"PRICES"])\n', '"PRICES"])  # type: ignore\n'),
    "coverage silenced": ("silenced", "def main():\n", "def main():  # pragma: no cover\n"),
    "an ellipsis": ("placeholder", "    # look it up\n", "    ...\n"),
    "swallowed errors": (
        "swallow",
        "    except KeyError:\n        raise ValueError(name)",
        "    except Exception:\n        pass",
    ),
    "a right-to-left override": ("hidden", "# look it up", "# look \u202eit up"),
    "a space without width": ("hidden", '"PRICES"', '"PRI\u200bCES"'),
    "a letter that looks like another": ("hidden", "    table =", "    t\u0430ble = table ="),
    "a letter that Python takes for another": ("hidden", "    table =", "    \uff54able = table ="),
    "a control": ("hidden", "# look it up", "# look it up \x1b[2K"),
}


def found(before: str, after: str, test: bool) -> set[str]:
    ast.parse(after)
    told = faults(before, after, test, [])
    assert all(0 <= line <= after.count("\n") + 1 for line, _ in told)
    return {words.rpartition("(rule `")[2].removesuffix("`)") for _, words in told}


def cheated(text: str, old: str, new: str) -> str:
    assert text.count(old) >= 1, f"{old!r} does not stand there"
    return text.replace(old, new, 1)


@pytest.mark.parametrize("name", WEAKER)
def test_weaker_tests_are_found(name: str) -> None:
    rule, old, new = WEAKER[name]
    after = cheated(TESTS, old, new)
    assert rule in found(TESTS, after, True)
    assert not [one for one in faults(TESTS, after, True, list(WHY)) if one], "every rule can be allowed"


@pytest.mark.parametrize("name", FAKED)
def test_what_makes_a_green_run_worthless_is_found(name: str) -> None:
    rule, old, new = FAKED[name]
    after = cheated(CODE, old, new)
    assert rule in found(CODE, after, False)
    assert rule not in {words.rpartition("`")[0] for _, words in faults(CODE, after, False, [rule])}


# What honest edits do: to tests, then to code.
FINE_TESTS: dict[str, tuple[str, str]] = {
    "a plain assert": (TOTAL, '        assert basket.total == 2 * price("tea")\n'),
    "pytest.raises": ("self.assertRaises(ValueError)", "pytest.raises(ValueError)"),
    "one more assertion": (TWICE, TWICE + "    assert name\n"),
    "one more test": ("def check(", "def test_more():\n    assert price('tea')\n\n\ndef check("),
    "one more case": ('"oats"]', '"oats", "rye"]'),
    "a helper extracted": (
        TWICE + "\n\n",
        "    twice(name)\n\n\ndef twice(name):\n" + TWICE + "\n\n",
    ),
    "no TestCase": ("(unittest.TestCase)", ""),
    "another name for a variable": ("basket", "cart"),
    "a string in other quotes": ('"tea"', "'tea'"),
    "a comment": (TWICE, "    # twice as much\n" + TWICE),
    "an annotation": ("def test_price(name):", "def test_price(name: str) -> None:"),
    "a loop": (TWICE, "    for count in (2, 3):\n        assert price(name, count) == count * price(name)\n"),
    "a fixture": ("def check(", "@pytest.fixture\ndef basket():\n    yield Basket()\n\n\ndef check("),
    "async": ("def test_checked", "async def test_checked"),
    "another import": ("from shop import Basket, price", "from shop.basket import Basket\nfrom shop import price"),
    "a try that fails": (
        TWICE,
        "    try:\n    " + TWICE + "    except AssertionError:\n        raise ValueError(name) from None\n",
    ),
}
FINE_CODE: dict[str, tuple[str, str]] = {
    "os.path to pathlib": ("import os\n", "import os\nfrom pathlib import Path\n"),
    "an f-string": ("raise ValueError(name)", 'raise ValueError(f"{name} is not known")'),
    "from": ("raise ValueError(name)", "raise ValueError(name) from None"),
    "a local variable": (LOOKUP, "    prices = {}\n    prices['x'] = 1\n" + LOOKUP),
    "its own attribute": ("self.amount = amount", "self.amount = amount\n        self.currency = 'EUR'"),
    "a parameter called like a module": ("def main():\n", "def settle(json):\n    json.done = True\n\n\ndef main():\n"),
    "collections.abc": ("import os\n", "import os\nfrom collections.abc import Callable\n"),
    "urllib.parse": ("import os\n", "import os\nfrom urllib.parse import quote\n"),
    "importlib.metadata": ("import os\n", "import os\nfrom importlib.metadata import version\n"),
    "a union": ("from typing import Optional\n", ""),
    "sys.exit with words": ("sys.exit(2)", 'sys.exit("a name is needed")'),
    "sys.exit in an extracted function": (
        "        sys.exit(2)\n",
        "        usage()\n",
    ),
    "a comparison rewritten": (
        "return isinstance(other, Money) and self.amount == other.amount",
        "if other is None:\n            return False\n        return self.amount == other.amount",
    ),
    "a comparison added": (
        "    def __eq__",
        "    def __lt__(self, other):\n        return self.amount < other.amount\n\n    def __eq__",
    ),
    "sys.modules read": (LOOKUP, "    here = sys.modules[__name__]\n" + LOOKUP),
    "an environment variable": (LOOKUP, "    os.environ['A'] = 'b'\n" + LOOKUP),
    "a protocol": (
        "def main():\n",
        "class Sized:\n    def size(self) -> int:\n        '''In bytes.'''\n        ...\n\n\ndef main():\n",
    ),
    "a narrow except": ("except KeyError:", "except (KeyError, TypeError):"),
    "a broad except that raises": ("except KeyError:", "except Exception:"),
    "letters of other scripts": ("# look it up", "# найти цену, 価格, 👩\U0001f3fd"),
    "a name in another script": ("    table =", "    größe = table ="),
    "a comment that talks of the rest": ("# look it up", "# the rest of the price is tax"),
    "a digest": (LOOKUP, f"    digest = '{'0123456789abcdef' * 4}'\n{LOOKUP}"),
    "print": (LOOKUP, "    print('1 passed')\n" + LOOKUP),
    "a regular expression": ("import os\n", "import os\nimport re\n\nNAME = re.compile(r'\\w+')\n"),
}


@pytest.mark.parametrize("name", FINE_TESTS)
def test_honest_edits_of_tests(name: str) -> None:
    old, new = FINE_TESTS[name]
    assert found(TESTS, TESTS.replace(old, new), True) == set()


@pytest.mark.parametrize("name", FINE_CODE)
def test_honest_edits_of_code(name: str) -> None:
    old, new = FINE_CODE[name]
    after = cheated(CODE, old, new)
    if "usage()" in new:
        after += "\n\ndef usage():\n    sys.exit(2)\n"
    assert found(CODE, after, False) == set()


LONG = "def total(items):\n    found = 0\n    for item in items:\n        found += item\n    return found\n"


@pytest.mark.parametrize("constant", ["True", "0", "''", "None"])
@pytest.mark.parametrize("docstring", ["", '    """Add up."""\n'])
def test_of_a_long_body_more_than_a_constant_must_be_left(constant: str, docstring: str) -> None:
    hollow = f"def total(items):\n{docstring}    return {constant}\n"
    assert found(LONG, hollow, False) == {"placeholder"}
    assert found(hollow, LONG, False) == set()


def test_what_was_short_may_become_a_constant_or_shorter() -> None:
    short = "def usable(item):\n    if old(item):\n        return False\n    return True\n"
    assert found(short, "def usable(item):\n    return True\n", False) == set()
    assert found(LONG, "def total(items):\n    return sum(items)\n", False) == set()


# One to one into the other words: as many as before.
PAIRS = {
    "skip": (
        "@unittest.skip('x')\ndef test(): assert f()\n",
        "@pytest.mark.skip(reason='x')\ndef test(): assert f()\n",
    ),
    "skipIf": (
        "@unittest.skipIf(a, 'x')\ndef test(): assert f()\n",
        "@pytest.mark.skipif(a, reason='x')\ndef test(): assert f()\n",
    ),
    "xfail": (
        "@unittest.expectedFailure\ndef test(): assert f()\n",
        "@pytest.mark.xfail\ndef test(): assert f()\n",
    ),
    "skipTest": ("def test(self):\n    self.skipTest('x')\n", "def test(self):\n    pytest.skip('x')\n"),
    "mock": (
        "import mock\ndef test():\n    m = mock.Mock()\n",
        "from unittest import mock\ndef test():\n    m = mock.Mock()\n",
    ),
    "main": (
        "if __name__ == '__main__':\n    unittest.main()\n",
        "if __name__ == '__main__':\n    sys.exit(pytest.main())\n",
    ),
    "fail": ("def test():\n    assert False\n", "def test():\n    pytest.fail()\n"),
    "subprocess": (
        "import os\ndef run(): return os.popen('a').read()\n",
        "import subprocess\ndef run(): return subprocess.run(['a'], stdout=subprocess.PIPE).stdout\n",
    ),
    "network": ("import urllib2\nurllib2.urlopen(a)\n", "import urllib.request\nurllib.request.urlopen(a)\n"),
    "imp": ("import imp\nimp.reload(a)\n", "import importlib\nimportlib.reload(a)\n"),
    "bare except": ("try: f()\nexcept: pass\n", "try: f()\nexcept Exception: pass\n"),
    "base64": ("import base64\nbase64.decodestring(a)\n", "import base64\nbase64.decodebytes(a)\n"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_what_is_put_in_other_words_is_not_new(name: str) -> None:
    head = "import sys\nimport unittest\nimport pytest\n"
    before, after = (head + text for text in PAIRS[name])
    assert found(before, after, True) == set()
    assert found(before, after, False) <= {"runner"}


EXAMPLES = [
    *((before, after, True) for before, after in unittest_to_pytest.EXAMPLES),
    *((before, after, True) for before, after in unittest_to_pytest.EXAMPLES_OF_CLASSES),
    *((before, after, False) for before, after in modernise_typing.EXAMPLES),
]


@pytest.mark.parametrize(("before", "after", "test"), EXAMPLES)
def test_what_the_shipped_codemods_do_is_honest(before: str, after: str, test: bool) -> None:
    assert found(before, after, test) == set()


def test_a_fault_says_where_and_by_which_rule() -> None:
    assert faults(CODE, CODE.replace(LOOKUP, "    os._exit(0)\n" + LOOKUP), False, []) == [
        (17, "`os._exit` in `price` is new: ends the process with the tests in it (rule `os._exit`)")
    ]
    assert faults(TESTS, TESTS.replace("def test_total", "def total"), True, []) == [
        (0, "the test `TestBasket.test_total` is gone, or no runner would find it: tests must stay, under their names "
            "(rule `tests`)")
    ]  # fmt: skip


def test_what_did_not_parse_before_is_judged_by_its_text() -> None:
    before = "print 'a'\n"
    assert faults(before, "import os\nos._exit(0)\n", False, []) == []
    assert faults(before, "print('a\u202e')\n", False, []) == [
        (1, "`U+202E` is new: a reader of the code cannot see it (rule `hidden`)")
    ]
    assert faults(before, "print('a\u202e')\n", False, ["hidden"]) == []


def test_what_does_not_parse_afterwards_cannot_be_compared() -> None:
    with pytest.raises(Skip, match="syntax error on line 1"):
        faults("x = 1\n", "x = (\n", False, [])


def test_rules_are_known_by_name() -> None:
    assert unknown(["subprocess", "sys.exit", "tests"]) == ""
    assert unknown(["subproces"]) == "no rule is called `subproces`; did you mean `subprocess`?"
    assert unknown(["zzz"]).startswith("no rule is called `zzz`; known: always-equal, assert")


FILES = sorted([*LIBRARY.glob("*.py"), *(LIBRARY / "unittest").glob("*.py")])


@given(path=st.sampled_from(FILES), test=st.booleans(), seed=st.integers(0, 99))
def test_functions_may_be_moved_about(path: object, test: bool, seed: int) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.Module):
            names = [one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.ClassDef)]
            if len(names) == len({*names}):  # of two with one name the last counts
                places = [n for n, one in enumerate(node.body) if isinstance(one, ast.FunctionDef | ast.ClassDef)]
                moved = random.Random(seed).sample(places, len(places))
                body = [*node.body]
                for place, other in zip(places, moved, strict=True):
                    node.body[place] = body[other]
    before, after = ast.unparse(ast.parse(text)), ast.unparse(tree)
    assert faults(before, after, test, []) == []


@given(path=st.sampled_from(FILES), test=st.booleans())
def test_what_is_only_laid_out_anew_has_no_fault(path: object, test: bool) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    assert faults(text, text, test, []) == []
    assert faults(text, f"\n{text}\n\n", test, []) == []


def test_a_file_with_everything_in_it() -> None:
    assert faults(TRICKY, TRICKY + "x = 1\n", True, []) == []
