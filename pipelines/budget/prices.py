"""What things cost."""

from __future__ import annotations

from pipelines.limits import Prices
from pipelines.store.log import Spent


def money(spent: Spent, prices: Prices, core_seconds: float = 0.0) -> float:
    """Return the price of what models were asked, and of cores that judged, in the job's currency."""
    tokens = (spent.read * prices.read + spent.written * prices.written) / 1e6
    return tokens + (spent.gpu_seconds * prices.gpu_hour + core_seconds * prices.core_hour) / 3600
