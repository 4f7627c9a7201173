"""A sample of a job's shards is done by the job's own driver, and kept like any other."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from operators.data import Outcome
from pipelines.data import Plan, Shards
from pipelines.errors import Refused
from pipelines.gather import Gathered
from pipelines.lanes import Lanes, endpoints
from pipelines.limits import Pilot, Prices
from pipelines.pilot.estimate import Estimate, Pace
from pipelines.pilot.forecast import Terms, estimate
from pipelines.pilot.passed import note, waits
from pipelines.pilot.sample import Sample, sample
from pipelines.pilot.told import missed
from pipelines.printed import standing
from pipelines.store import Store
from pipelines.store.log import Spent
from pipelines.work import Kit

if TYPE_CHECKING:
    from pipelines.driver import Driver


UNDONE = (
    "the pilot is not done: shards of it wait for a higher limit of the budget, by shard or repository: umbau status"
)


class Missed(Refused):
    """The sample is worse than the job allows; the message says what was found."""


def first(driver: Driver, plan: Plan, lanes: Lanes) -> None:
    """Do the pilot that a job asks for, unless it was passed before. Raises Missed; returns when all shards may be
    done, or the driver is paused."""
    if waits(driver.job, driver.recipe.fingerprint, driver.complete, driver.store):
        found = pilot(driver, plan, lanes)
        if found and not found.passed:
            raise Missed(missed(found))
        if found is None and plan.planned and not driver.paused:
            raise Missed(UNDONE)


def pilot(driver: Driver, plan: Plan, lanes: Lanes, count: int = 0) -> Estimate | None:
    """Do some shards of a plan, those of them that have no outcome yet, and say what they tell of all; the log has it
    then, too. `count`: how many, if not as many as the job says. Returns None where there are no shards, or the driver
    was paused before these were done. Raises Refused, GitError."""
    settings = driver.job.pilot or Pilot()
    drawn = sample(plan, driver.job.name, count or settings.shards)
    pace = _do(driver, plan, lanes, drawn)
    outcomes = _outcomes(driver.store, drawn.weights)
    if not outcomes or len(outcomes) < len(drawn.weights):
        return None
    shards = Shards(one for own in drawn.drawn.values() for one, _ in own)
    kit = Kit(driver.recipe)
    terms = Terms(
        driver.job.name,
        driver.recipe.fingerprint,
        count or settings.shards,
        settings.min_accept,
        driver.job.budget.prices if driver.job.budget else Prices(),
        len(plan.planned.packed),
        bool(kit.models),
        bool(endpoints(kit)),
        driver.complete,
    )
    failures = standing(Plan(plan.repos, shards), driver.store.outcomes, Gathered((), {})).failures
    found = estimate(terms, drawn, outcomes, _spent(driver.store, driver.job.name, outcomes), failures, pace)
    note(driver.store, found)
    return found


def _do(driver: Driver, plan: Plan, lanes: Lanes, drawn: Sample) -> Pace | None:
    """Do what is left of a sample, and say how fast that went; what was done before says it where nothing is left."""
    store, name = driver.store, f"pilot's pace {driver.job.name} {driver.recipe.fingerprint}"
    before = store.recall(name)
    keys = drawn.keys
    driver.teach(plan, lanes, len(drawn.weights))
    todo = store.missing([*drawn.weights])
    start = time.monotonic()
    repos = [repo for repo, own in keys.items() if own & todo.keys()]
    driver.prepare(plan, lanes, repos)
    ready = time.monotonic()
    driver.some(plan, lanes, keys)
    end = time.monotonic()
    ran = [one for one in _outcomes(store, todo).values() if not one.error]
    if ran and (not before or len(ran) >= before[0]):
        before = [len(ran), sum(one.seconds for one in ran) / (end - ready), (ready - start) / len(repos)]
        store.remember(name, before)
    return Pace(*before) if before and before[1] else None


def _outcomes(store: Store, keys: Collection[str]) -> dict[str, Outcome]:
    """Return the latest outcome of each of these shards that has been done since it was last opened."""
    done = store.outcomes([*keys])
    left = store.missing([*keys])
    return {key: found[-1] for key, found in done.items() if key not in left or found[-1].error}


def _spent(store: Store, job: str, outcomes: Mapping[str, Outcome]) -> dict[str, Spent]:
    """Return what was written down of what these shards spent, where that matters."""
    if not any(one.cached for one in outcomes.values()):
        return {}
    return {key: spent for (_, key), spent in store.log.spent(job).items() if key in outcomes}
