"""Lines of a chart over time, thinned to what can be seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.dashboard.tally import STEP

WIDTH, HEIGHT, POINTS = 640.0, 160.0, 240
Series = Sequence[tuple[float, float]]
"""Seconds since 1970, and the share that is left: 0.0 to 1.0."""


@dataclass(frozen=True, slots=True)
class Line:
    name: str
    kind: str
    """As the style sheet calls it."""
    points: str
    """Of an SVG polyline, in WIDTH by HEIGHT."""
    left: float


@dataclass(frozen=True, slots=True)
class Chart:
    begins: float
    """Seconds since 1970."""
    ends: float
    lines: tuple[Line, ...]


def burndown(
    done: Mapping[int, int], shards: int, remaining: Sequence[tuple[float, int, int]], now: float
) -> Chart | None:
    """Return what is left to do over time, None before anything is done. `done`: shards by the STEP they were done in.
    `remaining`: when, hits of the detector that are left, and how many there were."""
    left, series = shards, [(min(done) * STEP * 1.0, 1.0)] if done and shards else []
    for step in sorted(done):
        left -= done[step]
        series.append(((step + 1.0) * STEP, max(0, left) / shards))
    hits = [(at, min(1.0, found / total)) for at, found, total in remaining if total]
    named = [("shards to do", "shards", series), ("code still to change", "hits", hits)]
    both = [(name, kind, _until(points, now)) for name, kind, points in named if points]
    if not both:
        return None
    begins = min(points[0][0] for _, _, points in both)
    ends = max(points[-1][0] for _, _, points in both)
    lines = tuple(Line(name, kind, _drawn(points, begins, ends), points[-1][1]) for name, kind, points in both)
    return Chart(begins, ends, lines)


def _until(points: Series, now: float) -> Series:
    """Return a line that goes on to now, and not beyond."""
    shown = [(min(at, now), share) for at, share in points]
    return [*shown, (now, shown[-1][1])]


def _drawn(points: Series, begins: float, ends: float) -> str:
    every = max(1, len(points) // POINTS)
    thinned = [*points[::every], points[-1]]
    span = max(1.0, ends - begins)
    return " ".join(f"{(at - begins) / span * WIDTH:.1f},{(1 - share) * HEIGHT:.1f}" for at, share in thinned)
