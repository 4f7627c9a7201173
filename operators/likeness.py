"""How much two pieces of code have in common."""

from __future__ import annotations

import re


def words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text))


def likeness(some: frozenset[str], others: frozenset[str]) -> float:
    """Return the share of words in common, 0.0 to 1.0 (P. Jaccard's index)."""
    return len(some & others) / max(1, len(some | others))
