"""Who is to blame when workers die: a shard, its repository, or the cluster."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from operators.data import told
from pipelines.cluster.node import NoSpace
from pipelines.cluster.start import first

TRIES = 3  # workers that a shard, or the preparation of a repository, may take down before it counts as failed
KILLERS = 3  # shards whose workers died, and more of them than were done, by which a repository is set aside
LOST = 10  # times that the cluster may lose a task, with a node or an object, before that counts as failed

Blame = Literal["raised", "worker", "cluster", "space"]


def blame(ray: Any, error: Exception) -> Blame:
    """Say what a task ended by: what it raised itself, the death of its worker, the cluster's fault, a full disk."""
    kinds = ray.exceptions
    if isinstance(error, kinds.RayTaskError):
        cause = error.cause
        if isinstance(cause, NoSpace):
            return "space"
        return "cluster" if isinstance(cause, kinds.RayError) else "raised"  # an object that it needed was lost
    return "worker" if isinstance(error, kinds.WorkerCrashedError | kinds.OutOfMemoryError) else "cluster"


def reason(error: Exception) -> str:
    """Return what a task failed of, in words."""
    cause = getattr(error, "cause", None)  # it did not die, but raised something
    return told(cause) if isinstance(cause, Exception) else f"{type(error).__name__}: {first(error)}"


@dataclass(frozen=True, slots=True)
class Tried:
    """How often something was tried, and what became of it."""

    deaths: int = 0
    """Workers that died of it."""
    lost: int = 0
    """Times that the cluster lost it."""
    full: tuple[str, ...] = ()
    """Nodes whose disks were too full for it."""

    def again(self, kind: Blame, error: Exception) -> Tried | str:
        """Return how it stands after `error`, or why it is not to be tried any more."""
        if kind == "raised":
            return reason(error)
        if kind == "space":
            node, said = error.cause.args  # type: ignore[attr-defined]
            full = (*self.full, node)
            return replace(self, full=full) if len(full) < TRIES else f"no space on {TRIES} nodes, the last {said}"
        if kind == "worker":
            again = replace(self, deaths=self.deaths + 1)
            return again if again.deaths < TRIES else f"the worker died {TRIES} times ({reason(error)})"
        again = replace(self, lost=self.lost + 1)
        return again if again.lost < LOST else f"the cluster lost it {LOST} times ({reason(error)})"


UNTRIED = Tried()


@dataclass(slots=True)
class Deaths:
    """What became of the shards of each repository, as far as it tells whether all of them kill workers."""

    aside: dict[str, str] = field(default_factory=dict)
    """Repositories nothing more of which is tried, with the reason."""
    done: Counter[str] = field(default_factory=Counter)
    """Shards of each that came to an end without harm."""
    _killers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def died(self, repo: str, key: str, error: str) -> None:
        """Note that a shard, alone, took its worker down: by `error`, in words."""
        killers = self._killers[repo]
        killers.add(key)
        if len(killers) >= KILLERS and len(killers) > self.done[repo]:
            self.put_aside(repo, f"{len(killers)} of its shards, each alone, killed their workers ({error})")

    def put_aside(self, repo: str, why: str) -> None:
        self.aside[repo] = f"{repo} is set aside: {why}. `umbau retry` lifts that, and so does a new commit"
