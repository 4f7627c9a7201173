from __future__ import annotations

import ast
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.hunks import diff
from operators.source import split
from operators.syntax.excerpt import Excerpt, carried, excerpt, put_back, whole
from operators.syntax.outline import Lines, Unit, innermost, outline
from tests.operators.syntax.samples import TRICKY, library, text_of

MODULE = '''\
"""About."""

import os
from a import b

X = 1


class A:
    """About A."""

    def first(self):
        return 1

    def second(self):
        return 2


def f():
    return X


def g():
    return X
'''
FILES = {path.stem: text_of(path) for path in library(25, 30_000)} | {"tricky": TRICKY, "module": MODULE}


def flat(units: tuple[Unit, ...]) -> list[Unit]:
    return [unit for one in units for unit in (one, *flat(one.members))]


def shown(text: str, *names: str) -> Excerpt:
    found = outline(text)
    return excerpt(text, found, [unit for unit in flat(found.units) if unit.name in names])


def put(text: str, part: Excerpt, after: str) -> tuple[str, list[Lines]]:
    return put_back(text, part, diff(part.lines, split(after)))


def test_an_excerpt_shows_imports_headers_and_the_units() -> None:
    assert shown(MODULE, "A.second").text == (
        '"""About."""\n\nimport os\nfrom a import b\n\n\nclass A:\n\n    def second(self):\n        return 2\n'
    )
    assert shown(MODULE, "f", "X").text == '"""About."""\n\nimport os\nfrom a import b\n\n\ndef f():\n    return X\n'


@pytest.mark.parametrize("name", FILES)
def test_excerpts_of_single_units_parse_and_unchanged_leave_the_file_as_it_is(name: str) -> None:
    text = FILES[name]
    found = outline(text)
    for unit in flat(found.units):
        part = excerpt(text, found, [unit])
        ast.parse(part.text)
        assert put(text, part, part.text) == (text, [])


@pytest.mark.parametrize("name", ["tricky", "module"])
def test_an_excerpt_of_a_class_header_parses_and_only_the_header_may_change(name: str) -> None:
    found = outline(FILES[name])
    line = next(unit.first for unit in found.units if unit.name == "A")
    (header,) = innermost(found.units, lambda first, last: first <= line <= last)
    part = excerpt(FILES[name], found, [header])
    ast.parse(part.text)
    assert part.free == set(range(header.first, header.last + 1))
    assert "About the class" in part.text or "About A" in part.text


@settings(max_examples=40)
@given(st.data())
def test_excerpts_of_any_units_parse_and_unchanged_leave_the_file_as_it_is(data: st.DataObject) -> None:
    text = FILES[data.draw(st.sampled_from(sorted(FILES)))]
    found = outline(text)
    units = data.draw(st.lists(st.sampled_from(flat(found.units)), max_size=4, unique=True))
    part = excerpt(text, found, units)
    ast.parse(part.text)
    assert part.numbers == tuple(sorted(set(part.numbers)))
    assert put(text, part, part.text) == (text, [])


@settings(max_examples=60)
@given(st.data())
def test_an_edit_in_a_unit_lands_exactly_there(data: st.DataObject) -> None:
    text = FILES[data.draw(st.sampled_from(sorted(FILES)))]
    found = outline(text)
    unit = data.draw(st.sampled_from(flat(found.units)))
    part = excerpt(text, found, [unit])
    number = data.draw(st.integers(unit.first, unit.last))
    new = data.draw(st.lists(st.sampled_from(["# new\n", "\n", "# other\n"]), max_size=3))
    at = part.numbers.index(number)
    after = [*part.lines[:at], *new, *part.lines[at + 1 :]]
    lines = split(text)
    expected = "".join([*lines[: number - 1], *new, *lines[number:]])
    assert put(text, part, "".join(after)) == (expected, [])


