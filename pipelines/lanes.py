"""Where tasks run: in this process here, in two lanes on Ray (`pipelines.cluster`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Protocol

from operators.data import Outage, Outcome, told
from operators.model import Endpoint
from pipelines.data import Task
from pipelines.work import Kit, prepare, without_sandbox, work

Done = list[tuple[Task, Outcome]]
Prepared = tuple[str, dict[str, Any] | Exception]
Tell = Callable[[Sequence[Outage]], None]
LOOK = 1.0  # seconds between two looks at which endpoints are away


class Lanes(Protocol):
    """Carries out tasks."""

    def prepare(self, kit: Kit, repos: Iterable[str]) -> Iterator[Prepared]:
        """Prepare repositories, yielding each one's facts, or why there are none, as it is done."""

    def run(self, kit: Kit, tasks: Iterable[Task], tell: Tell = lambda found: None) -> Iterator[Done]:
        """Carry out tasks, yielding outcomes as they come. `tasks` is drawn from as there is room. `tell` is told again
        and again, from any thread, which model endpoints do not answer."""

    def without_sandbox(self) -> str:
        """Say why nothing can be run in a sandbox where tasks are carried out, "" if it can."""

    def close(self) -> None: ...


class InProcess:
    """One task after another, right here: for `umbau try` and for tests."""

    def prepare(self, kit: Kit, repos: Iterable[str]) -> Iterator[Prepared]:
        for repo in repos:
            yield prepared(kit, repo)

    def run(self, kit: Kit, tasks: Iterable[Task], tell: Tell = lambda found: None) -> Iterator[Done]:
        with _looking(endpoints(kit), tell):
            for task in tasks:
                yield [(task, work(kit, task))]

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
def _looking(models: Sequence[Endpoint], tell: Tell) -> Iterator[None]:
    """Look, from a thread, which models are away: what waits for them cannot say so."""
    ended = Event()

    def look() -> None:
        while not ended.wait(LOOK):
            tell(outages(models))
        tell(outages(models))

    thread = Thread(target=look, daemon=True)
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
        return repo, RuntimeError(told(why))
