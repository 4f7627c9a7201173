"""What the driver tells of its work to those who watch from elsewhere: metrics and traces."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from pipelines import metrics
from pipelines.act import Tended
from pipelines.aside import aside
from pipelines.data import Plan
from pipelines.lanes import Done, Moment
from pipelines.metrics import Meter
from pipelines.remaining import remaining
from pipelines.store import Store
from pipelines.store.log import Event
from pipelines.tracing.export import Traces
from pipelines.tracing.stretches import of_request, of_shard, of_sum

STATES = {"opened": "open", "merged": "merged", "closed": "closed"}
"""Kind of event to the state that a merge request is in after it."""


@dataclass(slots=True)
class Observed:
    """A job, as far as it is watched. Without a meter and without traces nothing is done."""

    job: str
    store: Store
    traces: Traces | None = None
    _shards: Counter[str] | None = None
    """Of the plan, by state."""
    _failed: set[str] = field(default_factory=set)
    """Keys of those that failed here, and so wait for another run."""
    _plan: Plan | None = None

    def begun(self, plan: Plan, shards: Counter[str] | None, meter: Meter | None) -> None:
        """Tell how the shards of a plan stand before some of them are done; None where it is only a part of one."""
        if plan is not self._plan:
            self._plan, self._failed = plan, set()
        self._shards = shards
        if shards is not None:
            shards.subtract(["waiting"] * len(self._failed))
            shards.update(["failed"] * len(self._failed))
        if meter:
            self._standing(meter)
            meter.tell(metrics.ASIDE, len(aside(plan, self.job, self.store)), self.job)

    def looked(self, moment: Moment, meter: Meter | None) -> None:
        """Tell what the lanes are at; from any thread."""
        if meter:
            now = {metrics.IN_HAND: moment.flight, metrics.ASKING: moment.asking, metrics.TESTING: moment.testing}
            for metric, count in now.items():
                meter.tell(metric, count, self.job)

    def ended(self, done: Done, meter: Meter | None) -> None:
        """Tell of shards that were done."""
        known = [outcome for _, outcome in done if not outcome.away]
        if self._shards is not None:
            self._shards.subtract(["failed" if one.shard.key in self._failed else "waiting" for one in known])
            self._shards.update([one.status for one in known])
        self._failed -= {one.shard.key for one in known}
        self._failed |= {one.shard.key for one in known if one.error}
        if meter:
            metrics.ended(self.job, done, meter)
            self._standing(meter)
        if self.traces:
            for task, outcome in done:
                self.traces.tell(*of_shard(self.job, task, outcome, time.time()))

    def _standing(self, meter: Meter) -> None:
        if self._shards is not None:
            for status in metrics.STATUSES:
                meter.tell(metrics.SHARDS, self._shards[status], self.job, status)

    def summed(self, done: Done, plan: Plan, meter: Meter | None) -> None:
        """Tell of sums of edits that were judged."""
        if meter:
            metrics.summed(self.job, done, meter)
        if self.traces:
            for task, outcome in done:
                planned, paths = plan.planned.of(task.shard.repo), {*task.shard.paths}
                branch = next((one.branch for one in planned if paths & {*one.shard.paths}), "")
                self.traces.tell(*of_sum(self.job, branch, task, outcome, time.time()))

    def tended(self, plan: Plan, done: Sequence[Tended], meter: Meter | None) -> None:
        """Tell of merge requests that were looked after."""
        if self.traces:
            for one in done:
                if one.action.verb != "wait" or one.trouble:
                    self.traces.tell(*of_request(self.job, one, time.time()))
        if not meter:
            return
        self._requests(meter)
        meter.tell(metrics.ASIDE, len(aside(plan, self.job, self.store)), self.job)

    def remains(self, plan: Plan, meter: Meter | None) -> None:
        """Tell what is left in the code bases of a whole plan."""
        if meter and (found := remaining(self.job, plan, self.store)):
            meter.tell(metrics.REMAINING, found.files, self.job)

    def _requests(self, meter: Meter) -> None:
        """Tell how many merge requests are in which state, and once of each that was merged how long that took."""
        events = self.store.log.events(self.job, [*STATES])
        states: dict[tuple[str, str, int], str] = {}
        opened: dict[tuple[str, str, int], float] = {}
        told = self.store.recall(f"metrics {self.job}") or 0
        merged = [event for event in events if event.kind == "merged" and event.number > told]
        if merged:  # before they are told: killed in between, some are not told, but none is told twice
            self.store.remember(f"metrics {self.job}", merged[-1].number)
        for event in events:
            states[_place(event)] = STATES[event.kind]
            if event.kind == "opened":
                opened[_place(event)] = event.body["at"]
        for event in merged:
            if _place(event) in opened:
                meter.tell(metrics.TO_MERGE, event.body["at"] - opened[_place(event)], self.job)
        count = Counter(states.values())
        for state in STATES.values():
            meter.tell(metrics.REQUESTS, count[state], self.job, state)


def _place(event: Event) -> tuple[str, str, int]:
    return event.repo, event.body["branch"], event.body["number"]
