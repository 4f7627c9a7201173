from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from operators.accepted import BUDGET, closest, pairs
from operators.source import split
from operators.tokens import tokens

TEN = [f"line {number}\n" for number in range(10)]


def test_a_place_that_changes_is_kept_with_the_lines_around_it() -> None:
    after = [*TEN[:5], "new\n", *TEN[6:]]
    assert list(pairs("".join(TEN), "".join(after))) == [("".join(TEN[2:9]), "".join(after[2:9]))]


def test_places_near_each_other_are_one_and_others_apart() -> None:
    lines = [f"line {number}\n" for number in range(40)]
    after = [*lines]
    after[3], after[8], after[30] = "a\n", "b\n", "c\n"
    found = list(pairs("".join(lines), "".join(after)))
    assert found == [("".join(lines[0:12]), "".join(after[0:12])), ("".join(lines[27:34]), "".join(after[27:34]))]


def test_nothing_is_kept_of_what_stays() -> None:
    assert list(pairs("x = 1\n", "x = 1\n")) == []
    assert list(pairs("", "x = 1\n")) == [("", "x = 1\n")]


line = st.sampled_from(["a\n", "b\n", "c\n", "d\n", "\n"])
texts = st.lists(line, max_size=30).map("".join)


@given(texts, texts)
def test_put_in_their_places_the_pairs_are_the_edit(before: str, after: str) -> None:
    found = [(split(old), split(new)) for old, new in pairs(before, after)]
    assert _put(split(before), found, 0, split(after))


def _put(lines: list[str], found: list[tuple[list[str], list[str]]], at: int, after: list[str]) -> bool:
    """Say whether the pairs, each put somewhere behind the one before it, turn the lines into those after."""
    if not found:
        return lines == after
    (old, new), rest = found[0], found[1:]
    return any(
        _put([*lines[:here], *new, *lines[here + len(old) :]], rest, here + len(new), after)
        for here in range(at, len(lines) - len(old) + 1)
        if lines[here : here + len(old)] == old
    )


def test_what_is_most_like_the_code_stands_next_to_it() -> None:
    pool = [
        ("spam = eggs\n", "spam = ham\n"),
        ("with self.assertRaises(ValueError):\n    price(-1)\n", "with pytest.raises(ValueError):\n    price(-1)\n"),
        ("self.assertEqual(price(1), 2)\n", "assert price(1) == 2\n"),
    ]
    code = {"test_shop.py": "def test_price(self):\n    self.assertEqual(price(3), 6)\n"}
    chosen = closest(pool, code)
    assert ["assert price(1)" in text for text in chosen] == [False, True]
    assert not any("spam" in text for text in chosen), "it has no word in common"
    assert closest((), code) == ()


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), max_size=60))
def test_what_is_shown_keeps_within_the_budget(sizes: list[tuple[int, int]]) -> None:
    pool = [(f"price {'old ' * one * 9}\n", f"price {'new ' * two * 9}\n") for one, two in sizes]
    chosen = closest(pool, {"a.py": "price\n"})
    assert sum(map(tokens, chosen)) <= BUDGET
    if pool and not chosen:
        assert min(tokens(before + after) for before, after in pool) > BUDGET - 100


def test_one_that_is_too_large_leaves_room_for_the_next() -> None:
    large, small = ("price(1)\n", "price(2)\n" * BUDGET), ("price(1) + other\n", "cost(1) + other\n")
    (chosen,) = closest([large, small], {"a.py": "price(1)\n"})
    assert "cost(1) + other" in chosen
