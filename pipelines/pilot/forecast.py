"""What a sample of a job's shards says of the whole job."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from operators.data import Outcome
from pipelines.budget.prices import money
from pipelines.limits import Prices
from pipelines.pilot.costs import Cost, costs
from pipelines.pilot.estimate import Estimate, Failure, Forecast, Pace, Taken
from pipelines.pilot.interval import Drawn, Interval, share, total
from pipelines.pilot.sample import Sample
from pipelines.printed import counted
from pipelines.progress import STATUSES
from pipelines.store.log import Spent

NEAR = 1e-9  # a share that is a bound, as floating point has it
CACHED = "no reply was paid for, all were known from before: what models would cost is not known"
UNPAID = (
    "{replies} of {shards} were known from before, and nobody wrote down what they cost the first time: what models "
    "cost is told by the other {others} alone"
)
UNASKED = "no shard of the sample asked a model: what those cost that do is not known"
NO_GPUS = "GPU seconds are not known: give `gpus` of the model, or UMBAU_MODEL_GPUS"
NO_PRICES = "money is not known: give `budget: {prices: ...}`"
NO_MONEY = "money is not known without GPU seconds, which have a price"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is asked of a pilot, and by which job."""

    job: str
    fingerprint: str
    """Of the recipe."""
    asked: int
    """Shards that are to be drawn."""
    min_accept: float
    prices: Prices
    repos: int
    """Repositories of the job that have shards."""
    asks: bool
    """A model may be asked."""
    remote: bool
    """It is at an endpoint, so that nobody knows its GPUs but by being told."""
    whole: bool
    """It is about the job's own repositories, not others given instead."""

    @property
    def priced(self) -> bool:
        prices = self.prices
        return bool(prices.read or prices.written or prices.gpu_hour or prices.core_hour)


def estimate(
    terms: Terms,
    sample: Sample,
    outcomes: Mapping[str, Outcome],
    spent: Mapping[str, Spent],
    failures: Mapping[str, Sequence[str]],
    pace: Pace | None,
) -> Estimate:
    """Say what a sample means. `outcomes`: of each of its shards, by key. `spent`: what was written down of what they
    cost. `failures`: what is wrong, to names of shards."""
    weights, known = sample.weights, costs(outcomes, spent)
    statuses = {key: one.status for key, one in outcomes.items()}

    def part(*wanted: str) -> Interval:
        return share([Drawn(weights[key], float(status in wanted)) for key, status in statuses.items()], sample.shards)

    good, taken = part("accepted", "unchanged"), _taken(known.values(), outcomes.values())
    hidden = _hidden(terms, known.values(), taken)
    counts = [*statuses.values()]
    return Estimate(
        terms.job,
        terms.fingerprint,
        terms.asked,
        sample.shards,
        len(outcomes),
        sample.strata,
        {status: counts.count(status) for status in STATUSES if status in counts},
        good,
        terms.min_accept,
        good.middle >= terms.min_accept - NEAR,
        taken,
        [Failure(kind, len(names), names[0]) for kind, names in sorted(failures.items(), key=lambda one: -len(one[1]))],
        _forecast(terms, weights, known, sample.shards, part("accepted"), hidden, pace),
        terms.prices.currency,
        terms.whole,
        tuple(_notes(terms, known.values(), taken, hidden)),
    )


def _taken(known: Collection[Cost], outcomes: Collection[Outcome]) -> Taken:
    asked = sum((one.asked for one in known), Spent())
    return Taken(
        sum(one.attempts for one in known) / max(len(known), 1),
        asked.read,
        asked.written,
        asked.gpu_seconds,
        sum(one.testing for one in known),
        sum(one.judging for one in known),
        sum(one.seconds for one in known),
        sum(one.cached for one in outcomes),
    )


def _hidden(terms: Terms, known: Collection[Cost], taken: Taken) -> str:
    """Say why it is not known what models, or their GPUs, cost; "" if it is."""
    if terms.asks and not taken.read + taken.written:
        return CACHED if taken.cached else UNASKED
    if not any(one.paid for one in known):
        return CACHED if known else UNASKED
    return NO_GPUS if terms.remote and not taken.gpu_seconds else ""


def _forecast(
    terms: Terms,
    weights: Mapping[str, float],
    known: Mapping[str, Cost],
    shards: int,
    accepted: Interval,
    hidden: str,
    pace: Pace | None,
) -> Forecast:
    paid = {key: one for key, one in known.items() if one.paid and hidden in {"", NO_GPUS}}

    def of(some: Mapping[str, Cost], amount: Callable[[Cost], float]) -> Interval | None:
        drawn = [Drawn(weights[key], amount(one)) for key, one in some.items()]
        return total(drawn, shards) if drawn else None

    blind = hidden == NO_GPUS
    seconds = of(known, lambda one: one.seconds)
    return Forecast(
        accepted.times(shards),
        of(paid, lambda one: one.asked.read),
        of(paid, lambda one: one.asked.written),
        None if blind else of(paid, lambda one: one.asked.gpu_seconds),
        of(known, lambda one: one.judging),
        of(paid, lambda one: money(one.asked, terms.prices, one.judging))
        if terms.priced and not (blind and terms.prices.gpu_hour)
        else None,
        seconds.times(1 / pace.at_a_time, pace.preparing * terms.repos) if seconds and pace else None,
    )


def _notes(terms: Terms, known: Collection[Cost], taken: Taken, hidden: str) -> Iterator[str]:
    unpaid = sum(not one.paid for one in known)
    if unpaid and hidden != CACHED:
        replies = counted(taken.cached, "reply", "replies")
        yield UNPAID.format(replies=replies, shards=counted(unpaid, "shard"), others=len(known) - unpaid)
    if hidden:
        yield hidden
    if not terms.priced:
        yield NO_PRICES
    elif hidden == NO_GPUS and terms.prices.gpu_hour:
        yield NO_MONEY
