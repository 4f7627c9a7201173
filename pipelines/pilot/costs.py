"""What shards have cost, and what they would have cost had no reply been known from before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from operators.data import Outcome
from pipelines.store.log import Spent

TESTS = "tests"


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one shard, all its attempts together."""

    attempts: int
    asked: Spent
    """Of models."""
    paid: bool
    """It is known what models cost: False where replies were known from before, and nobody wrote down what they cost
    the first time."""
    testing: float
    """Seconds of test runs; of a run that many shards share its part."""
    judging: float
    """Seconds of all checks."""
    seconds: float
    """From its beginning to its end, waiting included."""


def cost(outcome: Outcome, spent: Spent) -> Cost:
    """Return what an outcome cost. `spent`: all that was written down of what its shard spent, by whichever run: a
    reply that is known from before may be of a run that was stopped, and counts as what it cost then."""
    read, written = outcome.tokens
    own = Spent(0, read, written, outcome.gpu_seconds, outcome.waited)
    before = outcome.cached > 0 and spent.read + spent.written > read + written
    times = outcome.judging
    return Cost(
        len(outcome.verdicts),
        spent if before else own,
        before or not outcome.cached,
        times.get(TESTS, 0.0),
        sum(times.values()),
        outcome.seconds,
    )


def costs(outcomes: Mapping[str, Outcome], spent: Mapping[str, Spent]) -> dict[str, Cost]:
    """Return the costs of those shards that came to an end by no fault of ours, by key."""
    return {key: cost(one, spent.get(key, Spent())) for key, one in outcomes.items() if not one.error}
