"""What stands on a terminal and changes as things go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.neutral import plain
from pipelines.notice import Level
from pipelines.view import Line, view

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.progress import Progress, TaskID

    from pipelines.console.stage import Stage
    from pipelines.course import Course


class Bars:
    """A bar for a stage that no driver has: it stays when the stage has ended."""

    logs = False

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def begun(self, stage: Stage) -> None:
        self._bar = _bar()
        self._task = self._bar.add_task(f"{stage.name:8}", total=stage.total, completed=stage.done, told="")
        self._bar.start()

    def advanced(self, stage: Stage) -> None:
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=stage.done, told=stage.summary())

    def ended(self, stage: Stage, why: BaseException | None) -> None:
        if self._bar:
            self._bar.stop()

    def tell(self, event: str, line: str = "", level: Level = "info", **facts: Any) -> None:
        if line and self._bar:
            _print(self._bar.console, line)


def printed(lines: Iterable[Line]) -> None:
    """Print lines on stdout, with their looks where that is a terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in lines:
        console.print(Text.assemble(*line), soft_wrap=True)


class Screen:
    """Lines that are drawn anew, in place, some times a second; what else is written goes above them. The terminal is
    left as it was."""

    def __init__(self, lines: Callable[[int, bool], Sequence[Line]], *, stderr: bool) -> None:
        """`lines`: what to show in so many columns, and whether in ASCII alone."""
        from rich.console import Console
        from rich.live import Live

        self.console = Console(stderr=stderr, highlight=False)
        self._lines = lines
        self._live = Live(
            self, console=self.console, transient=True, redirect_stdout=not stderr, redirect_stderr=stderr
        )
        self._live.start()

    def close(self) -> None:
        self._live.stop()

    def say(self, line: str) -> None:
        _print(self.console, line)

    def show(self, line: Line) -> None:
        """Leave a line behind."""
        from rich.text import Text

        self.console.print(Text.assemble(*line), soft_wrap=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        shown = self._lines(options.max_width - 1, options.ascii_only)[: max(1, options.size.height - 1)]
        for line in shown:
            yield Text.assemble(*line, no_wrap=True, overflow="crop")


class Looking:
    """Shows where a driver stands, from its first stage on."""

    logs = False

    def __init__(self, course: Course) -> None:
        self._course, self._screen = course, Screen(self._lines, stderr=True)

    def close(self) -> None:
        self._screen.close()

    def begun(self, stage: Stage) -> None: ...

    def advanced(self, stage: Stage) -> None: ...

    def ended(self, stage: Stage, why: BaseException | None) -> None:
        if why:
            self.close()  # what is said about it stands by itself

    def tell(self, event: str, line: str = "", level: Level = "info", **facts: Any) -> None:
        if line:
            self._screen.say(line)

    def _lines(self, width: int, ascii_only: bool) -> Sequence[Line]:
        return view(self._course.now(), 0.0, self._course.remaining, width, ascii_only=ascii_only)


def _print(console: Console, line: str) -> None:
    console.print(plain(line), markup=False, highlight=False, soft_wrap=True)


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
