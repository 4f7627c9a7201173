"""What a person sees while something takes its time: bars on a terminal, plain lines elsewhere. All on stderr."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

from operators.data import Outage
from pipelines.neutral import plain

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

EVERY = 5.0  # seconds between two plain lines of one stage
STATUSES = ("accepted", "unchanged", "skipped", "rejected", "failed")


@dataclass(slots=True)
class Stage:
    """One thing that takes its time. `total` is None when nobody can know."""

    name: str
    total: int | None
    done: int
    quiet: bool
    out: TextIO
    bar: Progress | None = None
    task: TaskID | None = None
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
        self.kinds[what] += count
        self.last = what
        if self.bar and self.task is not None:
            self.bar.update(self.task, completed=self.done, told=self.summary())
        elif not self.quiet and time.monotonic() - self.told > EVERY:
            self.tell()

    def tell(self) -> None:
        """Print a line, unless the last one said the same."""
        self.told = time.monotonic()
        if self.told_at != self.done:
            self.told_at = self.done
            of = f"/{self.total}" if self.total is not None else ""
            print(f"{self.name:8} {self.done}{of} {self.summary()}".rstrip(), file=self.out, flush=True)

    def outages(self, found: Sequence[Outage]) -> None:
        """Say which model endpoints do not answer, as far as that is news, and which do again. Told when quiet, too:
        nobody should wonder for minutes why nothing goes on."""
        now = {one.url: one for one in reversed(found)}
        for url in [url for url in self.away if url not in now]:
            self.say(f"model endpoint {url} answers again, after {self.away.pop(url).seconds:.0f} s or more: going on")
        for url, one in now.items():
            known = self.away.get(url)
            self.away[url] = one
            if known is None or (known.left > 0 and not one.left):
                self.say(_waits(one) if one.left else f"{one.why}: the shards that need it are left for another run")

    def say(self, line: str) -> None:
        """Print a line that is not about how far things are."""
        if self.bar:
            self.bar.console.print(plain(line), markup=False, highlight=False, soft_wrap=True)
        else:
            print(plain(line), file=self.out, flush=True)

    def summary(self) -> str:
        counted = [f"{self.kinds[status]} {status}" for status in STATUSES if self.kinds[status]]
        return ", ".join(counted) or self.last


@dataclass(slots=True)
class Watch:
    """Shows stages. `quiet`: not how far they are."""

    quiet: bool = False
    out: TextIO = field(default_factory=lambda: sys.stderr)

    @contextmanager
    def stage(self, name: str, total: int | None, done: int = 0) -> Iterator[Stage]:
        if self.quiet or not self.out.isatty():
            stage = Stage(name, total, done, self.quiet, self.out)
            yield stage
            if not self.quiet and time.monotonic() - stage.start > 1:
                stage.tell()
            return
        with _bar() as bar:
            task = bar.add_task(f"{name:8}", total=total, completed=done, told="")
            yield Stage(name, total, done, self.quiet, self.out, bar, task)


def _waits(one: Outage) -> str:
    """Say since when (this machine's time: another's clock may differ) and until when an endpoint is waited for."""
    now = time.time()
    since, until = (time.strftime("%H:%M:%S", time.localtime(now + change)) for change in (-one.seconds, one.left))
    return f"{one.why} since {since}: the shards that need it wait, until {until} at most"


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[told]}", markup=False),  # names of repositories, which may have brackets
        console=Console(stderr=True),
    )
