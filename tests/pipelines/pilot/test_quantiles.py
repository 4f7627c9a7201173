"""Against printed tables: Abramowitz and Stegun 26.8 and 26.10, and R's qbeta and pbeta."""

from __future__ import annotations

import pytest

from pipelines.pilot.quantiles import beta, chi_squared, incomplete, student


@pytest.mark.parametrize(
    ("share", "freedom", "value"),
    [(0.95, 1, 6.314), (0.95, 9, 1.833), (0.975, 29, 2.045), (0.995, 4, 4.604), (0.05, 9, -1.833), (0.95, 120, 1.658)],
)
def test_student(share: float, freedom: float, value: float) -> None:
    assert student(share, freedom) == pytest.approx(value, abs=0.001)


@pytest.mark.parametrize(
    ("share", "freedom", "value"),
    [(0.05, 4, 0.7107), (0.05, 9, 3.325), (0.95, 9, 16.919), (0.95, 99, 123.225), (0.025, 30, 16.791)],
)
def test_chi_squared(share: float, freedom: float, value: float) -> None:
    assert chi_squared(share, freedom) == pytest.approx(value, rel=0.03)


@pytest.mark.parametrize(
    ("share", "a", "b", "value"),
    [(0.5, 1, 1, 0.5), (0.05, 3, 8, 0.08726), (0.95, 1, 10, 0.25887), (0.5, 2, 2, 0.5), (0.975, 8, 3, 0.93326)],
)
def test_beta(share: float, a: float, b: float, value: float) -> None:
    assert beta(share, a, b) == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize(
    ("at", "a", "b", "value"),
    [(0.0, 2, 3, 0.0), (1.0, 2, 3, 1.0), (0.5, 2, 2, 0.5), (0.25, 1, 3, 1 - 0.75**3), (0.9, 4, 1, 0.9**4)],
)
def test_incomplete_beta(at: float, a: float, b: float, value: float) -> None:
    assert incomplete(at, a, b) == pytest.approx(value, abs=1e-10)
