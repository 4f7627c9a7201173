"""How a driver's work goes: what its stages tell, kept as one snapshot that any thread may ask for."""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from socket import gethostname
from threading import Lock

from operators.data import Outcome
from pipelines.data import Task
from pipelines.lanes import Moment
from pipelines.neutral import one_line
from pipelines.pace import Pace, left
from pipelines.printed import reason
from pipelines.progress import Progress

LAST = 100  # shards of which it is told what was wrong
KINDS = 5  # kinds of it, the most frequent ones
WHY = 120  # characters of one


class Course:
    def __init__(self, job: str, clock: Callable[[], float] = time.time) -> None:
        """`clock`: seconds since 1970."""
        self._lock, self._clock, began = Lock(), clock, clock()
        self._progress = Progress(job, began, "", f"{gethostname()} {os.getpid()}", began=began)
        self._counts: Counter[str] = Counter()
        self._wrong: deque[str] = deque(maxlen=LAST)
        self._paces: tuple[Pace, Pace, Pace] | None = None
        self.remaining = ""
        """What is left in the code bases, in words."""

    def begin(self, stage: str, done: int, total: int | None) -> None:
        self._set(stage=stage, done=done, total=total, flight=0, asking=0, testing=0)

    def advance(self, done: int) -> None:
        self._set(done=done)

    def counted(self, repos: int, counts: Mapping[str, int]) -> None:
        """Note how many shards there are, by status, before more of them are done."""
        with self._lock:
            self._counts = Counter(counts)
            now = self._clock()
            self._paces = self._paces or (Pace(now), Pace(now), Pace(now))
            self._progress = replace(self._progress, repos=repos)

    def landed(self, done: Sequence[tuple[Task, Outcome]]) -> None:
        """Note shards that have come to an end, each with what was to be done."""
        read = written = 0
        for task, outcome in done:
            new = replace(outcome, verdicts=outcome.verdicts[len(task.past) :]) if task.past else outcome
            tokens = new.tokens
            read, written = read + tokens[0], written + tokens[1]
        with self._lock:
            self._counts.update(outcome.status for _, outcome in done)
            self._counts["waiting"] -= len(done)
            self._wrong += [wrong(outcome) for _, outcome in done]
            now = self._clock()
            for pace, amount in zip(self._paces or (), (len(done), read, written), strict=False):
                pace.add(amount, now)

    def looked(self, moment: Moment) -> None:
        """Note what the lanes are at."""
        away = tuple(one_line(one.why) for one in {one.url: one for one in moment.outages}.values())
        self._set(flight=moment.flight, asking=moment.asking, testing=moment.testing, away=away)

    def pause(self, why: str) -> None:
        self._set(paused=why)

    def now(self) -> Progress:
        with self._lock:
            now, waiting = self._clock(), self._counts["waiting"]
            shards, read, written = (pace.rate(now) for pace in self._paces) if self._paces else (0.0, 0.0, 0.0)
            running = self._paces if self._progress.stage == "run" and not self._progress.paused else None
            return replace(
                self._progress,
                at=now,
                counts={status: count for status, count in self._counts.items() if count},
                rate=round(shards, 3),
                left=left(waiting, running[0].total, shards) if running else None,
                read=round(read, 1),
                written=round(written, 1),
                failures=dict(Counter(filter(None, self._wrong)).most_common(KINDS)),
            )

    def _set(self, **changed: object) -> None:
        with self._lock:
            self._progress = replace(self._progress, **changed)  # type: ignore[arg-type]


def wrong(outcome: Outcome) -> str:
    """Name the kind of what is wrong with a shard, "" when nothing is."""
    if outcome.status in {"accepted", "unchanged"}:
        return ""
    why = outcome.verdicts[-1].findings[0].judge if outcome.status == "rejected" else reason(outcome)
    return f"{outcome.status}: {one_line(why, WHY)}"
