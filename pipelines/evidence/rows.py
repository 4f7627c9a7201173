"""What is said of each thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["holds", "differs", "cannot be checked", "cannot be replayed"]
LISTED = 10  # things of a kind that are named


@dataclass(frozen=True, slots=True)
class Row:
    what: str
    state: State
    why: str = ""


def row(what: str, wrong: str, right: str = "") -> Row:
    """Return that it holds unless something is wrong."""
    return Row(what, "differs", wrong) if wrong else Row(what, "holds", right)


def listed(words: list[str]) -> str:
    more = f" and {len(words) - LISTED} more" if len(words) > LISTED else ""
    return ", ".join(words[:LISTED]) + more
