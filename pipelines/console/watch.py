"""Shows what a driver, or another command, is at."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

from pipelines.console.shows import Json, Lines, Show
from pipelines.console.stage import Stage
from pipelines.course import Course
from pipelines.masking import masked, masked_all
from pipelines.notice import Level
from pipelines.progress import kept
from pipelines.store import Store


@dataclass(slots=True)
class Watch:
    """`quiet`: not how far things are. `log`: one JSON object for each thing that happens instead."""

    quiet: bool = False
    out: TextIO = field(default_factory=lambda: sys.stderr)
    log: bool = False
    job: str = ""
    course: Course | None = None
    """Of the driver that is at work."""
    show: Show | None = None
    """What it is shown on meanwhile."""

    @contextmanager
    def stage(self, name: str, total: int | None, done: int = 0) -> Iterator[Stage]:
        stage = Stage(name, total, done, self.show or self._show(), self.course)
        if self.course:
            self.course.begin(name, done, total)
        stage.show.begun(stage)
        try:
            yield stage
        except BaseException as why:
            stage.show.ended(stage, why)
            raise
        stage.show.ended(stage, None)

    @contextmanager
    def driving(self, store: Store, job: str) -> Iterator[None]:
        """Tell what the driver of a job is at, here and, by the store, to others."""
        self.course = Course(job)
        try:
            with self._shown(self.course), kept(store, self.course.now):
                yield
        finally:
            self.course = self.show = None

    def tell(self, event: str, line: str = "", level: Level = "info", **facts: Any) -> None:
        """Tell of something that happened: to people in a line, if there is one; to programs by its name and facts.
        Secrets are masked."""
        (self.show or self._show()).tell(event, masked(line), level, **masked_all(facts))

    @contextmanager
    def _shown(self, course: Course) -> Iterator[None]:
        if self.log or self.quiet or not self.out.isatty():
            self.show = self._show()
            yield
            return
        from pipelines.console.live import Looking

        self.show = looking = Looking(course)
        try:
            yield
        finally:
            looking.close()

    def _show(self) -> Show:
        if self.log:
            return Json(self.out, self.job)
        if self.quiet or not self.out.isatty():
            return Lines(self.out, self.quiet)
        from pipelines.console.live import Bars

        return Bars()
