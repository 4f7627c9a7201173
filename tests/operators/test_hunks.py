from __future__ import annotations

import time
from difflib import SequenceMatcher
from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.hunks import Conflict, Hunk, add, apply, diff, imports, moved

lines = st.lists(st.sampled_from(["\n", "a\n", "b\n", "    a\n", "import a\n"]), max_size=9)


@given(lines, lines)
def test_applying_the_difference_gives_the_new_lines(before: list[str], after: list[str]) -> None:
    hunks = diff(before, after)
    assert apply(before, hunks) == after
    assert all(one.last <= other.first for one, other in pairwise(hunks))


@given(lines, lines)
def test_hunks_say_by_how_much_the_text_grows(before: list[str], after: list[str]) -> None:
    assert len(before) + sum(hunk.grows for hunk in diff(before, after)) == len(after)


@given(lines, st.lists(st.sampled_from(["c\n", "d\n"]), max_size=9))
def test_texts_with_no_line_in_common_differ_in_one_hunk(before: list[str], after: list[str]) -> None:
    assert diff(before, after) == ([Hunk(0, len(before), tuple(after))] if before or after else [])
    codes = SequenceMatcher(None, before, after).get_opcodes()
    assert [(0, len(before), 0, len(after))] * bool(before or after) == [code[1:] for code in codes]


@given(lines)
def test_equal_texts_have_no_difference(before: list[str]) -> None:
    assert diff(before, list(before)) == []
    assert diff(before, tuple(before)) == [], "whatever holds the lines"


def test_an_insertion_stands_as_far_up_as_it_can() -> None:
    before = ["def a(): ...\n", "\n", "def c(): ...\n"]
    after = ["def a(): ...\n", "\n", "def b(): ...\n", "\n", "def c(): ...\n"]
    assert diff(before, after) == [Hunk(1, 1, ("\n", "def b(): ...\n"))]


def changed_at(count: int, at: int, line: str) -> str:
    return "".join(line if number == at else f"line {number}\n" for number in range(count))


@given(st.data())
def test_edits_apart_from_each_other_add_up_in_any_order(data: st.DataObject) -> None:
    # Every edit has its own odd line to replace, delete or put something before: no two touch.
    base = [f"{number}\n" for number in range(12)]
    places = data.draw(st.lists(st.sampled_from([1, 4, 7, 10]), min_size=1, max_size=4, unique=True))
    words = data.draw(st.lists(st.sampled_from(["", "x\n", "x\ny\n", "\n"]), min_size=len(places), max_size=4))
    edits, expected = [], list(base)
    for place, word in zip(places, words, strict=False):
        keep = data.draw(st.booleans())
        new = word + (base[place] if keep else "")
        edits.append("".join([*base[:place], new, *base[place + 1 :]]))
        expected[place] = new
    for order in permutations(edits):
        assert add("".join(base), list(order)) == "".join(expected)


def test_insertions_at_one_place_stand_in_the_order_of_the_edits() -> None:
    base = "import os\n\nx = 1\n"
    one, other = "import os\nimport re\n\nx = 1\n", "import os\nimport sys\n\nx = 1\n"
    assert add(base, [one, other]) == "import os\nimport re\nimport sys\n\nx = 1\n"
    assert add(base, [other, one]) == "import os\nimport sys\nimport re\n\nx = 1\n"


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        (["import math\n", "import math\nimport re\n"], "import math\nimport re\n"),
        (["import math\nimport re\n", "import math\n", "import re\n"], "import math\nimport re\n"),
        (
            ["import re\n", "import math\nimport re\n", "import abc\nimport math\n"],
            "import re\nimport math\nimport abc\n",
        ),
        (["import math\n", "from a import (\n    b,\n)\n"], "import math\nfrom a import (\n    b,\n)\n"),
        (["x()\n", "x()\ny()\n"], "x()\nx()\ny()\n"),  # code twice may be meant
        (["import math\n", "import math\nx()\n"], "import math\nimport math\nx()\n"),
    ],
)
def test_imports_that_several_edits_put_at_one_place_stand_there_once(added: list[str], expected: str) -> None:
    assert add("import os\n\nx = 1\n", [f"import os\n{more}\nx = 1\n" for more in added]) == (
        f"import os\n{expected}\nx = 1\n"
    )


@given(lines, lines)
def test_the_same_edit_twice_is_once(before: list[str], after: list[str]) -> None:
    text = "".join(after)
    assert add("".join(before), [text, text]) == text


@given(lines, lines)
def test_an_edit_that_changes_nothing_adds_nothing(before: list[str], after: list[str]) -> None:
    assert add("".join(before), ["".join(before), "".join(after)]) == "".join(after)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a\nX\nc\nd\n", "a\nY\nc\nd\n"),  # one line, two ways
        ("a\nX\nY\nd\n", "a\nb\nZ\nd\n"),  # overlapping runs
        ("a\nd\n", "a\nb\nX\nc\nd\n"),  # put into what the other takes out
        ("a\nc\nd\n", "a\nX\nc\nd\n"),  # taken out and replaced
    ],
)
def test_edits_of_the_same_lines_are_in_conflict(one: str, other: str) -> None:
    for edits in ([one, other], [other, one]):
        with pytest.raises(Conflict, match=r"lines \d to \d are changed in two ways"):
            add("a\nb\nc\nd\n", edits)


def test_a_line_may_be_put_right_before_what_another_edit_changes() -> None:
    assert add("a\nb\nc\n", ["a\nX\nc\n", "a\nnew\nb\nc\n"]) == "a\nnew\nX\nc\n"


