from __future__ import annotations

import pytest

from operators.data import Skip
from operators.source import split
from operators.syntax.shown import MOST, SHORT, callers, definitions

LONG = "".join(f"    x{number} = 1\n" for number in range(SHORT))
DEEP = LONG.replace("    x", "        x")
METHODS = "".join(
    f"    @property\n    def m{number}(\n        self,\n    ):\n        return 1\n\n" for number in range(9)
)


def lines(text: str, name: str) -> str:
    """Return what is shown of a definition."""
    known = split(text)
    found = definitions(text, [name])["lines"].get(name, [])
    return "...\n".join("".join(known[first - 1 : last]) for first, last in found)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("def f(x):\n    return x\n", "def f(x):\n    return x\n"),
        ("y = 1\n@old\n@older(\n    2)\nasync def f(): ...\n", "@old\n@older(\n    2)\nasync def f(): ...\n"),
        ("class f(A):\n    x: int\n", "class f(A):\n    x: int\n"),
        ("f = 3\ng = 4\n", "f = 3\n"),
        ("f = 3; f = 4\n", "f = 3; f = 4\n"),
        ("f: int = 3\n", "f: int = 3\n"),
        ("if x:\n    def f(): ...\nelse:\n    f = None\n", "    def f(): ...\n...\n    f = None\n"),
        ("try:\n    import x\nexcept E:\n    def f(): ...\n", "    def f(): ...\n"),
        (f"def f(\n    x,\n):\n{LONG}", "def f(\n    x,\n):\n"),
        (f'def f(x):\n    """One.\n\n    Two.\n    Three.\n    """\n{LONG}', 'def f(x):\n    """One.\n\n    Two.\n'),
        (f'def f(x):\n    """One."""\n{LONG}', 'def f(x):\n    """One."""\n'),
        (
            f'class f(A):\n    """One."""\n\n    a: int\n    b = 2\n\n    def m(self, x):\n{DEEP}',
            'class f(A):\n    """One."""\n...\n    a: int\n    b = 2\n...\n    def m(self, x):\n',
        ),
        (f"f = [\n{'    1,' * 9}\n{LONG.replace(' = 1', ',')}]\n", f"f = [\n{'    1,' * 9}\n    x0,\n    x1,\n"),
        ("def g():\n    def f(): ...\n", ""),
        ("class A:\n    def f(self): ...\n", ""),
    ],
)
def test_what_is_shown_of_a_definition(text: str, shown: str) -> None:
    assert lines(text, "f") == shown


def test_of_a_large_class_the_signatures_up_to_a_point() -> None:
    text = f"class f:\n{METHODS}"
    assert lines(text, "f").count("    def m") == 9
    assert "return 1" not in lines(text, "f")
    huge = "class f:\n" + METHODS * 20
    assert MOST <= lines(huge, "f").count("\n") - lines(huge, "f").count("...\n") <= MOST + 10


def test_what_is_only_handed_on() -> None:
    found = definitions("from .a import f, g as h\nfrom b import *\nimport c.d\n", ["f", "h", "g", "c"])
    assert found == {"lines": {}, "imported": {"f": [(1, "a.f")], "h": [(1, "a.g")], "c": [(0, "c")]}}


CALLER = f"""\
import f
from a import (
    f,
)

f()


class A(f):
    x = f

    @f
    def m(self):
        return [f]

    class B:
        def n(self):
            def inner():
                f()


def long(a):
{LONG}    f()
{LONG}
if a:
    f()
"""


@pytest.mark.parametrize(
    ("found", "name", "shown"),
    [
        ("f()\n", "line 6", ["f()\n"]),
        ("class A(f):", "A", ["class A(f):\n    x = f\n\n    @f\n"]),
        ("    x = f\n", "A.line 10", ["    x = f\n"]),
        ("    @f\n", "A.m", ["    @f\n    def m(self):\n        return [f]\n"]),
        ("        return [f]\n", "A.m", ["    @f\n    def m(self):\n        return [f]\n"]),
        ("                f()\n", "A.B.n", ["        def n(self):\n            def inner():\n                f()\n"]),
        ("import f\n", "", []),
        ("    f,\n", "", []),
        ("\n", "", []),
    ],
)
def test_what_is_shown_of_a_caller(found: str, name: str, shown: list[str]) -> None:
    known = split(CALLER)
    (some,) = callers(
        CALLER,
        [
            [
                next(
                    n
                    for n, line in enumerate(known, 1)
                    if line.startswith(found.rstrip("\n")) and line.strip() == found.strip()
                )
            ]
        ],
    )
    assert [("".join(known[first - 1 : last])) for _, ranges in some for first, last in ranges] == shown
    assert [one for one, _ in some] == [name][: len(shown)]


def test_of_a_long_caller_its_head_and_what_is_around_the_place() -> None:
    known = split(CALLER)
    number = known.index("    f()\n", known.index("def long(a):\n")) + 1
    (((name, ranges),),) = callers(CALLER, [[number]])
    assert name == "long"
    assert ["".join(known[first - 1 : last]).splitlines() for first, last in ranges] == [
        ["def long(a):"],
        [*(f"    x{n} = 1" for n in range(SHORT - 3, SHORT)), "    f()", "    x0 = 1", "    x1 = 1", "    x2 = 1"],
    ]


def test_each_part_by_itself() -> None:
    text = "def a():\n    f()\n\n\ndef b():\n    f()\n    f()\n"
    assert callers(text, [[2], [6, 7], [2, 6], []]) == [
        [("a", [(1, 2)])],
        [("b", [(5, 7)])],
        [("a", [(1, 2)]), ("b", [(5, 7)])],
        [],
    ]


def test_a_syntax_error() -> None:
    for ask in (lambda: definitions("def (:\n", ["f"]), lambda: callers("def (:\n", [[1]])):
        with pytest.raises(Skip, match="syntax error on line 1"):
            ask()
