"""What `umbau doctor` says of one thing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from operators.data import told

State = Literal["ok", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Line:
    """A promise, how it stands with it here and now, and the test that holds it."""

    promise: str
    """In a few words: `commands run in a sandbox`."""
    said: str
    """What was seen, or tried on the spot."""
    tests: tuple[str, ...] = ()
    """Those that back the promise: file, `::` and name. () where this machine alone can tell."""
    state: State = "ok"
    """`note`: nothing is wrong, but somebody has to decide. `bad`: the promise is not kept here."""
    mend: str = ""
    """What to do about it."""


@dataclass(frozen=True, slots=True)
class Chapter:
    title: str
    lines: tuple[Line, ...]


Look = Callable[[], Line | Iterator[Line]]
"""Looks at one thing, or at several that are told together."""


def looked(looks: dict[str, Look]) -> Iterator[Line]:
    """Yield what each of them says; one that breaks is as bad as one that finds fault. Keyed by what they look at."""
    for what, look in looks.items():
        try:
            found = look()
            yield from [found] if isinstance(found, Line) else found
        except Exception as fault:
            yield Line(what, f"could not be looked at: {told(fault)}", state="bad")
