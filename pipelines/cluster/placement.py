"""Which nodes work lands on, and what is reserved for it there: Ray places it, by what is asked of it here."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from operators.sandbox import MEMORY
from pipelines.cluster.start import unreachable
from pipelines.work import Kit, runs_commands

CORE = 0.99  # of a CPU for what works on one: the rest is for the slivers of actors beside it
SLIVER = 0.001  # of a CPU for what only waits: a head without CPUs gets nothing to do
LANE = {"umbau.dev/lane": "working"}  # label of the nodes that are for judging, where a cluster tells them apart
PARSING = 1 << 30  # bytes for work that runs no command: ordinary source of 1 MB takes LibCST 300 MB
LOOK = 5.0  # seconds between two looks at the nodes
LONG = 60.0  # seconds without room for anything after which that is said
NODE = "ray.io/node-id"  # label that Ray itself sets


@dataclass(frozen=True, slots=True)
class Node:
    id: str
    cpus: float
    memory: float
    """Bytes that tasks may reserve there."""


class Placement:
    """Knows the nodes of a cluster. Nothing is reserved but cores where Ray was started for this run alone."""

    def __init__(self, ray: Any, shared: bool, say: Callable[[str], None]) -> None:
        self._ray, self._shared, self._say = ray, shared, say
        self._looked, self._nodes, self._labelled = float("-inf"), list[Node](), False
        self._moved, self._told = time.monotonic(), False
        self._gcs: str = ray.get_runtime_context().gcs_address
        self.driver: str = ray.get_runtime_context().get_node_id()

    def nodes(self) -> list[Node]:
        """Return the nodes that may do our work: those that are labelled for it, or else all that have a core."""
        if time.monotonic() > self._looked + LOOK and not self.unreachable():
            found = [node for node in self._ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= CORE]
            labelled = [node for node in found if LANE.items() <= node["Labels"].items()]
            self._labelled = self._labelled or bool(labelled)  # also when the last of them has just died
            self._nodes = [_node(one) for one in (labelled if self._labelled else found)]
            self._looked = time.monotonic()
        return self._nodes

    def unreachable(self) -> str:
        """Say why the head does not answer, "" if it does. Ray itself waits for a minute and then ends this process
        without a word."""
        return unreachable(self._gcs)

    def cores(self) -> int:
        return max(1, int(sum(node.cpus for node in self.nodes())))

    def cores_each(self) -> int:
        """Return how many cores the smallest node has."""
        return max(1, int(min((node.cpus for node in self.nodes()), default=1)))

    def memory(self, kit: Kit) -> int:
        """Return the bytes to reserve for one task: what its commands may take, but no more than leaves each core of
        the smallest node its own task. 0: nothing is reserved."""
        if not self._shared:
            return 0
        wanted = MEMORY if runs_commands(kit) else PARSING
        return int(min([wanted, *(node.memory / node.cpus for node in self.nodes())]))

    def task(self, memory: int, home: str = "", avoid: Collection[str] = ()) -> dict[str, Any]:
        """Return the options of a task, for one core: on the node `home` if it has one free, else on any, but on none
        of `avoid` as long as there is another."""
        options: dict[str, Any] = {"num_cpus": CORE, "max_retries": 0, **self._labels(avoid)}
        if memory:
            options["memory"] = memory
        if home in {node.id for node in self.nodes()} - {*avoid}:
            options |= near(home)
        return options

    def actor(self, avoid: Collection[str] = ()) -> dict[str, Any]:
        """Return the options of an actor that only waits: on none of `avoid` as long as there is another node."""
        return {"num_cpus": SLIVER, "scheduling_strategy": "SPREAD", **self._labels(avoid)}

    def _labels(self, avoid: Collection[str] = ()) -> dict[str, Any]:
        left = {node.id for node in self.nodes()} - {*avoid}
        labels = dict(LANE) if self._labelled else {}
        if avoid and left:
            labels[NODE] = f"!in({','.join(sorted(avoid))})"
        return {"label_selector": labels} if labels else {}

    def moved(self) -> None:
        """Note that something was done."""
        self._moved = time.monotonic()

    def check(self) -> None:
        """Say once when there has been no node for our work for long. It goes on waiting: one may be on its way."""
        if self._told or time.monotonic() < self._moved + LONG or self.nodes():
            return
        where = "a node with a free core" if not self._labelled else f"a node labelled {LANE}"
        self._say(f"the cluster has had no node for this work for {LONG:.0f} s: waiting for {where}")
        self._told = True


def apart(ray: Any, options: dict[str, Any], full: Collection[str]) -> dict[str, Any]:
    """Return what is to be added to the options of a task, so that it runs on none of the nodes `full` as long as there
    is another. Asked where no Placement is at hand."""
    labels = options.get("label_selector", {})
    able = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= CORE]
    left = {node["NodeID"] for node in able if labels.items() <= node["Labels"].items()} - {*full}
    return {"label_selector": {**labels, NODE: f"!in({','.join(sorted(full))})"}} if full and left else {}


def beside(place: Placement) -> dict[str, Any]:
    """Return the options of an actor that is to be on the driver's node, as long as that is there."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(place.driver, soft=True)}


def near(node: str) -> dict[str, Any]:
    """Return the options of a task that is for one node if that has a core free."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Without the last, which Ray calls private, it would wait there however many others are idle; the public
    # `fallback_strategy` of labels does so as well, where many tasks come at once (seen with Ray 2.60).
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, True, _spill_on_unavailable=True)}


def _node(found: dict[str, Any]) -> Node:
    own = found["Resources"]
    return Node(found["NodeID"], own["CPU"], own.get("memory", float("inf")))
