"""How much of what an edit changes tests execute, added up over runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from operators.data import Covered
from operators.syntax.outline import Lines


def share(seen: Iterable[Covered]) -> float:
    """Return the share of changed statements that are executed, 0.0 to 1.0; 1.0 when none is changed."""
    parts = [part for one in seen for part in one.statements]
    return sum(executed for _, _, executed in parts) / len(parts) if parts else 1.0


def bare(seen: Sequence[Covered], least: float) -> str:
    """Say that less than the share `least` is executed, "" when it is not less."""
    if share(seen) >= least:
        return ""
    missed = ", ".join(f"{one.path}:{first}" for one in seen for first, _ in one.missed)
    told = f"passing tests execute {share(seen):.0%} of the changed statements, and not those at {missed}"
    return f"{told}; {least:.0%} is wanted"


def joined(seen: Iterable[Covered]) -> tuple[Covered, ...]:
    """Return one value for each file of what several runs saw: executed is what one of them executed."""
    found: dict[str, Covered] = {}
    for one in seen:
        known = found.get(one.path)
        found[one.path] = _executed(known, _lines(one)) if known else one
    return tuple(found.values())


def gained(seen: Iterable[Covered], by: Iterable[Covered]) -> tuple[Covered, ...]:
    """Return `seen`, one value for each file, with what generated tests executed besides. Statements are told as those
    runs tell them: of a file that nobody imported before, only lines were known."""
    runs = {one.path: one for one in by}
    return tuple(_gained(one, runs[one.path]) if one.path in runs else one for one in seen)


def without(seen: Iterable[Covered], missed: Mapping[str, Sequence[Lines]]) -> tuple[Covered, ...]:
    """Return what `gained` gave, these statements by file counted as not executed."""
    return tuple(_without(one, missed.get(one.path, ())) for one in seen)


def _gained(before: Covered, run: Covered) -> Covered:
    known = Covered(run.path, tuple((first, last, False) for first, last, _ in run.statements))
    known = _executed(known, _lines(before))
    new = tuple((first, last) for first, last in known.missed if (first, last) in set(_lines(run)))
    return replace(_executed(known, new), generated=new)


def _without(one: Covered, lines: Sequence[Lines]) -> Covered:
    left = tuple((first, last, executed and (first, last) not in lines) for first, last, executed in one.statements)
    return Covered(one.path, left, tuple(own for own in one.generated if own not in lines))


def _lines(one: Covered) -> Iterator[Lines]:
    """Yield the statements that are executed."""
    return ((first, last) for first, last, executed in one.statements if executed)


def _executed(one: Covered, lines: Iterable[Lines]) -> Covered:
    """Return a value in which statements that have a line in common with `lines` are executed as well."""
    known = list(lines)
    told = (
        (first, last, executed or any(first <= end and start <= last for start, end in known))
        for first, last, executed in one.statements
    )
    return replace(one, statements=tuple(told))
