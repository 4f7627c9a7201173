from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.hunks import Hunk
from operators.locate import SHOWN, locate

LINES = ["def f(x):", "    return x", "", "def g(x):", "    return x", ""]
lines = st.lists(st.sampled_from(["a", "b", "", "  a", "ab"]), max_size=8)


def find(search: list[str], replace: list[str] | None = None) -> tuple[str, Hunk] | str:
    return locate([(search, replace or ["new"])], {"a.py": LINES}, "")


def test_lines_that_stand_in_one_place_are_found() -> None:
    assert find(["def g(x):", "    return x"]) == ("a.py", Hunk(3, 5, ("new",)))


def test_the_first_reading_that_is_found_anywhere_decides() -> None:
    readings = [(["def h():"], ["1"]), (["def g(x):"], ["2"]), (["def f(x):"], ["3"])]
    assert locate(readings, {"a.py": LINES}, "") == ("a.py", Hunk(3, 4, ("2",)))


def test_the_preferred_file_is_taken_where_only_it_is_clear() -> None:
    texts = {"a.py": LINES, "b.py": ["def f(x):"]}
    assert locate([(["def f(x):"], [])], texts, "b.py") == ("b.py", Hunk(0, 1, ()))
    assert "Name the file" in str(locate([(["def f(x):"], [])], texts, ""))
    assert "Name the file" in str(locate([(["    return x"], [])], {**texts, "b.py": ["    return x"]}, "a.py"))


@given(lines, lines, lines)
def test_what_is_found_stands_there(before: list[str], search: list[str], replace: list[str]) -> None:
    found = locate([(search, replace)], {"a.py": before}, "")
    if isinstance(found, str):
        assert found
    else:
        _, hunk = found
        assert before[hunk.first : hunk.last] == search or not any(before)


@pytest.mark.parametrize(
    ("search", "line"),
    [
        (["def f (x):"], 1),
        (["def g(x) :", "    return x"], 4),
        (["def g(x):", "    return x", "", "", ""], 2),  # as many lines as that, the last of which end the file
        (["  def f(x):", "      return x"], 1),
    ],
)
def test_the_nearest_lines_are_quoted(search: list[str], line: int) -> None:
    told = str(find(search))
    assert f"The nearest, from line {line}, is:" in told
    assert f"```\n{LINES[line - 1]}\n" in told


def test_a_long_near_miss_is_quoted_in_part() -> None:
    text = [f"line {number}" for number in range(200)]
    told = str(locate([([*text[50:150], "more"], [])], {"a.py": text}, ""))
    assert told.count("\n") == SHOWN + 2


def test_the_nearest_lines_are_looked_for_where_that_is_wanted() -> None:
    told = locate([(["def f (x):"], ["new"])], {"a.py": LINES}, "", explain=False)
    assert told == "SEARCH matches nothing exactly."