def test_edits_of_a_text_without_final_newline_add_up() -> None:
    assert add("a\nb\nc", ["X\nb\nc", "a\nb\nY"]) == "X\nb\nY"


@pytest.mark.parametrize(
    ("after", "place"),
    [
        ("1\n2\n3\n4\n5\n", (2, 3)),  # nothing changed
        ("0\n1\n2\n3\n4\n5\n", (3, 4)),  # a line above
        ("1\n2\nX\n3\n4\n5\n", (2, 4)),  # a line within
        ("1\n2\n3\nX\n4\n5\n", (2, 4)),  # right after: belongs to it
        ("1\nX\n2\n3\n4\n5\n", (2, 4)),  # right before: belongs to it
        ("1\nimport a\n2\n3\n4\n5\n", (3, 4)),  # imports excepted
        ("1\n2\n3\n4\nX\n5\n", (2, 3)),  # below
        ("1\n2\n4\n5\n", (2, 2)),  # a line less
        ("2\n3\n4\n5\n", (1, 2)),  # a line less above
        ("X\n3\n4\n5\n", (1, 2)),  # an edit that reaches over the first line
        ("1\n2\nX\nY\nZ\n5\n", (2, 5)),  # an edit that reaches over the last line
        ("X\n", (1, 1)),  # everything became one line
    ],
)
def test_lines_are_found_again_after_an_edit(after: str, place: tuple[int, int]) -> None:
    hunks = diff("1\n2\n3\n4\n5\n".splitlines(keepends=True), after.splitlines(keepends=True))
    assert moved(hunks, 2, 3) == place


@given(lines, lines, st.data())
def test_moved_lines_stay_within_the_text(before: list[str], after: list[str], data: st.DataObject) -> None:
    first = data.draw(st.integers(1, len(before) + 1))
    last = data.draw(st.integers(first - 1, len(before)))
    begin, end = moved(diff(before, after), first, last)
    assert 1 <= begin <= end + 1 <= len(after) + 1


@given(lines, st.integers(1, 9), st.integers(1, 9), lines)
def test_lines_that_did_not_change_are_found_as_they_were(
    before: list[str], first: int, count: int, more: list[str]
) -> None:
    kept = [f"kept {number}\n" for number in range(count)]
    at = min(first, len(before))
    old, new = [*before[:at], *kept, *before[at:]], [*more, *kept, *before[at:]]
    begin, end = moved(diff(old, new), at + 1, at + count)
    assert [line for line in new[begin - 1 : end] if line.startswith("kept")] == kept


@pytest.mark.parametrize(
    ("text", "only"),
    [
        ("import os\n", True),
        ("from a import b\n\n\n", True),
        ("\n# why\nimport os\nfrom . import b  # x; y (z\n", True),
        ("from a import (\n    b,  # c\n    d as e,\n)\n", True),
        ("from a import b, \\\n    c\n", True),
        ("import os; print()\n", False),
        ("import os\nprint()\n", False),
        ("from a import (\n    b\n); print()\n", False),
        ("from a import (\n    b,\n", False),
        ("important = 1\n", False),
        ("    import os\n", False),
        ("\n", False),
        ("# why\n", False),
        ("", False),
    ],
)
def test_imports_are_told_from_other_lines(text: str, only: bool) -> None:
    assert imports(text.splitlines(keepends=True)) is only


def test_many_edits_of_a_long_file_are_told_apart_quickly() -> None:
    before = ["\n" if number % 5 == 0 else f"line {number}\n" for number in range(20_000)]
    after = [f"edited {number}\n" if number % 199 == 1 else line for number, line in enumerate(before)]
    start = time.process_time()
    hunks = diff(before, after)
    assert all(hunk.last - hunk.first == 1 for hunk in hunks)
    assert apply(before, hunks) == after
    assert time.process_time() - start < 5, "about a minute with SequenceMatcher alone"


def test_a_long_literal_without_lines_of_its_own_is_compared_all_the_same() -> None:
    before = [f"    {number % 16},\n" for number in range(20_000)]
    after = ["x = [\n", *before[:9_000], *before[9_003:], "]\n"]
    assert apply(before, diff(before, after)) == after


ALIKE = ["    0,\n"] * 5_000
SPACED = ["\n" if number % 4 == 0 else f"line {number}\n" for number in range(5_000)]
FEW_KINDS = [f"    {number % 7},\n" for number in range(20_000)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ALIKE, ["    1,\n" if number % 100 == 50 else line for number, line in enumerate(ALIKE)]),
        (FEW_KINDS, ["    0,\n" if number % 100 == 50 else line for number, line in enumerate(FEW_KINDS)]),
        (SPACED, [line.replace("line", "edited") for line in SPACED]),
    ],
    ids=["all alike", "of few kinds", "with nothing but blank lines in common"],
)
def test_long_texts_of_lines_that_are_alike_are_compared_quickly(before: list[str], after: list[str]) -> None:
    start = time.process_time()
    assert apply(before, diff(before, after)) == after
    assert time.process_time() - start < 3, "8 s to a minute when each line is compared with each"


def test_a_text_without_a_line_of_its_own_is_told_apart_line_by_line() -> None:
    before = [f"line {number // 2}\n" for number in range(6_000)]
    after = ["edited\n" if number % 150 == 75 else line for number, line in enumerate(before)]
    assert len(diff(before, after)) == 40
