from __future__ import annotations

import pytest

from pipelines.pace import LEAST, WINDOW, Pace, left

Comes = list[tuple[float, float]]


@pytest.mark.parametrize(
    ("comes", "now", "rate"),
    [
        ([], 100.0, 0.0),
        ([(0.2, 5)], 0.5, 5.0),  # less than a second is taken for one
        ([(1, 1), (2, 1), (3, 1), (4, 1)], 10.0, 0.4),
        ([(second, 2) for second in range(1, 1001)], 1000.5, 2.0),  # steady
        ([(second, 2) for second in range(1, 101)], 100.0 + WINDOW, 0.0),  # long ago
        ([(second, 1) for second in range(1, 301)] + [(second, 3) for second in range(301, 601)], 600.0, 3.0),
        ([(10, 1), (10.4, 1), (10.9, 1)], 30.0, 0.1),  # of one second
    ],
    ids=["nothing", "at once", "since the beginning", "steady", "no more", "faster now", "one second"],
)
def test_how_fast_it_goes_of_late(comes: Comes, now: float, rate: float) -> None:
    pace = Pace(0.0)
    for at, amount in comes:
        pace.add(amount, at)
    assert pace.rate(now) == pytest.approx(rate, rel=0.02)
    assert pace.total == sum(amount for _, amount in comes)


def test_what_is_long_ago_takes_no_memory() -> None:
    pace = Pace(0.0)
    for tenth in range(100_000):
        pace.add(1, tenth / 10)
    assert len(pace._marks) <= WINDOW + 2


@pytest.mark.parametrize(
    ("waiting", "ended", "rate", "seconds"),
    [
        (0, 0, 0.0, 0.0),
        (0, 10, 2.0, 0.0),
        (100, 10, 2.0, 50.0),
        (100, LEAST - 1, 2.0, None),
        (100, 10, 0.0, None),
    ],
    ids=["nothing to do", "done", "on its way", "too early to tell", "it stands still"],
)
def test_how_long_it_will_take(waiting: int, ended: float, rate: float, seconds: float | None) -> None:
    assert left(waiting, ended, rate) == seconds
