"""Looks at jobs that are driven elsewhere, by what their drivers write into the store. Nothing is written here."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NoReturn

from pipelines.errors import Refused
from pipelines.neutral import one_line
from pipelines.progress import EVERY, Progress, latest
from pipelines.remaining import remaining
from pipelines.store import Store
from pipelines.store.log import Event
from pipelines.view import GONE, Line, lasted, view, wrapped

HISTORY = 5  # events that are shown, the last ones


@dataclass(slots=True)
class Followed:
    """What is known of one job. `clock`: seconds since 1970."""

    job: str
    store: Store
    clock: Callable[[], float] = time.time
    progress: Progress | None = None
    heard: float = 0.0
    """When the last snapshot was made, by our clock as far as that can be told: the driver's may be another."""
    remaining: str = ""
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=HISTORY))
    number: int = -1
    """Of the last event that was seen."""

    def look(self) -> bool:
        """Look again; say whether anything is new."""
        found, now = latest(self.store, self.job), self.clock()
        new = found is not None and (self.progress is None or found.at != self.progress.at)
        if found and new:
            self.heard = min(found.at, now) if self.progress is None else now
        self.progress = found
        events = self.store.log.events(self.job, after=max(0, self.number))
        if events or self.number < 0:
            self.number = events[-1].number if events else 0
            self.events += [one for one in events if one.kind != "remaining"]
            plan = self.store.plan(self.job)
            self.remaining = str(remaining(self.job, plan, self.store) or "") if plan else ""
            if plan is None and found is None:
                raise Refused(f"the store knows no job {self.job}: run it first, or see UMBAU_STORE and UMBAU_HOME")
        return new or bool(events)

    @property
    def silent(self) -> float:
        """Seconds for which nothing was heard."""
        return max(0.0, self.clock() - self.heard) if self.progress else 0.0

    @property
    def gone(self) -> bool:
        return bool(self.progress and self.progress.stage and self.silent > GONE)

    def facts(self) -> dict[str, Any]:
        """Return what is known, for programs."""
        told = asdict(self.progress) if self.progress else None
        facts = {"job": self.job, "silent": round(self.silent, 1), "gone": self.gone, "remaining": self.remaining}
        return {**facts, "progress": told}

    def lines(self, width: int, *, ascii_only: bool = False) -> list[Line]:
        if self.progress is None:
            said = [((f"{self.job}", "bold"), ("  no driver has told how far it is", ""))]
            return [*said, *wrapped(f"remaining {self.remaining}" if self.remaining else "", width, "bold")]
        lines = view(self.progress, self.silent, self.remaining, width, ascii_only=ascii_only)
        now = self.clock()
        for one in self.events:
            lines += wrapped(f"{lasted(now - one.at)} ago: {one.kind} {_about(one)}", width, "dim")
        return lines


def looked(jobs: Sequence[Followed]) -> Sequence[Followed]:
    """Return the jobs, each looked at once."""
    for one in jobs:
        one.look()
    return jobs


def news(jobs: Sequence[Followed], seconds: float, sleep: Callable[[float], None] = time.sleep) -> Iterator[Followed]:
    """Look again and again, every so many seconds, and yield the jobs of which something is new."""
    told: dict[str, bool] = {}
    while True:
        for one in jobs:
            if one.look() or told.get(one.job) != one.gone:
                told[one.job] = one.gone
                yield one
        sleep(seconds)


def drawn(jobs: Sequence[Followed], sleep: Callable[[float], None] = time.sleep) -> NoReturn:
    """Draw on the terminal of stdout until somebody ends it."""
    from pipelines.console.live import Screen

    def lines(width: int, ascii_only: bool) -> list[Line]:
        return [line for one in jobs for line in (*one.lines(width, ascii_only=ascii_only), ())][:-1]

    looked(jobs)
    screen = Screen(lines, stderr=False)
    try:
        while True:
            sleep(EVERY)
            looked(jobs)
    finally:
        screen.close()
        for line in lines(screen.console.width - 1, False):
            screen.show(line)


def _about(event: Event) -> str:
    body = event.body if isinstance(event.body, dict) else {}
    said = [str(body[key]) for key in ("branch", "url", "why", "who") if body.get(key)]
    return one_line("  ".join(filter(None, (event.repo, *said))))
