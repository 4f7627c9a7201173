"""What a sample says of all shards, with an interval that holds the truth at least 9 times in 10.

`tests/benchmarks/forecast.py` counts how often it does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

from pipelines.pilot.quantiles import beta, chi_squared, student

LEVEL = 0.9
CAREFUL = 0.95
"""Of the intervals for costs: from small samples of skewed costs they hold the truth less often than they should."""
SKEWED = 4.0
"""The most that the variance of logarithms of costs is taken to be."""
FEW, SPREAD = 4, 1.0
"""With fewer costs than that, the variance of their logarithms is taken to be at least this."""
HEAVY = 0.8
"""The most that the index of a tail is taken to be: that of a Pareto distribution with exponent 1.25, whose dearest
fifth of shards has nearly three quarters of the costs."""


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    middle: float
    high: float

    def times(self, factor: float, more: float = 0.0) -> Interval:
        """Return it multiplied, and with something added."""
        return Interval(self.low * factor + more, self.middle * factor + more, self.high * factor + more)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one drawn shard shows."""

    weight: float
    """For how many shards it stands."""
    value: float


def share(drawn: Sequence[Drawn], shards: int) -> Interval:
    """Return the share of all shards of which something holds that holds of the drawn ones with value 1.

    Clopper and Pearson's exact interval with the effective sample size in place of the sample's (Korn and Graubard,
    Survey Methodology 24, 1998), that is with Kish's correction for unequal weights and with the one for a finite
    population.
    """
    count, weights = len(drawn), sum(one.weight for one in drawn)
    middle = sum(one.weight * one.value for one in drawn) / weights
    good = sum(one.value for one in drawn)
    if count >= shards:
        return Interval(middle, middle, middle)
    size = _effective(drawn) / (1 - count / shards)
    low, high = _exact(middle, size)
    return Interval(max(low, good / shards), middle, min(high, 1 - (count - good) / shards))


def total(drawn: Sequence[Drawn], shards: int) -> Interval:
    """Return what all shards cost together, given what the drawn ones cost, none of which is negative.

    In the middle is the weighted sum. From a small sample of skewed costs no method is exact (Bahadur and Savage,
    1956): the few shards that cost most are rarely in it. So the interval is the widest of three: Student's for the
    mean; that for the mean of a log-normal distribution (Zou, Huo and Taleban, Environmetrics 20, 2009) times the share
    of shards that cost anything; and upwards the mean if the dearer half is the tail of a Pareto distribution, with its
    index as high as Hill's estimate leaves possible, but for `HEAVY`. Downwards the distance to the middle is corrected
    for a finite population; upwards by less, as a few dear shards may be among those that are left. What the sample
    shows nothing of, such as one shard in fifty that costs twenty times as much as any other, no interval can hold. Of
    10 shards that are drawn from a job in which one in five costs 25 times as much as the others, none is such a one in
    0.8 ** 10, more than a tenth, of cases: there the truth is held in 86 to 92 % of them; from 30 shards on, the
    default, in 92 % or more.
    """
    count, weights = len(drawn), sum(one.weight for one in drawn)
    known = sum(one.value for one in drawn)
    mean = sum(one.weight * one.value for one in drawn) / weights
    if count >= shards or not known:
        return Interval(mean * shards, mean * shards, mean * shards)
    low, high = _log_normal(drawn)
    if count > 1:
        off = student((1 + CAREFUL) / 2, count - 1) * _error(drawn, mean)
        low, high = min(low, mean - off), max(high, mean + off, _heavy(drawn))
    seen = count / shards
    return Interval(
        max(known, shards * (mean - (mean - low) * sqrt(1 - seen))),
        shards * mean,
        shards * (mean + (high - mean) * sqrt(1 - seen**2)),
    )


def _exact(middle: float, size: float) -> tuple[float, float]:
    good, tail = middle * size, (1 - LEVEL) / 2
    low = beta(tail, good, size - good + 1) if good > 0 else 0.0
    return low, beta(1 - tail, good + 1, size - good) if good < size else 1.0


def _effective(drawn: Sequence[Drawn]) -> float:
    """Return how many shards, all with the same weight, would say as much (Kish, Survey Sampling, 1965)."""
    return sum(one.weight for one in drawn) ** 2 / sum(one.weight**2 for one in drawn)


def _error(drawn: Sequence[Drawn], mean: float) -> float:
    """Return the standard error of the mean, as if shards had been drawn by their weights alone: strata only make it
    smaller."""
    squares = sum((one.weight * (one.value - mean)) ** 2 for one in drawn)
    return sqrt(squares * len(drawn) / (len(drawn) - 1)) / sum(one.weight for one in drawn)


def _log_normal(drawn: Sequence[Drawn]) -> tuple[float, float]:
    """Return the interval for the mean if what is not free costs by a log-normal distribution."""
    dear = [Drawn(one.weight, log(one.value)) for one in drawn if one.value > 0]
    weights, size = sum(one.weight for one in dear), _effective(dear)
    centre = sum(one.weight * one.value for one in dear) / weights
    squares = sum(one.weight * (one.value - centre) ** 2 for one in dear) / weights
    freedom = max(size, FEW) - 1
    spread = min(SKEWED, squares * size / freedom if size >= FEW else max(SPREAD, squares))
    upper, lower = (1 + CAREFUL) / 2, (1 - CAREFUL) / 2
    off = student(upper, freedom) * sqrt(spread / size)
    least = spread * freedom / chi_squared(upper, freedom)
    most = min(SKEWED, spread * freedom / chi_squared(lower, freedom))
    part = weights / sum(one.weight for one in drawn)
    few, many = _exact(part, _effective(drawn)) if len(dear) < len(drawn) else (1.0, 1.0)
    below = sqrt(off**2 + ((spread - least) / 2) ** 2 + log(part / few) ** 2)
    above = sqrt(off**2 + ((most - spread) / 2) ** 2 + log(many / part) ** 2)
    middle = centre + spread / 2 + log(part)
    return exp(middle - below), exp(middle + above)


def _heavy(drawn: Sequence[Drawn]) -> float:
    """Return how high the mean may be if the dearer half is the tail of a Pareto distribution."""
    order = sorted(drawn, key=lambda one: -one.value)
    half = min(max(FEW, len(order) // 2), len(order) - 1)
    top, rest, start = order[:half], order[half:], order[half].value
    while start <= 0 and len(top) > 1:  # the tail is of what is not free
        top, rest = top[:-1], [top[-1], *rest]
        start = rest[0].value
    if start <= 0:
        return 0.0
    weight, freedom = sum(one.weight for one in top), 2 * _effective(top)
    hill = sum(one.weight * log(one.value / start) for one in top) / weight
    index = min(HEAVY, hill * freedom / chi_squared((1 - CAREFUL) / 2, freedom))
    below = sum(one.weight * one.value for one in rest)
    return (below + weight * start / (1 - index)) / sum(one.weight for one in drawn)
