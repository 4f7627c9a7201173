"""How `umbau doctor` looks: a chapter, and a line for each promise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from pipelines.doctor.line import Chapter
from pipelines.view import WIDEST, Line

STYLES = {"ok": "green", "note": "yellow", "bad": "bold red"}


def table(chapters: Sequence[Chapter], width: int = WIDEST, *, tests: bool = False) -> Iterator[Line]:
    """Yield lines for a terminal: state and promise, below it what was seen and what to do; with
    `tests`, the tests behind it."""
    width = max(40, min(width, WIDEST))
    for chapter in chapters:
        yield ((chapter.title, "bold"),)
        for one in chapter.lines:
            yield ((f"  {one.state:4}  ", STYLES[one.state]), (one.promise, ""))
            yield from (((f"{'':8}{part}", "dim"),) for part in wrap(one.said, width - 8))
            yield from (
                ((f"{'':8}{part}", "yellow"),) for text in one.mend.splitlines() for part in wrap(text, width - 8)
            )
            yield from (((f"{'':8}{test}", "dim"),) for test in one.tests if tests)
        yield (("", ""),)
    counts = {state: sum(one.state == state for chapter in chapters for one in chapter.lines) for state in STYLES}
    told = {"ok": "promises are kept", "note": "to be decided", "bad": "not kept"}
    yield tuple((f"{counts[state]} {told[state]}  ", STYLES[state]) for state in STYLES if counts[state])
