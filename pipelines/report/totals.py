"""Sums over all shards of a job."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappush, heappushpop

from operators.data import Passage
from pipelines.report.rows import Row
from pipelines.report.shapes import Shapes

DEAREST = 10
EXAMPLES = 12  # shards of a kind of failure that are named
PASSAGES = 200  # that are named
KINDS = 500  # of failures that are told apart


@dataclass(slots=True)
class Group:
    """Shards that have something in common."""

    counts: Counter[str] = field(default_factory=Counter)
    """By status."""
    read: int = 0
    written: int = 0
    cost: float = 0.0
    added: int = 0
    deleted: int = 0

    def add(self, row: Row) -> None:
        self.counts[row.status] += 1
        self.read, self.written, self.cost = self.read + row.read, self.written + row.written, self.cost + row.cost
        if row.status == "accepted":
            self.added, self.deleted = self.added + row.added, self.deleted + row.deleted

    @property
    def total(self) -> int:
        return self.counts.total()

    @property
    def rate(self) -> float | None:
        """The share of accepted ones of those in which something was to be changed and could be tried."""
        tried = self.counts["accepted"] + self.counts["rejected"]
        return self.counts["accepted"] / tried if tried else None


@dataclass(slots=True)
class Failure:
    """What was wrong with shards, of one kind."""

    status: str
    judge: str
    why: str
    """In the first line of the first one."""
    count: int = 0
    repos: set[str] = field(default_factory=set)
    shards: list[tuple[str, str]] = field(default_factory=list)
    """Repository and name of the first ones."""


class Spread:
    """How an amount is spread over shards."""

    def __init__(self) -> None:
        self._found = array("d")

    def add(self, amount: float) -> None:
        self._found.append(amount)

    def told(self) -> dict[str, float]:
        """Return sum, median, 90th and 99th percentile (nearest rank) and the most."""
        found = sorted(self._found)
        ranks = {"median": 0.5, "of 90 %": 0.9, "of 99 %": 0.99, "most": 1.0}
        return {"sum": sum(found)} | {
            name: found[max(0, -(-len(found) * int(rank * 100) // 100) - 1)] if found else 0.0
            for name, rank in ranks.items()
        }


class Totals:
    def __init__(self) -> None:
        self.all = Group()
        self.repos: dict[str, Group] = defaultdict(Group)
        self.owners: dict[str, Group] = defaultdict(Group)
        self.kinds: dict[tuple[str, str], Group] = defaultdict(Group)
        """By how shards are cut, and whether a model was asked."""
        self.attempts: dict[int, Counter[str]] = defaultdict(Counter)
        """Number of attempts to shards by status."""
        self.failures: dict[tuple[str, str], Failure] = {}
        self.overcome: Counter[str] = Counter()
        """Judges to how many accepted edits had a finding of theirs before."""
        self.judging: Counter[str] = Counter()
        """Seconds by kind of check."""
        self.spreads = {name: Spread() for name in ("seconds", "tokens", "gpu_seconds", "judging", "testing", "cost")}
        self.dearest: list[tuple[float, int, float, str, str]] = []
        """Money, tokens and seconds of the dearest shards, their repositories and names."""
        self.times: dict[str, array[float]] = defaultdict(lambda: array("d"))
        """When shards were done, by status."""
        self.shapes = Shapes()
        self.cached = 0
        self.purged: Counter[str] = Counter()
        """Days to the shards that were purged then."""
        self.asked: Counter[tuple[str, str]] = Counter()
        """Model and server to the number of replies."""
        self.wrote: Counter[str] = Counter()
        """Models to the number of accepted edits that they wrote parts of."""
        self.foreign: list[tuple[str, str, Passage]] = []
        """Repository, shard and place of long passages that stand in nothing the model was shown, the first ones."""
        self.absent: set[str] = set()
        """Repositories that are not here, so that no diff can be told."""

    def add(self, row: Row) -> list[int]:
        """Take in one shard; return the numbers of its shapes."""
        for group in (self.all, self.repos[row.repo], self.owners[row.owner], self.kinds[row.kind, _asked(row)]):
            group.add(row)
        if row.status != "waiting":
            self._done(row)
        self._failed(row)
        self.asked.update(row.asked)
        self.wrote.update(row.wrote)
        self.foreign += [(row.repo, row.shard, one) for one in row.foreign][: PASSAGES - len(self.foreign)]
        if row.files is None:
            self.absent.add(row.repo)
        if row.status != "accepted":
            return []
        self.overcome.update({finding.judge for findings in row.tried for finding in findings})
        return self.shapes.add(row.repo, row.key, [block for one in row.files or () for block in one.blocks])

    def _done(self, row: Row) -> None:
        self.attempts[row.attempts][row.status] += 1
        self.cached += row.cached
        if row.purged:
            self.purged[row.purged] += 1
        self.judging.update(row.judging)
        judging, tokens = sum(row.judging.values()), row.read + row.written
        amounts: Mapping[str, float] = {
            **{"seconds": row.seconds, "tokens": tokens, "gpu_seconds": row.gpu_seconds},
            **{"judging": judging, "testing": row.testing, "cost": row.cost},
        }
        for name, amount in amounts.items():
            self.spreads[name].add(amount)
        if row.at:
            self.times[row.status].append(row.at)
        one = (row.cost, tokens, row.seconds, row.repo, row.shard)
        (heappush if len(self.dearest) < DEAREST else heappushpop)(self.dearest, one)

    def _failed(self, row: Row) -> None:
        if row.dropped:
            status, judge, why = "left out of its request", row.dropped.partition(":")[0], row.dropped
        elif row.status in {"rejected", "failed", "skipped"}:
            status, judge, why = row.status, row.judge, row.why
        else:
            return
        why = why.strip().partition("\n")[0]
        kind = (status, judge if status in {"rejected", "left out of its request"} else why)
        if kind not in self.failures and len(self.failures) >= KINDS:
            kind, why = (status, "others"), "other reasons"
        found = self.failures.setdefault(kind, Failure(status, judge, why))
        found.count += 1
        found.repos.add(row.repo)
        if len(found.shards) < EXAMPLES:
            found.shards.append((row.repo, row.shard))


def _asked(row: Row) -> str:
    if row.status == "waiting":
        return "not done yet"
    return "a model was asked" if row.model else "no model was asked"
