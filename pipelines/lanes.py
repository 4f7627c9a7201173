"""Where tasks run: in this process here, in two lanes on Ray (`pipelines.cluster`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from operators.data import Outcome, told
from pipelines.data import Task
from pipelines.work import Kit, prepare, without_sandbox, work

Done = list[tuple[Task, Outcome]]
Prepared = tuple[str, dict[str, Any] | Exception]


class Lanes(Protocol):
    """Carries out tasks."""

    def prepare(self, kit: Kit, repos: Iterable[str]) -> Iterator[Prepared]:
        """Prepare repositories, yielding each one's facts, or why there are none, as it is done."""

    def run(self, kit: Kit, tasks: Iterable[Task]) -> Iterator[Done]:
        """Carry out tasks, yielding outcomes as they come. `tasks` is drawn from as there is room."""

    def without_sandbox(self) -> str:
        """Say why nothing can be run in a sandbox where tasks are carried out, "" if it can."""

    def close(self) -> None: ...


class InProcess:
    """One task after another, right here: for `umbau try` and for tests."""

    def prepare(self, kit: Kit, repos: Iterable[str]) -> Iterator[Prepared]:
        for repo in repos:
            yield prepared(kit, repo)

    def run(self, kit: Kit, tasks: Iterable[Task]) -> Iterator[Done]:
        for task in tasks:
            yield [(task, work(kit, task))]

    def without_sandbox(self) -> str:
        return without_sandbox()

    def close(self) -> None: ...


def prepared(kit: Kit, repo: str) -> Prepared:
    """Prepare one repository and never raise."""
    try:
        return repo, prepare(kit, repo)
    except Exception as why:
        return repo, RuntimeError(told(why))
