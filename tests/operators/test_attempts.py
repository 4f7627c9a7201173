from __future__ import annotations

from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.attempts import ASKED, BUDGETS, KINDS, kind_of, plan
from operators.data import Edit, Finding, Verdict

JUDGES = {"r": "reply", "p": "parses", "i": "inside", "k": "keeps", "c": "command", "t": "tests", "o": "own.Check"}
JUDGES |= {"R": "review", "C": "ci"}


def past_of(word: str) -> tuple[Verdict, ...]:
    """Return attempts by the initials of who found fault; `.` is one at which nobody did."""
    return tuple(
        Verdict(Edit({}, said=str(number)), () if letter == "." else (Finding(JUDGES[letter], "wrong"),))
        for number, letter in enumerate(word)
    )


@pytest.mark.parametrize(
    ("word", "shown", "other"),
    [
        ("", "", False),
        ("r", "r", False),
        ("rr", "", False),  # a fresh start
        ("rrr", "r", False),
        ("rrrr", "", True),  # another model
        ("rrrrr", "r", True),
        ("rrrrrr", None, False),
        ("rprprprp", "rprprprp", False),  # never two of a kind in a row
        ("pp", "", False),
        ("ik", "", False),  # inside and keeps say the same: not within bounds
        ("ic", "ic", False),
        ("cc", "", False),
        ("ttt", "ttt", False),
        ("tttt", "", False),
        ("rrtttt", "", True),
        ("ttttr", "r", False),
        ("trrc", "c", False),  # a fresh start forgets all before it
        ("oooooooo", "oooooooo", False),  # a check of the job's own: `attempts` alone is the limit
        (".R", ".R", False),
        (".Rrr", "R", False),  # what a reviewer asked for is asked for again
        ("rrrrrrR", "R", False),  # also when nothing more would have been tried
        ("rrrrr.R", "r.R", False),
        ("r.RtR", "r.RtR", False),
        ("rrRr", "Rr", False),
        (".Crr", "C", False),  # what a pipeline needs as well
        (".C.Rrr", "R", False),
    ],
)
def test_what_comes_next(word: str, shown: str | None, other: bool) -> None:
    past = past_of(word)
    turn = plan(past, other=True)
    if shown is None:
        assert turn is None
    else:
        assert turn is not None and turn.other is other
        assert [kind_of(one) for one in turn.shown] == [kind_of(one) for one in past_of(shown)]
        assert all(one in past for one in turn.shown)


@pytest.mark.parametrize(("word", "ends"), [("rr", False), ("rrrr", True), ("tttt", False), ("tttttttt", True)])
def test_without_another_model_a_fresh_start_is_the_last(word: str, ends: bool) -> None:
    assert (plan(past_of(word), other=False) is None) is ends


words = st.text(alphabet="".join(JUDGES) + ".", max_size=30)


@given(words, st.booleans())
def test_no_kind_is_talked_about_beyond_its_budget(word: str, other: bool) -> None:
    turn = plan(past_of(word), other=other)
    for kind, found in groupby(kind_of(one) for one in (turn.shown if turn else ())):
        assert len(list(found)) < BUDGETS.get(kind, 99)


@given(words)
def test_what_is_shown_ends_with_what_was_tried_last_unless_it_begins_anew(word: str) -> None:
    past = past_of(word)
    turn = plan(past, other=True)
    if turn and turn.shown and kind_of(turn.shown[-1]) not in ASKED:
        assert turn.shown[-1] is past[-1]
        assert turn.shown[1:] == past[len(past) - len(turn.shown) + 1 :], "nothing is left out on the way"


@given(st.text(alphabet="rpikct", max_size=40), st.booleans())
def test_it_comes_to_an_end(word: str, other: bool) -> None:
    """Whatever is found, of the kinds that have a budget: alternating kinds are left to `attempts`."""
    starts = 0
    for number in range(len(word) + 1):
        turn = plan(past_of(word[:number]), other=other)
        if turn is None:
            assert all(plan(past_of(word[:more]), other=other) is None for more in range(number, len(word) + 1))
            break
        starts += number > 0 and not turn.shown
    assert starts <= 1 + other


def test_what_was_asked_for_before_a_base_moved_is_one_task() -> None:
    asked = Verdict(Edit({}), (Finding("own.Check", "wrong"), Finding("ci", "red"), Finding("review", "louder")))
    turn = plan((asked, *past_of("rr")), other=False)
    assert turn and turn.shown == (asked,)


def test_every_kind_has_a_budget() -> None:
    assert set(KINDS.values()) == set(BUDGETS)
