"""Text that grows token by token, and the draws of tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.serve.words import Words, draw

TEXT = st.text("ab\n", max_size=12)


@given(tokens=st.lists(TEXT), stops=st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=4))
def test_what_is_told_ends_before_the_first_stop_string(tokens: list[str], stops: list[str]) -> None:
    words, told = Words(stops), ""
    for token in tokens:
        told += words.grow(token)
        assert not any(stop in told for stop in stops)
        if words.stopped:
            break
    told += words.end()
    whole = "".join(tokens)
    found = [at for stop in stops if (at := whole.find(stop)) >= 0]
    assert words.stopped == bool(found)
    # Of two stop strings the one is taken that is whole first: what came with a later token is not there yet.
    assert told == whole[: min(found)] if found and len(tokens) == 1 else whole.startswith(told)
    assert found or told == whole


@pytest.mark.parametrize(
    ("stops", "tokens", "told"),
    [
        ((), ["a", "b"], ["a", "b", ""]),
        (("\n\n",), ["a\n", "b", "\n", "\n"], ["a", "\nb", "", "", ""]),
        (("\n\n",), ["a\n"], ["a", "\n"]),
        (("END",), ["xEN", "DE", "y"], ["x", "", "", ""]),
        (("abab",), ["ab", "ac"], ["", "abac", ""]),
        (("b", "abc"), ["a", "b"], ["", "a", ""]),
    ],
)
def test_what_may_begin_a_stop_string_is_held_back(stops: tuple[str, ...], tokens: list[str], told: list[str]) -> None:
    words = Words(stops)
    assert [*map(words.grow, tokens), words.end()] == told


def test_seeds_of_draws_fit_their_place_and_do_not_repeat() -> None:
    drawn = {draw(seed, position) for seed in range(100) for position in range(100)}
    assert len(drawn) > 9_990
    assert min(drawn) >= 1
    assert max(drawn) < 1 << 31
    assert draw(7, 8) == draw(7, 8) != draw(8, 7)
