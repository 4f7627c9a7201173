"""How a sample is spread over strata."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.pilot.strata import Cell, Stratum, allocated

PLACES = st.dictionaries(
    st.builds(Stratum, st.integers(0, 9), st.sampled_from("abcdefgh")), st.integers(1, 5000), min_size=1, max_size=60
)


def seats(cells: list[Cell]) -> dict[Stratum, int]:
    return {one: number for cell in cells for one, number in cell.drawn.items()}


@given(PLACES, st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_each_stratum_gets_its_part_within_one(strata: dict[Stratum, int], count: int, start: float) -> None:
    cells = allocated(strata, count, start)
    found, total = seats(cells), sum(strata.values())
    count = min(count, total)
    assert sum(found.values()) == count == sum(len([*cell.drawn]) and sum(cell.drawn.values()) for cell in cells)
    assert sum(len(cell.drawn) for cell in cells) == len(found), "no stratum is in two cells"
    for one, shards in strata.items():
        assert abs(found.get(one, 0) - count * shards / total) < 1
        assert found.get(one, 0) <= shards
    assert sum(cell.shards for cell in cells) == total
    assert sum(cell.weight * sum(cell.drawn.values()) for cell in cells) == pytest.approx(total)
    whole = sum(count * shards // total for shards in strata.values())
    assert len(found) >= min(len(strata), count - whole), "what is left goes to those that have none"


def test_few_strata_all_have_some() -> None:
    strata = {Stratum(1, "big"): 900, Stratum(2, "big"): 90, Stratum(1, "small"): 10}
    assert seats(allocated(strata, 30, 0.5)) == {Stratum(1, "big"): 27, Stratum(2, "big"): 2, Stratum(1, "small"): 1}


def test_more_shards_asked_for_than_there_are() -> None:
    (cell,) = allocated({Stratum(1, "a"): 3}, 30, 0.1)
    assert (cell.drawn, cell.weight) == ({Stratum(1, "a"): 3}, 1.0)


def test_among_many_small_strata_each_shard_is_as_likely_as_any_other() -> None:
    strata = {Stratum(0, f"{number:03}"): 1 + number % 7 for number in range(100)}
    total, hits = sum(strata.values()), dict.fromkeys(strata, 0)
    for step in range(500):
        for one in seats(allocated(strata, 30, step / 500)):
            hits[one] += 1
    for one, shards in strata.items():
        assert hits[one] / 500 == pytest.approx(30 * shards / total, abs=0.01)
