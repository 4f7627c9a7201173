"""One thing that takes its time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from operators.data import Outage, Outcome
from pipelines.console.shows import Show
from pipelines.course import Course
from pipelines.data import Task
from pipelines.lanes import Moment
from pipelines.notice import Level
from pipelines.printed import reason
from pipelines.progress import STATUSES
from pipelines.view import lasted

LEVELS: dict[str, Level] = {"rejected": "warning", "failed": "error"}


@dataclass(slots=True)
class Stage:
    """`total` is None when nobody can know."""

    name: str
    total: int | None
    done: int
    show: Show
    course: Course | None = None
    """Where all that is told of a driver goes."""
    kinds: Counter[str] = field(default_factory=Counter)
    last: str = ""
    start: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)
    told_at: int = -1
    away: dict[str, Outage] = field(default_factory=dict)
    """What was told of endpoints that do not answer, by URL."""

    def advance(self, count: int, what: str) -> None:
        """Say that `count` more are done, and what became of them (a status), or which it was."""
        if not count:
            return
        self.done += count
        if what in STATUSES:
            self.kinds[what] += count
        self.last = what
        if self.course:
            self.course.advance(self.done)
        self.show.advanced(self)

    def landed(self, done: Sequence[tuple[Task, Outcome]]) -> None:
        """Say what became of shards."""
        if self.course:
            self.course.landed(done)
        for _, one in done if self.show.logs else ():
            self.show.tell("shard", level=LEVELS.get(one.status, "info"), **facts(one))
        for status, number in Counter(outcome.status for _, outcome in done).items():
            self.advance(number, status)

    def looked(self, moment: Moment) -> None:
        """Say what the lanes are at."""
        if self.course:
            self.course.looked(moment)
        self.outages(moment.outages)

    def outages(self, found: Sequence[Outage]) -> None:
        """Say which model endpoints do not answer, as far as that is news, and which do again. Told when quiet, too:
        nobody should wonder for minutes why nothing goes on."""
        now = {one.url: one for one in reversed(found)}
        for url in [url for url in self.away if url not in now]:
            seconds = self.away.pop(url).seconds
            line = f"model endpoint {url} answers again, after {seconds:.0f} s or more: going on"
            self.show.tell("model_back", line, url=url, seconds=round(seconds, 1))
        for url, one in now.items():
            known = self.away.get(url)
            self.away[url] = one
            if known is None or (known.left > 0 and not one.left):
                line = _waits(one) if one.left else f"{one.why}: the shards that need it are left for another run"
                event = "model_away" if one.left else "model_given_up"
                self.show.tell(event, line, "warning", url=url, why=one.why, left=round(one.left, 1))

    def summary(self) -> str:
        counted = [f"{self.kinds[status]} {status}" for status in STATUSES if self.kinds[status]]
        return ", ".join(counted) or self.last

    def outlook(self) -> str:
        """Say what is under way, and until when, where that is known."""
        now = self.course.now() if self.course and self.name == "run" else None
        if not now or not now.flight:
            return ""
        left = f", about {lasted(now.left)} left" if now.left else ""
        return f"; {now.flight} in hand, {now.asking} asking a model, {now.testing} testing{left}"


def facts(outcome: Outcome) -> dict[str, Any]:
    """Return what is logged of a shard."""
    read, written = outcome.tokens
    return {
        "repo": outcome.shard.repo,
        "shard": outcome.shard.name,
        "key": outcome.shard.key,
        "status": outcome.status,
        "why": "" if outcome.status in {"accepted", "unchanged"} else reason(outcome),
        "attempts": len(outcome.verdicts),
        "seconds": round(outcome.seconds, 3),
        "read": read,
        "written": written,
    }


def _waits(one: Outage) -> str:
    """Say since when (this machine's time: another's clock may differ) and until when an endpoint is waited for."""
    now = time.time()
    since, until = (time.strftime("%H:%M:%S", time.localtime(now + change)) for change in (-one.seconds, one.left))
    return f"{one.why} since {since}: the shards that need it wait, until {until} at most"
