"""How often a pilot's forecast holds what the whole job came to, and how wide it is.

Target: in at least 90 % of cases, for each job, size of sample and amount.

Jobs are recorded ones (`forecast.json`: stratum, status, tokens and seconds of each shard, of jobs that come with
Umbau) and simulated ones, of 200 to 100,000 shards in repositories of very different sizes, of which each accepts
another share. What is simulated is in `KINDS`, which the intervals were fitted to, and in `OTHERS`, which they were
not. From each, samples are drawn and looked at as a pilot does it.

`python -m tests.benchmarks.forecast [SEED ...]`: three minutes for each seed; without one, the seed that the intervals
were fitted with. `... forecast record JOB ...` adds what is done of jobs in the store of UMBAU_HOME to the recorded
ones.
"""

from __future__ import annotations

import json
import random
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from pipelines.pilot.interval import Drawn, Interval, share, total
from pipelines.pilot.sample import placed
from pipelines.pilot.strata import Stratum, allocated
from pipelines.session import home
from pipelines.store import opened

RECORDED = Path(__file__).with_suffix(".json")
SAMPLES = (10, 30, 100)
SIZES = {200: (40, 10), 5000: (20, 20), 100_000: (4, 100)}  # shards to jobs that are simulated, and samples of each
SAMPLES_OF_RECORDED = 400
WANTED = 0.9
SEED = 1
WINDOW = 100  # a shard that costs this many times the cheapest fills the model's window


class Shard(NamedTuple):
    good: float
    tokens: float
    seconds: float


Lot = random.Random
Tokens = Callable[[Lot, int, float], float]
"""Draws the tokens of a shard of so many lines, in a repository that differs by so many standard deviations."""


def _attempts(lot: Lot) -> int:
    return 1 + sum(all(lot.random() < 0.3 for _ in range(more)) for more in (1, 2, 3))


KINDS: dict[str, tuple[float, Tokens]] = {
    # The share of shards that are accepted in a typical repository, and what a shard costs.
    "even": (0.5, lambda lot, lines, repo: lot.uniform(500, 1500)),
    "by size, attempts": (
        0.8,
        lambda lot, lines, repo: (500 + 20 * lines) * _attempts(lot) * lot.lognormvariate(0, 0.3),
    ),
    "by size alone": (0.8, lambda lot, lines, repo: 20 * lines * lot.lognormvariate(0, 0.3)),
    "by repository": (0.9, lambda lot, lines, repo: lot.lognormvariate(7 + repo, 0.6)),
    "log-normal": (0.95, lambda lot, lines, repo: lot.lognormvariate(7, 1)),
    "log-normal, wide": (0.99, lambda lot, lines, repo: lot.lognormvariate(7, 1.5)),
    "Pareto 2.2": (0.6, lambda lot, lines, repo: 500 * lot.paretovariate(2.2)),
    "Pareto 1.5 to window": (0.7, lambda lot, lines, repo: 500 * min(lot.paretovariate(1.5), WINDOW)),
    "three in ten ask": (0.97, lambda lot, lines, repo: lot.lognormvariate(7, 0.8) if lot.random() < 0.3 else 0.0),
}

OTHERS: dict[str, tuple[float, Tokens]] = {
    "1 in 100 times 10": (
        0.9,
        lambda lot, lines, repo: lot.lognormvariate(7, 0.8) * (10 if lot.random() < 0.01 else 1),
    ),
    "two populations": (
        0.85,
        lambda lot, lines, repo: lot.lognormvariate(9.5, 0.3) if lot.random() < 0.2 else lot.uniform(300, 700),
    ),
    "repositories of two": (0.8, lambda lot, lines, repo: lot.lognormvariate(9.3 if repo > 1 else 7, 0.5)),
    "by size to the 1.5": (0.75, lambda lot, lines, repo: 5 * lines**1.5 * lot.lognormvariate(0, 0.4)),
}


@dataclass(frozen=True)
class Job:
    strata: Mapping[Stratum, Sequence[Shard]]

    @cached_property
    def sums(self) -> Shard:
        return Shard(*map(sum, zip(*(one for own in self.strata.values() for one in own), strict=True)))


@dataclass
class Tally:
    """How one amount was forecast."""

    held: int = 0
    width: float = 0.0
    count: int = 0

    def add(self, found: Interval, truth: float) -> None:
        self.held += found.low - 1e-6 <= truth <= found.high + 1e-6
        self.width += (found.high - found.low) / truth if truth else 0.0
        self.count += 1

    @property
    def share(self) -> float:
        return self.held / self.count


