"""Where a job stands, on one row or at the top of its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines import progress, steering
from pipelines.budget.prices import money
from pipelines.dashboard.ledger import Known
from pipelines.dashboard.tally import STATES
from pipelines.limits import Budget
from pipelines.progress import Progress
from pipelines.store import Store
from pipelines.store.log import Spent

OLD = 30.0  # seconds after which a driver that says nothing is not counted on


@dataclass(frozen=True, slots=True)
class Standing:
    job: str
    counts: Mapping[str, int]
    """Shards by STATES."""
    at: float
    """When these were counted, or said by the driver; seconds since 1970, 0.0: not yet."""
    counting: bool
    """The shards are being counted; what is there is what the driver said."""
    progress: Progress | None
    """What the driver said last, as long as it is at work."""
    paused: str
    """Who paused the job and why, "" when it goes on."""
    waits: str
    """Why the last run left shards for another."""
    requests: Mapping[str, int]
    """By state."""
    spent: Spent
    money: float
    budget: Budget

    @property
    def size(self) -> int:
        return sum(self.counts.values())

    @property
    def left(self) -> int:
        """Return how many the next run does: those that wait, and those that failed."""
        return self.counts.get("waiting", 0) + self.counts.get("failed", 0)

    @property
    def done(self) -> int:
        return self.size - self.left

    @property
    def state(self) -> str:
        """Return it in a word."""
        if self.paused or self.waits:
            return "paused"
        return "running" if self.progress else "waiting" if self.left else "done"

    @property
    def limits(self) -> list[tuple[str, float, float]]:
        """Return what there are limits of, how much of it is spent and how much may be."""
        tokens = self.spent.read + self.spent.written
        named = [
            ("tokens", tokens, self.budget.tokens),
            ("GPU seconds", self.spent.gpu_seconds, self.budget.gpu_seconds),
            (self.budget.prices.currency, self.money, self.budget.money),
        ]
        return [(name, spent, limit) for name, spent, limit in named if limit]


def standing(store: Store, job: str, known: Known | None, now: float) -> Standing:
    """Return where a job stands. `now`: seconds since 1970."""
    said = progress.latest(store, job)
    working = said if said and said.stage and now - said.at < OLD else None
    if known:
        counts, at = known.counted.total, known.at
    else:
        counts = {state: said.counts.get(state, 0) for state in STATES} if said else {}
        at = said.at if said else 0.0
    spent = sum(known.spent.values(), Spent()) if known else Spent()
    budget = known.about.budget if known else Budget()
    return Standing(
        job,
        counts,
        at,
        known is None,
        working,
        steering.paused(store, job),
        said.paused if said else "",
        known.states if known else {},
        spent,
        money(spent, budget.prices),
        budget,
    )
