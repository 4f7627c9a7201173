"""What a job may spend, and what it has: asked before each call of a model, told after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Literal

from operators.data import Completion
from pipelines.budget.prices import money
from pipelines.limits import Budget, Limits, Prices
from pipelines.store.log import Spent

Whose = Literal["job", "repository", "shard"]
Key = tuple[str, str]
"""Repository and shard's key; of all shards of a repository the key is "", of the whole job both are."""
JOB: Key = ("", "")
WHAT = ("tokens", "gpu_seconds", "money", "seconds")


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit of which nothing is left."""

    whose: Whose
    what: str
    """tokens, gpu_seconds, money or seconds."""
    spent: float
    limit: float


def amounts(spent: Spent, prices: Prices, seconds: float) -> dict[str, float]:
    """Return what was spent as limits name it."""
    cost = money(spent, prices)
    return {
        "tokens": spent.read + spent.written,
        "gpu_seconds": spent.gpu_seconds,
        "money": cost,
        "seconds": seconds,
    }


class Purse:
    """One for all threads: a call may be made as long as no limit is reached, so that limits are exceeded by what is
    under way at that moment, and no more."""

    def __init__(
        self,
        budget: Budget,
        spent: Mapping[Key, Spent],
        worked: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`spent`: before, by repository and shard's key. `worked`: seconds of wall time, before."""
        self.budget = budget
        self.shut = ""
        """Why no model is asked any more, whatever is left."""
        self._clock, self._lock = clock, Lock()
        self._worked, self._since = worked, -1.0
        self._limits: dict[Whose, Limits] = {
            "job": budget,
            "repository": budget.per_repo,
            "shard": budget.per_shard,
        }
        self._each = budget.per_shard != Limits()  # a million of them are not kept for nothing
        self._spent: dict[Key, Spent] = {}
        self._new: dict[Key, Spent] = {}
        for key, one in spent.items():
            self._count(key, one)

    def ask(self, repo: str, key: str) -> str:
        """Say which limit is reached, or why nobody may ask any more; "" when a model may be asked."""
        if self.shut:
            return self.shut
        reached = self.reached(repo, key)
        return f"the {reached.whose} has reached its limit of {reached.what}" if reached else ""

    def tell(self, repo: str, key: str, reply: Completion) -> None:
        """Count a call."""
        self.add([(repo, key, _cost(reply))])

    def reached(self, repo: str = "", key: str = "") -> Reached | None:
        """Return the widest limit that is reached: of the job, of a repository, of a shard; None when none is."""
        places: dict[Whose, Key] = {"job": JOB}
        places |= {"repository": (repo, "")} if repo else {}
        places |= {"shard": (repo, key)} if key else {}
        with self._lock:
            for whose, place in places.items():
                if found := self._reached(whose, place):
                    return found
        return None

    def add(self, rows: Iterable[tuple[str, str, Spent]]) -> None:
        """Count what was spent, here or as another has counted it."""
        with self._lock:
            for repo, key, one in rows:
                self._count((repo, key), one)
                self._new[repo, key] = self._new.get((repo, key), Spent()) + one

    def drain(self) -> list[tuple[str, str, Spent]]:
        """Return what was counted since the last time."""
        with self._lock:
            found, self._new = self._new, {}
        return [(*key, one) for key, one in found.items()]

    def total(self, repo: str = "") -> Spent:
        """Return what was spent on all of the job, or on one repository of it."""
        with self._lock:
            return self._spent.get((repo, ""), Spent())

    @property
    def seconds(self) -> float:
        """Of wall time, in which shards were worked on."""
        return self._worked + (self._clock() - self._since if self._since >= 0 else 0.0)

    def start(self) -> None:
        """Begin to work on shards."""
        self._since = self._clock()

    def stop(self) -> None:
        self._worked, self._since = self.seconds, -1.0

    def state(self) -> tuple[dict[Key, Spent], float]:
        """Return all that another one needs to go on from here."""
        with self._lock:
            return dict(self._spent), self.seconds

    def take(self, spent: Mapping[Key, Spent], seconds: float) -> None:
        """Go on from another one's state, with what was counted here since the last time."""
        with self._lock:
            self._spent = dict(spent)
            for key, one in self._new.items():
                self._count(key, one)
            self._worked, self._since = seconds, self._clock()

    def _reached(self, whose: Whose, place: Key) -> Reached | None:
        limits, spent = self._limits[whose], self._spent.get(place, Spent())
        seconds = self.seconds if whose == "job" else spent.seconds
        for what, number in amounts(spent, self.budget.prices, seconds).items():
            limit = getattr(limits, what)
            if limit and number >= limit:
                return Reached(whose, what, number, limit)
        return None

    def _count(self, key: Key, one: Spent) -> None:
        for place in {JOB, (key[0], ""), *([key] if self._each else [])}:
            self._spent[place] = self._spent.get(place, Spent()) + one


def _cost(reply: Completion) -> Spent:
    return Spent(1, reply.tokens_in, reply.tokens_out, reply.gpu_seconds, reply.seconds)
