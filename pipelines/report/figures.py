"""Numbers as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping


def count(number: float) -> str:
    """Return `12,345`."""
    return f"{number:,.0f}"


def percent(share: float | None) -> str:
    """Return `92.1 %`; a dash where there is nothing to take a share of. What is not all of it is never 100 %."""
    if share is None:
        return "–"
    shown = f"{share * 100:.1f}"
    if share < 1 and shown == "100.0":
        shown = "99.9"
    return f"{shown.removesuffix('.0')} %"


def time(seconds: float) -> str:
    """Return `0.4 s`, `3 min 20 s`, `5.1 h`."""
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds / 3600:,.1f} h"


def amount(money: float) -> str:
    """Return `1,234.50`; more places for small sums."""
    return f"{money:,.2f}" if money >= 1 or money == 0 else f"{money:.4f}"


def listed(counts: Mapping[str, int]) -> str:
    """Return `3 open, 2 merged`."""
    return ", ".join(f"{number:,} {name}" for name, number in counts.items() if number)
