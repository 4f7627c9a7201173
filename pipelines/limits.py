"""What a job may cost, and what stops it: settings of pilot, budget and stop-loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from pipelines.strict import Strict

Share = Annotated[float, Field(ge=0, le=1)]


class Pilot(Strict):
    """A sample of shards is done first; the others are only if it turns out well."""

    shards: int = Field(default=30, ge=1, le=100_000)
    min_accept: Share = 0.0
    """The least share of them that must be accepted or unchanged."""


class Prices(Strict):
    """What is paid for; 0: nothing."""

    read: float = Field(default=0.0, ge=0)
    """For a million tokens that a model reads."""
    written: float = Field(default=0.0, ge=0)
    """For a million tokens that it writes."""
    gpu_hour: float = Field(default=0.0, ge=0)
    core_hour: float = Field(default=0.0, ge=0)
    """For an hour of one core, in which edits are judged."""
    currency: str = Field(default="EUR", pattern=r"^[A-Z]{3}$")


class Limits(Strict):
    """0: no limit."""

    tokens: int = Field(default=0, ge=0)
    """Read and written by models, replies that could not be used included."""
    gpu_seconds: float = Field(default=0.0, ge=0)
    money: float = Field(default=0.0, ge=0)
    """What models cost by `prices`; the cores that judge are not part of it."""
    seconds: float = Field(default=0.0, ge=0)
    """Of a job: wall time, of all its runs together, as long as they work on shards. Of a repository or a shard: in
    which models were asked for it; of calls at the same time each counts."""


class Budget(Limits):
    """Asked before each call of a model. At a limit the job pauses; it goes on when the limit is raised. At one of a
    repository, or of a shard, these alone do."""

    per_repo: Limits = Limits()
    per_shard: Limits = Limits()
    prices: Prices = Prices()

    def nonsense(self, gpus: bool) -> Iterator[tuple[tuple[str, ...], str]]:
        """Yield what cannot be meant, with its place. `gpus`: it is known how many GPUs the models have."""
        scopes: list[tuple[tuple[str, ...], Limits]] = [((), self), (("per_repo",), self.per_repo)]
        scopes.append((("per_shard",), self.per_shard))
        priced = self.prices.read or self.prices.written or self.prices.gpu_hour
        for number, (scope, limits) in enumerate(scopes):
            if limits.money and not priced:
                yield (
                    (*scope, "money"),
                    "nothing a model does has a price: give `budget.prices` read, written or gpu_hour",
                )
            if not gpus and (limits.gpu_seconds or (limits.money and self.prices.gpu_hour)):
                what = "gpu_seconds" if limits.gpu_seconds else "money"
                yield (*scope, what), "GPU seconds are not counted: say how many GPUs the model has, `gpus` of `model`"
            for wider, larger in scopes[:number]:
                for name in Limits.model_fields:
                    own, most = getattr(limits, name), getattr(larger, name)
                    if most and own > most and not (name == "seconds" and not wider):
                        whose = "a repository" if wider else "the whole job"
                        yield (*scope, name), f"{own:,} is more than {whose} may spend, {most:,}: it is never reached"


class StopLoss(Strict):
    """The job pauses when, of its last shards, many more are rejected than should be."""

    last: int = Field(default=50, ge=5, le=100_000)
    """Shards that are looked at."""
    rejected: float = Field(default=0.5, gt=0, le=1)
    """The share of them from which on the job pauses."""
