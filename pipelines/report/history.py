"""How a job went over time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.moments import moment
from pipelines.store.log import Event

STEPS = 40  # points of time in a burndown
OVER = frozenset({"merged", "closed"})


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a job stood at one time."""

    at: float
    """Seconds since 1970."""
    done: int
    """Shards with an outcome."""
    accepted: int
    opened: int
    """Requests so far, and those of them that were merged."""
    merged: int
    hits: int | None
    """What the detector still found in the code; None as long as nobody had looked."""


@dataclass(frozen=True, slots=True)
class Burndown:
    moments: Sequence[Moment] = ()
    shards: int = 0
    requests: int = 0
    hits: int = 0
    """At the first plan; 0 when nobody has looked."""


def burndown(times: Mapping[str, Sequence[float]], shards: int, events: Iterable[Event]) -> Burndown:
    """Return where the job stood from its first to its last day. `times`: when shards were done, by status."""
    done, accepted = sorted(at for some in times.values() for at in some), sorted(times.get("accepted", ()))
    known = list(events)
    marks = {kind: sorted(_when(one) for one in known if one.kind == kind) for kind in ("opened", "merged")}
    hits, total = _hits([one for one in known if one.kind == "remaining"])
    all_times = [*done, *marks["opened"], *marks["merged"], *(at for at, _ in hits)]
    if not all_times:
        return Burndown(shards=shards)
    first, last = min(all_times), max(all_times)
    steps = STEPS if last > first else 0
    moments = []
    for step in range(steps + 1):
        at = last if step == steps else first + (last - first) * step / steps
        left = bisect_right(hits, at, key=lambda one: one[0])
        moments.append(
            Moment(
                at,
                bisect_right(done, at),
                bisect_right(accepted, at),
                bisect_right(marks["opened"], at),
                bisect_right(marks["merged"], at),
                hits[left - 1][1] if left else None,
            )
        )
    return Burndown(moments, shards, len(marks["opened"]), total)


def _hits(events: Iterable[Event]) -> tuple[list[tuple[float, int]], int]:
    """Return what was found over time in all repositories together, and what there was at first."""
    known: dict[str, int] = {}
    totals: dict[str, int] = {}
    left, found = 0, []
    for one in events:
        body = one.body if isinstance(one.body, dict) else {}
        if isinstance(body.get("hits"), int):
            left += body["hits"] - known.get(one.repo, 0)
            known[one.repo] = body["hits"]
            if isinstance(body.get("total"), int):
                totals[one.repo] = body["total"]
            found.append((one.at, left))
    return sorted(found, key=lambda one: one[0]), sum(totals.values())


def _when(event: Event) -> float:
    """Return the forge's time of what happened there, if it is known."""
    at: Any = event.body.get("at") if isinstance(event.body, dict) else None
    return float(at) if isinstance(at, int | float) and at else event.at


def told(event: Event) -> tuple[str, str, str]:
    """Return when, what and, in a line, how."""
    body = event.body if isinstance(event.body, dict) else {"": event.body} if event.body else {}
    parts = [
        f"{name}: {_short(value)}" if name else _short(value) for name, value in body.items() if value or value == 0
    ]
    return moment(event.at), event.kind, "; ".join(parts)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_short, value[:20]))
    return str(value)
