"""What a pilot finds: of the sample, and of the whole job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.pilot.interval import Interval


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast it went."""

    shards: int
    """That were run."""
    at_a_time: float
    """Shards in hand, on average."""
    preparing: float
    """Seconds for one repository."""


@dataclass(frozen=True, slots=True)
class Failure:
    kind: str
    """With the first line of what was found in the example."""
    count: int
    example: str
    """Name of a shard."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What the sample took; only shards that came to an end by no fault of Umbau's count."""

    attempts: float
    """Of one shard, on average."""
    read: int
    """Tokens."""
    written: int
    gpu_seconds: float
    testing: float
    """Seconds of test runs."""
    judging: float
    """Core seconds of all checks."""
    seconds: float
    """Of shards, waiting included; of those in hand at the same time each counts."""
    cached: int
    """Replies that were known from before."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Of all shards of the job, those of the sample included; None: not known. Each interval holds the truth at least 9
    times in 10, unless the sample is so small that it misses a whole kind of dear shards (pipelines.pilot.interval)."""

    accepted: Interval
    """Shards whose edit is accepted."""
    read: Interval | None
    written: Interval | None
    gpu_seconds: Interval | None
    core_seconds: Interval | None
    money: Interval | None
    seconds: Interval | None
    """Of wall time, of a run like the pilot's."""


@dataclass(frozen=True, slots=True)
class Estimate:
    job: str
    fingerprint: str
    """Of the recipe."""
    asked: int
    """Shards that were to be drawn."""
    shards: int
    """That the job has."""
    sampled: int
    strata: tuple[int, int]
    """Of repository and size: drawn from, and all."""
    statuses: Mapping[str, int]
    good: Interval
    """The share of all shards that is accepted or unchanged."""
    min_accept: float
    passed: bool
    taken: Taken
    failures: Sequence[Failure]
    forecast: Forecast
    currency: str
    whole: bool
    """It is about the job's own repositories, not others given instead."""
    notes: Sequence[str] = ()

    @property
    def code(self) -> int:
        """The exit code: 2 when the bound is missed or something failed, 1 when something was rejected."""
        if not self.passed or self.statuses.get("failed"):
            return 2
        return 1 if self.statuses.get("rejected") else 0
