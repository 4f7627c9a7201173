"""The stop-loss: how many of the last shards were rejected."""

from __future__ import annotations

from collections import deque

from pipelines.data import Plan
from pipelines.limits import StopLoss
from pipelines.store import Store
from pipelines.todo import keys_of

ENDED = frozenset({"accepted", "unchanged", "skipped", "rejected"})  # a failed one is tried again


class Losses:
    """The last shards that came to an end, in the order in which they did, since somebody resumed the job."""

    def __init__(self, settings: StopLoss, job: str) -> None:
        self.settings, self.job = settings, job
        self._last: deque[bool] = deque(maxlen=settings.last)

    def begin(self, plan: Plan, store: Store, since: float) -> None:
        """Look at what other runs have done after `since` (seconds since 1970)."""
        ended: list[tuple[float, bool]] = []
        for _, shards in plan.planned.by_repo():
            keys = keys_of(shards)
            statuses = store.statuses(keys)
            times = store.times(list(statuses)).items()
            ended += [(at, statuses[key] == "rejected") for key, at in times if at > since]
        self._last.extend(rejected for _, rejected in sorted(ended))

    def add(self, status: str) -> None:
        if status in ENDED:
            self._last.append(status == "rejected")

    def why(self) -> str:
        """Say why the job is to be paused, "" when it is not."""
        count, rejected = len(self._last), sum(self._last)
        if count < self.settings.last or rejected < count * self.settings.rejected:
            return ""
        return (
            f"{rejected} of the last {count} shards were rejected (`stop_loss`). See what is wrong with them: "
            f"umbau status {self.job}"
        )