@given(st.lists(st.sampled_from(["import os\n", "x\n", "\n", "def f():\n", "    x\n", "import re\n"]), max_size=12))
def test_nothing_but_imports_comes_from_outside_of_the_free_lines(new: list[str]) -> None:
    part = shown(MODULE, "f")
    after, _ = put(MODULE, part, "".join(new))
    first = split(MODULE).index("def f():\n")
    hunks = diff(split(MODULE), split(after))
    for hunk in hunks:
        inside = first <= hunk.first and hunk.last <= first + 2
        assert inside or (
            hunk.first == hunk.last
            and not "".join(hunk.lines).replace("import os", "").replace("import re", "").strip()
        )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("import os\n", "import os\nimport re\n", "import os\nimport re\n"),
        ("import os\n", "import os\nimport re\n\n", "import os\nimport re\n\n"),
        ("import os\n", "import os\nfrom re import (\n    sub,\n)\n", "import os\nfrom re import (\n    sub,\n)\n"),
        ("import os\n", "import os\nimport re\nprint()\n", None),
        ("import os\n", "import os\nprint()\n", None),
        ("import os\n", "", None),
        ("import os\n", "import os, re\n", None),
        ('"""About."""\n', "", None),
        ("class A:\n", "class A(B):\n", None),
        ("    def second(self):\n", "    def third(self):\n", "    def third(self):\n"),
        ("        return 2\n", "        return 3\n", "        return 3\n"),
        ("        return 2\n", "", ""),
        ("        return 2\n", "        return 2\n\n    def third(self):\n        return 3\n", None),
    ],
)
def test_imports_may_be_added_and_nothing_else_outside(old: str, new: str, expected: str | None) -> None:
    part = shown(MODULE, "A.second")
    after, left_out = put(MODULE, part, part.text.replace(old, new))
    if "third(self):\n        return 3" in new:
        expected = new  # right behind a unit is still its place
    assert after == (MODULE if expected is None else MODULE.replace(old, expected))
    assert bool(left_out) is (expected is None)


def test_a_change_that_is_left_out_is_told_by_its_line() -> None:
    part = shown(MODULE, "f")
    assert put(MODULE, part, part.text.replace("from a import b", "from a import c"))[1] == [(4, 4)]


def test_a_change_of_several_lines_that_is_left_out_is_told_from_the_first_to_the_last() -> None:
    part = shown(MODULE, "A.first", "A.second")
    after = part.text.replace("import os\nfrom a import b\n", "import a\nimport c\n").replace(
        "class A:\n", "class B:\n"
    )
    assert put(MODULE, part, after) == (MODULE, [(3, 4), (9, 9)])


def test_what_stays_within_the_unit_is_kept_when_something_else_is_left_out() -> None:
    part = shown(MODULE, "f")
    after = part.text.replace("from a import b", "from a import c").replace("return X", "return 0")
    assert put(MODULE, part, after) == (MODULE.replace("f():\n    return X", "f():\n    return 0"), [(4, 4)])


def test_two_units_far_apart_stay_apart() -> None:
    part = shown(MODULE, "A.first", "g")
    after = part.text.replace("return 1\n", "return 1\n        # more\n").replace("return X", "return 0")
    expected = MODULE.replace("return 1\n", "return 1\n        # more\n").replace(
        "g():\n    return X", "g():\n    return 0"
    )
    assert put(MODULE, part, after) == (expected, [])


@pytest.mark.parametrize("text", ["", "x = 1", "x = 1\r\ny = 2\r\n"])
@pytest.mark.parametrize("after", ["", "z = 3\n", "import a\nx = 1"])
def test_in_a_whole_file_everything_may_change(text: str, after: str) -> None:
    assert put(text, whole(text), after) == (after, [])


def test_an_excerpt_is_found_again_in_a_text_that_does_not_parse() -> None:
    part = shown(MODULE, "f")
    now = MODULE.replace("import os\n", "import os\nimport re\n").replace(
        "f():\n    return X", "f():\n    return (X\n    # no"
    )
    again = carried(part, MODULE, now)
    assert again.text == part.text.replace("import os\n", "import os\nimport re\n").replace(
        "return X", "return (X\n    # no"
    )
    assert [split(now)[number - 1] for number in again.numbers] == list(again.lines)
    free = "".join(line for line, number in zip(again.lines, again.numbers, strict=True) if number in again.free)
    assert free == "import re\ndef f():\n    return (X\n    # no\n"


@given(st.data())
def test_an_excerpt_is_found_again_in_whatever_the_file_became(data: st.DataObject) -> None:
    part = shown(MODULE, data.draw(st.sampled_from(["A.first", "f", "g", "A"])))
    lines = split(MODULE)
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.lists(st.sampled_from(["\n", "# new\n", "import re\n", "    return X\n"]), max_size=2)
        )
    now = "".join(lines)
    again = carried(part, MODULE, now)
    assert [split(now)[number - 1] for number in again.numbers] == list(again.lines)
    assert all(one < other for one, other in pairwise(again.numbers))
    assert again.free <= set(again.numbers)
    assert put(now, again, again.text) == (now, [])
    kept = {line for line in part.lines if now.count(line) == 1 and MODULE.count(line) == 1}
    assert kept <= set(again.lines)


def test_an_excerpt_of_an_unchanged_text_is_the_same() -> None:
    part = shown(MODULE, "f")
    assert carried(part, MODULE, MODULE) == part