@dataclass
class Row:
    job: str
    shards: int
    sampled: int
    tallies: dict[str, Tally] = field(default_factory=lambda: {name: Tally() for name in Shard._fields})

    def __str__(self) -> str:
        told = "".join(f"{one.share:8.0%}{one.width / one.count:7.2f}" for one in self.tallies.values())
        return f"{self.job:24}{self.shards:8}{self.sampled:5}{told}"

    @property
    def holds(self) -> bool:
        return all(one.share >= WANTED for one in self.tallies.values())


def simulated(kind: str, shards: int, lot: Lot) -> Job:
    rate, tokens = (KINDS | OTHERS)[kind]
    count = max(3, min(shards // 20, 300))
    weights = [lot.lognormvariate(0, 1.2) for _ in range(count)]
    rates = [lot.betavariate(5 * rate, 5 * (1 - rate)) for _ in range(count)]
    others = [lot.gauss(0, 1) for _ in range(count)]
    made: dict[Stratum, list[Shard]] = defaultdict(list)
    for repo in lot.choices(range(count), weights, k=shards):
        lines = 1 + int(lot.lognormvariate(3.3, 1))
        cost = tokens(lot, lines, others[repo])
        seconds = cost / 100 + lot.lognormvariate(1 + others[repo] / 2, 0.7)
        made[Stratum(lines.bit_length() // 2, f"{repo:03}")].append(
            Shard(float(lot.random() < rates[repo]), cost, seconds)
        )
    return Job(made)


def forecast(job: Job, row: Row, lot: Lot) -> None:
    """Draw one sample, and note whether what it says holds."""
    drawn: list[tuple[float, Shard]] = []
    for cell in allocated({one: len(own) for one, own in job.strata.items()}, row.sampled, lot.random()):
        for stratum, number in cell.drawn.items():
            drawn += [(cell.weight, one) for one in lot.sample(job.strata[stratum], number)]
    for name, tally in row.tallies.items():
        seen = [Drawn(weight, getattr(one, name)) for weight, one in drawn]
        said = share(seen, row.shards).times(row.shards) if name == "good" else total(seen, row.shards)
        tally.add(said, getattr(job.sums, name))


def rows(kinds: Sequence[str], sizes: Mapping[int, tuple[int, int]], lot: Lot) -> Iterator[Row]:
    for kind in kinds:
        for shards, (jobs, times) in sizes.items():
            found = [Row(kind, shards, sampled) for sampled in SAMPLES]
            for _ in range(jobs):
                job = simulated(kind, shards, lot)
                for row in found:
                    for _ in range(times):
                        forecast(job, row, lot)
            yield from found


def recorded(lot: Lot, times: int = SAMPLES_OF_RECORDED) -> Iterator[Row]:
    for name, shards in json.loads(RECORDED.read_text()).items():
        strata: dict[Stratum, list[Shard]] = defaultdict(list)
        for size, repo, status, tokens, seconds in shards:
            strata[Stratum(size, repo)].append(Shard(float(status == "accepted"), tokens, seconds))
        job = Job(strata)
        for sampled in SAMPLES:
            row = Row(name, len(shards), sampled)
            for _ in range(times):
                forecast(job, row, lot)
            yield row


def record(names: Sequence[str]) -> None:
    known = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    with closing(opened(home())) as store:
        for name in names:
            plan = store.plan(name)
            assert plan, f"{name} was not run"
            found = known[name] = []
            for repo in plan.repos:
                shards = plan.planned.of(repo.name)
                outcomes = store.outcomes([one.shard.key for one in shards])
                done = [(stratum, one) for stratum, one in placed(repo, shards) if one.shard.key in outcomes]
                for stratum, one in done:
                    last = outcomes[one.shard.key][-1]
                    found.append([*stratum, last.status, sum(last.tokens), round(last.seconds, 2)])
    jobs = [f"{json.dumps(name)}: [\n" + ",\n".join(map(json.dumps, own)) + "]" for name, own in known.items()]
    RECORDED.write_text("{" + ",\n".join(jobs) + "}\n")


def main() -> int:
    if sys.argv[1:2] == ["record"]:
        record(sys.argv[2:])
        return 0
    seeds = [*map(int, sys.argv[1:])] or [SEED]
    print(f"{'':37}{'accepted':>15}{'tokens':>15}{'seconds':>15}")
    print(f"{'job':24}{'shards':>8}{'n':>5}" + f"{'held':>8}{'width':>7}" * 3)
    missed = 0
    for lot in map(random.Random, seeds):
        for row in chain(recorded(lot), rows([*KINDS, *OTHERS], SIZES, lot)):
            print(row, "" if row.holds else "  too seldom", flush=True)
            missed += not row.holds
    print(f"{missed} rows in which an interval held the truth in less than {WANTED:.0%} of cases")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
