from __future__ import annotations

import ast
from typing import Any

import pytest

from operators.syntax.broken import broken, rewritten

CODE = '''\
# -*- coding: latin-1 -*-
"""Words."""
SIGN = "!"


def run(value, seen):
    """More words."""
    total = 1
    total += value
    if value > 5:
        seen.append("large")
    for number in range(value):
        total += number
    while total > 1000:
        total -= 1000
    try:
        assert value != 7, "seven"
        if value == 8:
            raise ValueError("eight")
    except ValueError:
        total = -1
    with seen:
        seen.append("within")
    match value:
        case 9:
            total = 99
    return total
'''


class Seen(list[str]):
    def __enter__(self) -> None:
        self.append("in")

    def __exit__(self, *_: object) -> None:
        self.append("out")


def does(text: str, value: int) -> Any:
    names: dict[str, Any] = {}
    exec(compile(text, "code", "exec"), names)
    seen = Seen()
    try:
        return names["run"](value, seen), list(seen)
    except Exception as error:
        return type(error).__name__


def line(words: str, count: int = 1) -> int:
    return [number for number, text in enumerate(CODE.split("\n"), 1) if words in text][count - 1]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("total = 1", 2),
        ("total += value", 2),
        ("if value > 5", 2),
        ('seen.append("large")', 6),
        ("for number", 3),
        ("total += number", 3),
        ("while total", 1001),
        ("total -= 1000", 1001),
        ("assert value", 2),
        ("if value == 8", 2),
        ("raise ValueError", 8),
        ("except ValueError", 8),
        ("total = -1", 8),
        ("with seen", 2),
        ('seen.append("within")', 2),
        ("match value", 9),
        ("total = 99", 9),
        ("return total", 2),
    ],
)
def test_a_broken_statement_does_something_else(words: str, value: int) -> None:
    at = line(words)
    (text,) = broken(CODE, [[(at, at)]])
    assert does(rewritten(CODE), value) == does(CODE, value) != does(text, value)


def test_what_runs_at_import_or_does_nothing_is_left_alone() -> None:
    left = [[(line(words), line(words))] for words in ("SIGN", "def run", "try:")]
    assert broken(CODE, [*left, []]) == ["", "", "", ""]


def test_several_are_broken_together() -> None:
    one, other = line("total = 1"), line('seen.append("within")')
    (text,) = broken(CODE, [[(one, one), (other, other)]])
    result, seen = does(text, 2)
    assert (result, seen) == (does(CODE, 2)[0] + 1, ["in", "out"])


def test_the_encoding_is_still_told() -> None:
    assert rewritten(CODE).startswith("# -*- coding: latin-1 -*-\n")
    assert ast.dump(ast.parse(rewritten(CODE))) == ast.dump(ast.parse(CODE))


@pytest.mark.parametrize(
    ("value", "other"),
    [("True", False), ("3", 4), ("1.5", 2.5), ("'a'", "a?"), ("b'a'", b"a?"), ("[1]", None), ("f'{1}'", "1?")],
)
def test_another_value_is_of_the_same_kind_where_it_can_be(value: str, other: object) -> None:
    (text,) = broken(f"def run():\n    return {value}\n", [[(2, 2)]])
    names: dict[str, Any] = {}
    exec(text, names)
    assert names["run"]() == other


def test_nothing_becomes_something() -> None:
    (text,) = broken("def run():\n    return\n", [[(2, 2)]])
    names: dict[str, Any] = {}
    exec(text, names)
    assert names["run"]() is not None
