"""Quantiles of the distributions that intervals are made from; checked against tables in the tests.

The incomplete beta function is evaluated by Lentz's method for its continued fraction (DLMF 8.17.22).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import exp, lgamma, log, log1p, sqrt
from statistics import NormalDist

TINY, CLOSE, STEPS, HALVINGS = 1e-300, 1e-12, 10_000, 44


def normal(share: float) -> float:
    return NormalDist().inv_cdf(share)


def student(share: float, freedom: float) -> float:
    """Return the quantile of Student's t; `freedom`: degrees, not necessarily whole."""
    if share < 0.5:
        return -student(1 - share, freedom)
    # P(|t| > q) = I(freedom / (freedom + q * q)) with a = freedom / 2 and b = 1 / 2
    at = beta(2 * (1 - share), freedom / 2, 0.5)
    return sqrt(freedom * (1 - at) / at)


def chi_squared(share: float, freedom: float) -> float:
    """Return the quantile by Wilson and Hilferty (1931): within 3 % from 4 degrees of freedom on."""
    step = 2 / (9 * freedom)
    return freedom * float(max(0.0, 1 - step + normal(share) * sqrt(step)) ** 3)


@lru_cache(4096)
def beta(share: float, a: float, b: float) -> float:
    """Return the quantile of the beta distribution."""
    return _crossing(lambda at: incomplete(at, a, b), share)


def incomplete(at: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_at(a, b)."""
    if at <= 0 or at >= 1:
        return float(at >= 1)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(at) + b * log1p(-at))
    if at > (a + 1) / (a + b + 2):  # where the fraction is slow
        return 1 - front * _fraction(1 - at, b, a) / b
    return front * _fraction(at, a, b) / a


def _fraction(at: float, a: float, b: float) -> float:
    value = top = 1.0
    bottom = 0.0
    for step in range(STEPS):
        half = step // 2
        if step == 0:
            term = 1.0
        elif step % 2 == 0:
            term = half * (b - half) * at / ((a + 2 * half - 1) * (a + 2 * half))
        else:
            term = -(a + half) * (a + b + half) * at / ((a + 2 * half) * (a + 2 * half + 1))
        bottom = 1 / (1 + term * bottom or TINY)
        top = 1 + term / top or TINY
        value *= bottom * top
        if step and abs(1 - bottom * top) < CLOSE:
            break
    return value - 1


def _crossing(rising: Callable[[float], float], wanted: float) -> float:
    """Return where a function that rises from 0 at 0 to 1 at 1 takes a value."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return (low + high) / 2
