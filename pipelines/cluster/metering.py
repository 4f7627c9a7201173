"""One purse for all nodes: an actor beside the driver, asked before each call of a model and told after it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from secrets import token_hex
from threading import Event, Thread
from typing import Any

from operators.data import Away, Completion
from pipelines.budget.purse import Key, Purse
from pipelines.cluster.placement import Placement, beside
from pipelines.cluster.start import first
from pipelines.limits import Budget
from pipelines.store.log import Spent
from pipelines.work import Kit

EVERY = 0.5  # seconds between two times that the driver takes over what was counted
PAUSE = 0.2  # seconds between two questions to one that knows nothing yet
PATIENCE = 60.0  # seconds that a lane waits for an answer: an actor that has died is begun anew within a few


@contextmanager
def metered(ray: Any, place: Placement, kit: Kit) -> Iterator[Kit]:
    """Give the kit with a meter that can be asked from every node, if it has one; what that counts is the driver's
    purse's again when this is left."""
    if not isinstance(kit.meter, Purse):
        yield kit
        return
    counting = _Counting(ray, place, kit.meter)
    thread = Thread(target=counting.follow, daemon=True)
    thread.start()
    try:
        yield replace(kit, meter=Asking(counting.actor))
    finally:
        counting.ended.set()
        thread.join()
        with suppress(ray.exceptions.RayError):  # the cluster is gone: told where it is known
            counting.collect()
            ray.kill(counting.actor)


@dataclass(frozen=True, slots=True)
class Asking:
    """The meter as it travels to the nodes. Where it does not answer nothing is spent: Away is raised."""

    actor: Any

    def ask(self, repo: str, key: str) -> str:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            why: str | None = self._answer(self.actor.ask.remote(repo, key))
            if why is not None:
                return why
            time.sleep(PAUSE)  # it was begun anew, and the driver is about to tell it where it stands
        raise Away("what counts the job's spending has not heard of the driver")

    def tell(self, repo: str, key: str, reply: Completion) -> None:
        self._answer(self.actor.tell.remote(repo, key, reply))  # waited for: what comes after must know of it

    def _answer(self, ref: Any) -> Any:
        import ray

        try:
            return ray.get(ref, timeout=PATIENCE)
        except ray.exceptions.RayError as error:
            raise Away(f"what counts the job's spending does not answer ({first(error)})") from None


class _Purse:
    """The actor. One that has died and was begun anew knows nothing until the driver has told it, within a second."""

    def __init__(self, budget: Budget) -> None:
        self._purse, self._life, self._knows = Purse(budget, {}), token_hex(8), False

    def ask(self, repo: str, key: str) -> str | None:
        return self._purse.ask(repo, key) if self._knows else None

    def tell(self, repo: str, key: str, reply: Completion) -> None:
        self._purse.tell(repo, key, reply)

    def shut(self, why: str) -> None:
        self._purse.shut = why

    def drain(self) -> tuple[str, list[tuple[str, str, Spent]]]:
        return self._life, self._purse.drain()

    def take(self, spent: dict[Key, Spent], seconds: float) -> None:
        self._purse.take(spent, seconds)
        self._knows = True


class _Counting:
    """The driver's side of it."""

    def __init__(self, ray: Any, place: Placement, purse: Purse) -> None:
        self._ray, self._purse, self._life = ray, purse, ""
        self.ended = Event()
        # Calls are made again where it dies under them: what it had counted is lost with it, so that none counts twice.
        options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, **beside(place)}
        self.actor = ray.remote(_Purse).options(**options).remote(purse.budget)
        self.collect()

    def follow(self) -> None:
        while not self.ended.wait(EVERY):
            with suppress(self._ray.exceptions.RayError):  # tried again
                self.collect()

    def collect(self) -> None:
        """Take over what was counted; tell one that was begun anew where it stands."""
        life, rows = self._ray.get(self.actor.drain.remote(), timeout=PATIENCE)
        self._purse.add(rows)
        if life != self._life:
            self._ray.get(self.actor.take.remote(*self._purse.state()), timeout=PATIENCE)
            self._life = life
        if self._purse.shut:
            self._ray.get(self.actor.shut.remote(self._purse.shut), timeout=PATIENCE)
