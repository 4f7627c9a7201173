from __future__ import annotations

import pytest

from pipelines.budget.prices import money
from pipelines.limits import Prices
from pipelines.store.log import Spent


@pytest.mark.parametrize(
    ("spent", "prices", "cores", "cost"),
    [
        (Spent(), Prices(read=1, written=1, gpu_hour=1, core_hour=1), 0, 0),
        (Spent(read=2_000_000), Prices(read=0.1), 0, 0.2),
        (Spent(written=500_000), Prices(read=5, written=0.3), 0, 0.15),
        (Spent(gpu_seconds=1800), Prices(gpu_hour=2.5), 0, 1.25),
        (Spent(seconds=9999), Prices(gpu_hour=2.5, core_hour=0.04), 7200, 0.08),
    ],
)
def test_what_is_paid_for_is_counted(spent: Spent, prices: Prices, cores: float, cost: float) -> None:
    assert money(spent, prices, cores) == pytest.approx(cost)
