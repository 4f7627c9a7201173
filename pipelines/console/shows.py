"""How it is told what goes on: in plain lines, or as JSON."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from pipelines.neutral import plain
from pipelines.notice import Level, logged

if TYPE_CHECKING:
    from pipelines.console.stage import Stage

EVERY = 5.0  # seconds between two plain lines of one stage


class Show(Protocol):
    """Tells of stages, and of what happens in them."""

    @property
    def logs(self) -> bool:
        """Whether it tells of each shard."""

    def begun(self, stage: Stage) -> None: ...

    def advanced(self, stage: Stage) -> None: ...

    def ended(self, stage: Stage, why: BaseException | None) -> None:
        """`why`: what ended it early."""

    def tell(self, event: str, line: str = "", level: Level = "info", **facts: Any) -> None:
        """Tell of something that happened: to people in a line, if there is one; to programs by its name and facts."""


class Lines:
    """Plain lines, now and then. `quiet`: not how far things are."""

    logs = False

    def __init__(self, out: TextIO, quiet: bool) -> None:
        self._out, self._quiet = out, quiet

    def begun(self, stage: Stage) -> None: ...

    def advanced(self, stage: Stage) -> None:
        if not self._quiet and time.monotonic() - stage.told > EVERY:
            self._say(stage)

    def ended(self, stage: Stage, why: BaseException | None) -> None:
        if not self._quiet and why is None and time.monotonic() - stage.start > 1:
            self._say(stage)

    def tell(self, event: str, line: str = "", level: Level = "info", **facts: Any) -> None:
        if line:
            print(plain(line), file=self._out, flush=True)

    def _say(self, stage: Stage) -> None:
        """Print how far a stage is, unless the last line said the same."""
        stage.told = time.monotonic()
        if stage.told_at != stage.done:
            stage.told_at = stage.done
            of = f"/{stage.total}" if stage.total is not None else ""
            told = f"{stage.name:8} {stage.done}{of} {stage.summary()}".rstrip()
            print(plain(told) + stage.outlook(), file=self._out, flush=True)


class Json:
    """One JSON object a line. Each has `time`, `level`, `event` and `job`; the others depend on the event."""

    logs = True

    def __init__(self, out: TextIO, job: str) -> None:
        self._out, self._job = out, job

    def begun(self, stage: Stage) -> None:
        self.tell("stage", stage=stage.name, done=stage.done, total=stage.total)

    def advanced(self, stage: Stage) -> None:
        if stage.name in {"plan", "prepare"}:
            self.tell("repository", stage=stage.name, repo=stage.last)
        if stage.course and time.monotonic() - stage.told > EVERY:
            stage.told, now = time.monotonic(), stage.course.now()
            facts = ("counts", "flight", "asking", "testing", "rate", "left", "read", "written")
            self.tell("progress", stage=stage.name, **{name: getattr(now, name) for name in facts})

    def ended(self, stage: Stage, why: BaseException | None) -> None:
        seconds = round(time.monotonic() - stage.start, 3)
        level: Level = "info" if why is None else "warning"
        facts: dict[str, Any] = {"done": stage.done, "total": stage.total, "seconds": seconds, "whole": why is None}
        self.tell("stage_ended", level=level, stage=stage.name, counts=dict(stage.kinds), **facts)

    def tell(self, event: str, line: str = "", level: Level = "info", **facts: Any) -> None:
        self._out.write(f"{logged(event, self._job, line, level, facts)}\n")  # in one piece: threads tell things, too
        self._out.flush()
