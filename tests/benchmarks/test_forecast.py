from __future__ import annotations

import random

from tests.benchmarks.forecast import KINDS, SAMPLES, recorded, rows


def test_what_a_sample_forecasts_holds_9_times_in_10() -> None:
    found = [*rows([*KINDS], {400: (10, 3)}, random.Random(2))]
    assert len(found) == len(KINDS) * len(SAMPLES)
    for name in ("good", "tokens", "seconds"):
        tallies = [row.tallies[name] for row in found]
        assert sum(one.held for one in tallies) >= 0.9 * sum(one.count for one in tallies), name


def test_recorded_jobs_are_there() -> None:
    assert {row.job for row in recorded(random.Random(3), 5)} >= {"plain-asserts", "unittest-to-pytest"}
