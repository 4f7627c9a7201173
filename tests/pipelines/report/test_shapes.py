from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.source import split
from pipelines.report import shapes
from pipelines.report.changed import Block, _lines, compared
from pipelines.report.shapes import LAYOUT, LETTERS, Shape, Shapes, apart, shape_of


def shape(before: str, after: str) -> tuple[str, str]:
    found = shape_of(Block(tuple(before.split("\n")) if before else (), tuple(after.split("\n")) if after else ()))
    return found.before, found.after


EQUAL = ("self.assertEqual(‹1›, ‹2›)", "assert ‹1› == ‹2›")
RAISES = ("with self.assertRaises(‹1›):", "with pytest.raises(‹1›):")


@pytest.mark.parametrize(
    "before,after,expected",
    [
        ("self.assertEqual(a.b, 3)", "assert a.b == 3", EQUAL),
        ("        self.assertEqual(f(x)['q'], [1, 2])", "        assert f(x)['q'] == [1, 2]", EQUAL),
        ("self.assertEqual(größe, 'x y')", "assert größe == 'x y'", EQUAL),
        ("self.assertEqual(3, x)", "assert x == 3", ("self.assertEqual(‹1›, ‹2›)", "assert ‹2› == ‹1›")),
        ("self.assertNotEqual(x, y)", "assert x == y", ("self.assertNotEqual(‹1›, ‹2›)", EQUAL[1])),
        ("self.assertTrue(x in y)", "assert x in y", ("self.assertTrue(‹1›)", "assert ‹1›")),
        ("with self.assertRaises(E):", "with pytest.raises(E):", RAISES),
        ("x = List[int]", "x = list[int]", ("‹1› = List[‹2›]", "‹1› = list[‹2›]")),
        ("timeout = 30", "timeout = 40", ("‹1› = 30", "‹1› = 40")),
        ('"{} is".format(a)', 'f"{a} is"', ('"…".format(a)', '"…"')),
        ("", "import pytest", ("", "import pytest")),
        ("import unittest", "", ("import unittest", "")),
        ("  x", "x", ("", LAYOUT)),
        ("f(a,b)", "f(a, b)", ("", LAYOUT)),
        ("return {", "yield {", ("return {", "yield {")),
    ],
)
def test_what_a_shape_is(before: str, after: str, expected: tuple[str, str]) -> None:
    assert shape(before, after) == expected


def test_alike_edits_are_one_row_and_what_is_not_alike_stands_out() -> None:
    found = Shapes()
    for number in range(400):
        edit = Block(
            (f"    self.assertEqual(total({number}), {number})",), (f"    assert total({number}) == {number}",)
        )
        assert found.add(f"repo-{number % 7}", f"key-{number}", [edit, edit]) == [0]
    wrong = Block(("self.assertNotEqual(a, b)",), ("assert a == b",))
    assert found.add("repo-0", "odd", [wrong]) == [1]
    most, odd = found.sorted()
    assert (most.shape, most.places, most.shards, len(most.repos), most.key) == (Shape(*EQUAL), 800, 400, 7, "key-0")
    assert (odd.places, odd.example, odd.key) == (1, wrong, "odd")


def test_lines_that_stand_together_are_told_apart() -> None:
    pairs = [*apart(Block(("a(1)", "same", "a(2)"), ("b(1)", "same", "b(2)")))]
    assert pairs == [Block(("a(1)",), ("b(1)",)), Block(("a(2)",), ("b(2)",))]
    uneven = Block(("a", "b"), ("c",))
    assert [*apart(uneven)] == [uneven]


def test_what_is_too_long_or_too_much_is_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shape_of(Block(("x" * LETTERS,), ("y", "z"))) == Shape("1 lines", "2 lines")
    long = [" ".join(f"word{number}" for number in range(200)) + end for end in (" a", " b")]
    first, second = (shape("", one)[1] for one in long)
    assert first != second and first[:390] == second[:390], "a difference at the end is lost"
    monkeypatch.setattr(shapes, "MOST", 2)
    found = Shapes()
    for word in "abc":
        found.add("repo", word, [Block((), (f"import {word}",))])
    assert (len(found.found), found.others) == (2, 1)


@pytest.mark.parametrize("text", ['"\\' * 2000, "'" * 4000, "(" * 4000, "a" * 8000, "‹" * 4000, "\u202e" * 4000])
def test_hostile_lines_take_no_longer(text: str) -> None:
    start = time.process_time()
    shape_of(Block((text[: LETTERS // 2],), (text[: LETTERS // 2][::-1] + "x",)))
    assert time.process_time() - start < 5


code = st.text(st.sampled_from("ab_1.,()[]'\" =‹›\\é\n"), max_size=60)


@given(code, code)
def test_any_two_texts_have_a_shape_that_layout_and_names_do_not_change(before: str, after: str) -> None:
    block = Block(tuple(before.split("\n")), tuple(after.split("\n")))
    spaced = Block(tuple(f"  {line}  " for line in block.before), tuple(f"\t{line}" for line in block.after))
    assert shape_of(block) == shape_of(spaced)


names = st.lists(st.from_regex(r"[a-z]{2,5}", fullmatch=True), min_size=2, max_size=2, unique=True)


@given(names)
def test_names_do_not_count(some: list[str]) -> None:
    from keyword import iskeyword

    if not any(map(iskeyword, some)) and not {*some} & {"self"}:
        assert shape(f"self.assertEqual({some[0]}, {some[1]})", f"assert {some[0]} == {some[1]}") == EQUAL


@given(st.text(st.sampled_from("a\r\n\f\v\x1c\u2028")))
def test_lines_are_those_that_python_counts_without_their_ends(text: str) -> None:
    assert _lines(text) == [line.rstrip("\r\n") for line in split(text)]


lines = st.lists(st.sampled_from(["a", "b", "c", "", "@@", "-x", "+x"]), max_size=30)


@given(lines, lines)
def test_a_diff_holds_both_texts(before: list[str], after: list[str]) -> None:
    """What `patch` does: the lines of a diff, put where its hunks say, make one text of the other."""
    found, rest, made = compared("x", before, after), 0, list[str]()
    for line in found.lines:
        if line.startswith("@@ -"):
            start, count = (int(number) for number in line.split()[1][1:].split(","))
            start -= count > 0
            made += before[rest:start]
            rest = start
        elif line[0] == "+":
            made.append(line[1:])
        else:
            assert before[rest] == line[1:]
            rest += 1
            made += [line[1:]] if line[0] == " " else []
    assert made + before[rest:] == after
    assert found.added - found.deleted == len(after) - len(before)
