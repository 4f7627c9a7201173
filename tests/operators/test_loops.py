from __future__ import annotations

import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.loops import LEAST, loop


@pytest.mark.parametrize(
    ("text", "begin", "repeated"),
    [
        ("", 0, ""),
        ("All is well.\n", 13, ""),
        ("x = 1\n" * 5, 30, ""),  # five lines may well be the same
        ("-" * 150, 150, ""),
        ("-" * 300, 0, "-"),
        ("import os\n" + "x = 1\n" * 100, 9, "\nx = 1"),  # the line's end before it is part of it
        ("import os\n" + "x = 1\n" * 100 + "x =", 9, "\nx = 1"),  # cut in the middle
        ("a: " + "new(1), new(2), " * 40, 2, " new(1), new(2),"),
        (
            "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n" * 30,
            0,
            "<<<<<<< SEARCH\na\n=======\nb\n>>>>>>> REPLACE\n",
        ),
        ("".join(f"x{number} = {number}\n" for number in range(1000)), 10780, ""),  # each line is another
        ("x = 1\n" * 100 + "Done.", 605, ""),  # it found its way out
    ],
)
def test_a_loop_at_the_end_of_a_reply(text: str, begin: int, repeated: str) -> None:
    assert loop(text) == (begin, repeated)


@given(st.text(alphabet="ab\n", max_size=40), st.text(alphabet="cde \n", min_size=1, max_size=60), st.integers(0, 50))
def test_a_loop_is_found_wherever_it_is_cut(before: str, unit: str, cut: int) -> None:
    whole = before + unit * (LEAST + 50)
    text = whole[: len(whole) - cut]
    begin, repeated = loop(text)
    assert repeated
    assert begin <= len(before)
    assert (repeated * len(text))[: len(text) - begin] == text[begin:]
    assert (unit * 2).find(repeated) >= 0 or len(repeated) < len(unit)


def test_a_long_reply_is_looked_through_at_once() -> None:
    start = time.perf_counter()
    assert loop("".join(Random(1).choices("ab", k=200_000)))[1] == ""
    assert loop("x = 1\n" * 200_000)[1] == "x = 1\n"
    assert time.perf_counter() - start < 5
