"""Kills at random, as Ray's own tests do: workers, the waiting lane, nodes, the driver. What is killed, and when,
follows from a seed, as far as the machine lets it."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from dataclasses import dataclass, field

from tests.chaos.nodes import Cluster
from tests.chaos.processes import shoot
from tests.chaos.town import Town

RUNS = 12  # of the job, at most
WEIGHTS = {"worker": 6, "lane": 2, "node": 1, "driver": 2}


@dataclass
class Killer:
    cluster: Cluster
    town: Town
    seed: int
    most: dict[str, int] = field(default_factory=lambda: {"worker": 10, "lane": 2, "node": 2, "driver": 4})
    killed: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)

    def play(self) -> None:
        """Run the job until it ends by itself, killing meanwhile: each time some more is done, and now and then before.
        (By the clock alone, a busy machine would see nothing but deaths.)"""
        chance, start = random.Random(self.seed), time.monotonic()
        mark, early = self._done() + chance.randint(0, 5), chance.uniform(0.5, 8)
        for _ in range(RUNS):
            child = self.town.start(self.cluster)
            self.log.append(f"{time.monotonic() - start:6.1f} the driver is started")
            while child.poll() is None:
                time.sleep(0.05)
                assert time.monotonic() < start + 420, f"it does not end: {self.town.last()}"
                kinds = [kind for kind in WEIGHTS if self.killed[kind] < self.most[kind]]
                if not kinds or (self._done() < mark and time.monotonic() < start + early):
                    continue
                time.sleep(chance.uniform(0, 0.5))
                (kind,) = chance.choices(kinds, [WEIGHTS[kind] for kind in kinds])
                if kind == "driver":
                    child.kill()
                    child.wait()
                elif not self._kill(kind, chance):
                    continue
                self.killed[kind] += 1
                self.log.append(f"{time.monotonic() - start:6.1f} {kind} killed after {self._done()}")
                mark, early = self._done() + chance.randint(3, 20), math.inf
            self.log.append(f"{time.monotonic() - start:6.1f} the driver ended with {child.returncode}")
            if child.returncode == 1:  # all is done, and some shards are rejected, as they are to be
                break
            assert child.returncode in {-9, 2}, self.town.last()
        self.cluster.bury()

    def _done(self) -> int:
        """Return how far the job is: shards, and merge requests, which count for more as they come at the end."""
        return self.town.done() + 8 * self.town.opened()

    def _kill(self, kind: str, chance: random.Random) -> bool:
        """Kill one of a kind; say whether there was any."""
        nodes = list(self.cluster.nodes.values())
        if kind == "node":
            node = chance.choice(nodes)
            node.kill()
            self.cluster.replace(node)
            return True
        pids = [pid for node in nodes for pid in (node.lanes() if kind == "lane" else node.workers())]
        shoot(pids and [chance.choice(pids)])
        return bool(pids)

    def __str__(self) -> str:
        return "\n".join([f"UMBAU_SEED={self.seed}", *self.log])
