"""Where tasks run: in this process here, in two lanes on Ray (`pipelines.cluster`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from types import MappingProxyType
from typing import Any, Protocol

from operators.data import Outage, Outcome, told
from operators.gauge import Gauge
from operators.model import Endpoint
from operators.responses import UNANSWERED
from operators.veil import tellable
from pipelines.data import Task
from pipelines.metrics import Meter
from pipelines.work import Kit, prepare, runs_commands, without_sandbox, work

Done = list[tuple[Task, Outcome]]
Prepared = tuple[str, dict[str, Any] | Exception]
LOOK = 1.0  # seconds between two looks at what lanes are at


@dataclass(frozen=True, slots=True)
class Moment:
    """What lanes are at, at one moment."""

    outages: tuple[Outage, ...] = ()
    """Model endpoints that do not answer."""
    flight: int = 0
    """Shards in hand."""
    asking: int = 0
    """Those of them that wait for a model."""
    testing: int = 0
    """Runs of commands on cores."""


Tell = Callable[[Moment], None]
Halted = Callable[[], bool]


class Lanes(Protocol):
    """Carries out tasks."""

    @property
    def aside(self) -> Mapping[str, str]:
        """Repositories of which the last run, or preparation, tried no more, with the reason: they kill workers."""

    def prepare(self, kit: Kit, repos: Iterable[str]) -> Iterator[Prepared]:
        """Prepare repositories, yielding each one's facts, or why there are none, as it is done."""

    def run(
        self,
        kit: Kit,
        tasks: Iterable[Task],
        tell: Tell = lambda found: None,
        halted: Halted = lambda: False,
    ) -> Iterator[Done]:
        """Carry out tasks, yielding outcomes as they come. `tasks` is drawn from as there is room. `tell` is told again
        and again, from any thread, what they are at. Once it is `halted`, tasks that were drawn and not begun are
        dropped."""

    @property
    def meter(self) -> Meter | None:
        """Where metrics go; None when nobody could see them."""

    def without_sandbox(self) -> str:
        """Say why nothing can be run in a sandbox where tasks are carried out, "" if it can."""

    def close(self) -> None: ...


class InProcess:
    """One task after another, right here: for `umbau try` and for tests."""

    aside: Mapping[str, str] = MappingProxyType({})
    """None: what kills a worker would have killed us."""
    meter: Meter | None = None

    def prepare(self, kit: Kit, repos: Iterable[str]) -> Iterator[Prepared]:
        for repo in repos:
            yield prepared(kit, repo)

    def run(
        self,
        kit: Kit,
        tasks: Iterable[Task],
        tell: Tell = lambda found: None,
        halted: Halted = lambda: False,
    ) -> Iterator[Done]:
        models, commands, busy = endpoints(kit), runs_commands(kit), Gauge()

        def look() -> Moment:
            asking, count = UNANSWERED.count, busy.count
            return Moment(tuple(outages(models)), count, asking, int(commands and count > asking))

        with _looking(look, tell):
            for task in tasks:
                with busy.one():
                    outcome = work(kit, task)
                yield [(task, outcome)]

    def without_sandbox(self) -> str:
        return without_sandbox()

    def close(self) -> None: ...


def endpoints(kit: Kit) -> list[Endpoint]:
    """Return the models that are asked over a network."""
    return [model for model in kit.models if isinstance(model, Endpoint)]


def outages(models: Sequence[Endpoint]) -> list[Outage]:
    """Return what this process knows of those of them that do not answer."""
    return [outage for model in models if (outage := model.outage())]


@contextmanager
def _looking(look: Callable[[], Moment], tell: Tell) -> Iterator[None]:
    """Look from a thread: what waits for a model cannot say so."""
    ended = Event()

    def again() -> None:
        while not ended.wait(LOOK):
            tell(look())
        tell(look())

    thread = Thread(target=again, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def prepared(kit: Kit, repo: str) -> Prepared:
    """Prepare one repository and never raise."""
    try:
        return repo, prepare(kit, repo)
    except Exception as why:
        return repo, RuntimeError(tellable(told(why), kit.recipe.rules.masked))
