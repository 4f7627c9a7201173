"""A month that is simulated: 5,000 repositories, a million shards, 16 replicas of Devstral Small 2. How long each phase
takes, how busy who is, which part limits it and which one after it; and the same on paper, as the bound that no
arrangement can beat: the most that any part has to do, divided by what it can do.

`python -m tests.benchmarks.month [NAME=NUMBER ...]`, a minute. Everything that goes in is a field of `Month`, with its
source; what says *assumed* nobody has measured. Say what yours is: `reviewers=200 pace=7.2`.
"""

from __future__ import annotations

import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from statistics import NormalDist, fmean

from tests.benchmarks.queues import DAY, HOUR, Servers, Then, World, at_work, worked

RUN, TEND = ("replicas", "cores", "drivers"), ("writers", "runners", "reviewers", "most_open")
SPREAD = 0.5  # sigma of log-normal times, as in `slots`: the tail of real completions
TAIL = math.exp(SPREAD**2 / 2)  # by what their mean is longer than their median
ENOUGH = 8  # times as many of what limits, to see what does then


@dataclass(frozen=True, slots=True)
class Month:
    shards: int = 1_000_000
    repos: int = 5_000
    requests: int = 40_000
    """Assumed: 25 files each, the most by default (merge_request.group.max_files)."""

    replicas: int = 16
    slots: int = 64
    """Conversations at a time in one replica: the 280,000 tokens of cache for which Small 2 in FP8 leaves room on an
    H100 of 80 GB (160 KiB a token) hold 64 of 4,160."""
    reads: float = 16_000.0
    """Tokens a second that are read for the first time. Reckoned: 40 % of an H100's 1,979 TFLOP/s over 48 GFLOP a
    token."""
    writes: float = 2_000.0
    """Tokens a second of 64 conversations. Reckoned: half of what 3.35 TB/s allow for 24 GB of weights and 30 GB of
    cache that each step reads."""
    prompt: float = 4_000.0
    """Tokens; assumed: instructions, 2,000 of accepted edits (operators/accepted.py), 120 lines of code."""
    cached: float = 0.85
    """Share of it that the prefix cache has: `prefixes`, in the plan's order."""
    reply: float = 160.0
    """Tokens; `protocols`: 11,803 in 73 edits by blocks."""
    passing: tuple[float, ...] = (0.718, 0.118, 0.035, 0.023)
    """Share of shards whose first, second ... attempt passes: 77.2, 12.7, 3.8 and 2.5 % of the right results (aider's
    benchmark), of 93 % that come right at all (Airbnb: 75 % in the first sweep, 97 % at last)."""

    cores: int = 128
    """For judging; assumed: four nodes of 32."""
    checks: float = 0.3
    """Core-seconds for the checks of an attempt but tests: `fstrings`, two cores, 73 files in 10.7 s."""
    suite: float = 10.0
    """Seconds of a repository's tests, median, sigma 1; small libraries were seen to take 1 to 10, some up to 115."""
    together: int = 7
    """Edits that one run of tests judges: `batching`, 14 runs for 100 edits of which some are wrong."""
    building: float = 90.0
    """Core-seconds of a repository's environment; assumed."""
    baseline: float = 1.7
    """Suites that the look at the untouched commit takes: `batching`, 5.11 s for 2.95."""
    again: float = 1.3
    """Suites for a sum, with those that are halved; assumed."""

    drivers: int = 1
    shard: float = 100e-6
    """Seconds of the driver, store included, for a shard: `scale`, run."""
    replica_lost: float = 7 * DAY
    """A replica is lost so often, hardware and updates; assumed."""
    node_lost: float = 10 * DAY
    """Likewise a node of 32 cores."""
    restart: float = 600.0
    """Until it is back: weights have to be read; assumed."""

    writers: int = 1
    """Accounts that write to the forge."""
    pace: float = 1.0
    """Seconds between two writes: deploy/gitlab.md. GitHub, told that it is too fast: 7.2, deploy/github.md."""
    opening: int = 3
    """Writes to open a request: two calls and a push (deploy/gitlab.md)."""
    runners: int = 100
    """Pipelines at a time; assumed."""
    pipeline: float = 480.0
    """Seconds, median; assumed."""
    most_open: int = 3_000
    """rollout.max_open; assumed."""
    reviewers: int = 500
    """Assumed: one for ten repositories."""
    attention: float = 0.125
    """Share of their working time that they have for this: an hour a day; assumed."""
    review: float = 600.0
    """Seconds of it for a request, median; assumed."""
    until: float = 4 * HOUR
    """Working time until they look, median; assumed."""
    asks: float = 0.25
    """Share of requests of which something else is wanted first (Spotify: a quarter of what passes tests is vetoed)."""

    @property
    def call(self) -> float:
        """Seconds of one of a replica's slots for a reply, all slots being busy."""
        return self.slots * (self.prompt * (1 - self.cached) / self.reads + self.reply / self.writes)

    @property
    def attempts(self) -> float:
        """Of a shard, on average."""
        last = len(self.passing)
        tried = sum(share * number for number, share in enumerate(self.passing, 1))
        return tried + last * (1 - sum(self.passing))

    @property
    def judging(self) -> float:
        """Core-seconds for an attempt, on average."""
        return self.checks + self.mean_suite / self.together

    @property
    def suites(self) -> list[float]:
        """Seconds of each repository's tests, in no order."""
        normal = NormalDist()
        found = [self.suite * math.exp(normal.inv_cdf((n + 0.5) / self.repos)) for n in range(self.repos)]
        random.Random(1).shuffle(found)
        return found

    @property
    def mean_suite(self) -> float:
        return fmean(self.suites)

    def smaller(self) -> Month:
        """Return an eighth of it, with an eighth of the machines, if that comes out even: as long, sooner simulated."""
        parts = ("shards", "repos", "requests", "replicas", "cores")
        by = math.gcd(8, *(getattr(self, part) for part in parts))
        return replace(self, **{part: getattr(self, part) // by for part in parts})

    def doubled(self, part: str, times: int = 2) -> Month:
        return replace(self, **{part: getattr(self, part) * times})


def paper(month: Month) -> dict[str, float]:
    """Return the seconds for which each part is busy, all others waiting for it alone; for people's work, and what
    waits for it, from a Monday on."""
    tries = month.shards * month.attempts
    suites = month.repos * month.baseline + month.requests * month.again
    looks = month.requests * (1 + month.asks)
    writes = month.requests * (month.opening + 1) + month.requests * month.asks * 2
    waiting = month.until + month.review / month.attention
    return {
        "replicas": tries * month.call / (month.replicas * month.slots),
        "cores": (tries * month.judging + suites * month.mean_suite + month.repos * month.building) / month.cores,
        "drivers": month.shards * month.shard / month.drivers,
        "writers": writes * month.pace / month.writers,
        "runners": looks * month.pipeline * TAIL / month.runners,
        "reviewers": at_work(0, looks * month.review / month.attention * TAIL / month.reviewers),
        "most_open": at_work(0, looks * waiting * TAIL / month.most_open),
    }


def bound(month: Month, parts: Sequence[str]) -> float:
    """Return what a phase cannot be shorter than, on paper."""
    return max(paper(month)[part] for part in parts)


@dataclass(slots=True)
class Seen:
    """What was seen of a phase."""

    spans: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Begin and end of each of its steps; seconds."""
    busy: dict[str, float] = field(default_factory=dict)
    """Share of the time for which a part was busy."""
    ended: Counter[str] = field(default_factory=Counter)

    @property
    def end(self) -> float:
        return max(end for _, end in self.spans.values())


class Running:
    """Until there is a change for each merge request: repositories are prepared, shards run, sums judged."""

    def __init__(self, month: Month) -> None:
        self.month, self.random, self.world, self.seen = month, random.Random(1), World(), Seen()
        self.replicas = Servers(self.world, month.replicas * month.slots)
        self.cores, self.drivers = Servers(self.world, month.cores), Servers(self.world, month.drivers)
        self.suites = month.suites
        self.left = 0
        self._losing(self.replicas, month.slots, month.replica_lost / month.replicas)
        self._losing(self.cores, min(32, month.cores), month.node_lost * 32 / month.cores)

    def seen_of_all(self) -> Seen:
        month, of = self.month, self.suites
        self._step("prepare", (partial(self._core, month.building + month.baseline * suite) for suite in of))
        self._step("run", (partial(self._shard, of[n * month.repos // month.shards]) for n in range(month.shards)))
        sums = (month.again * of[n * month.repos // month.requests] for n in range(month.requests))
        self._step("gather", (partial(self._core, seconds) for seconds in sums))
        return self.seen

    def _step(self, name: str, tasks: Iterator[Callable[[Then], None]]) -> None:
        """Do all of these, enough of them at a time for nobody to be without work."""
        begin, before = self.world.now, {part: getattr(self, part).busy for part in RUN}

        def more() -> None:
            if task := next(tasks, None):
                self.left += 1
                task(done)

        def done() -> None:
            self.left -= 1
            more()

        for _ in range(2 * (self.replicas.count + self.cores.count)):
            more()
        self.world.run(lambda: self.left > 0)
        self.seen.spans[name] = begin, self.world.now
        if name == "run":
            for part in RUN:
                servers, took = getattr(self, part), self.world.now - begin
                self.seen.busy[part] = (servers.busy - before[part]) / servers.count / took

    def _shard(self, suite: float, then: Then, tried: int = 0) -> None:
        month = self.month

        def replied() -> None:
            self._core(month.checks + suite / month.together, judged)

        def judged() -> None:
            passes = self.random.random() < month.passing[tried] / (1 - sum(month.passing[:tried]))
            if not passes and tried + 1 < len(month.passing):
                self._shard(suite, then, tried + 1)
                return
            self.seen.ended["accepted" if passes else "rejected"] += 1
            self.drivers.serve(month.shard, then)

        self._sure(self.replicas, month.call * self.random.lognormvariate(-(SPREAD**2) / 2, SPREAD), replied)

    def _core(self, seconds: float, then: Then) -> None:
        self._sure(self.cores, seconds, then)

    def _sure(self, servers: Servers, seconds: float, then: Then) -> None:
        """Have it done; once more when what did it is lost meanwhile."""
        every = self.month.replica_lost if servers is self.replicas else self.month.node_lost

        def done() -> None:
            if self.random.random() < seconds / every:
                self._sure(servers, seconds, then)
            else:
                then()

        servers.serve(seconds, done)

    def _losing(self, servers: Servers, count: int, every: float) -> None:
        def lost() -> None:
            servers.lose(count, self.month.restart)
            self._losing(servers, count, every)

        self.world.at(self.world.now + self.random.expovariate(1 / every), lost)


class Tending:
    """Until all are merged: requests are opened, piped, looked at, changed once where that is asked for, merged. From a
    Monday's midnight on."""

    def __init__(self, month: Month) -> None:
        self.month, self.random, self.world, self.seen = month, random.Random(2), World(), Seen()
        self.writers, self.runners = Servers(self.world, month.writers), Servers(self.world, month.runners)
        self.reviewers = Servers(self.world, month.reviewers, at_work)
        self.waiting = month.requests
        self.times: dict[str, list[float]] = {"open": [], "merge": []}
        self.open = 0.0

    def seen_of_all(self) -> Seen:
        for _ in range(min(self.month.most_open, self.month.requests)):
            self._request()
        self.world.run(lambda: True)
        self.seen.spans = {name: (times[0], times[-1]) for name, times in self.times.items()}
        end = self.seen.end
        self.seen.busy = {
            "writers": self.writers.busy / self.writers.count / end,
            "runners": self.runners.busy / self.runners.count / end,
            "reviewers": self.reviewers.busy / self.reviewers.count / worked(end),
            "most_open": self.open / self.month.most_open / end,
        }
        return self.seen

    def _request(self) -> None:
        month, begin = self.month, 0.0
        self.waiting -= 1
        asked, changed = self.random.random() < month.asks, False

        def pushed() -> None:
            nonlocal begin
            if not changed:
                begin = self.world.now
                self.times["open"].append(begin)
            self.runners.serve(self._about(month.pipeline), tested)

        def tested() -> None:
            self.world.at(at_work(self.world.now, self._about(month.until)), noticed)

        def noticed() -> None:
            self.reviewers.serve(self._about(month.review) / month.attention, reviewed)

        def reviewed() -> None:
            nonlocal changed
            if asked and not changed:
                changed = True
                self.writers.serve(2 * month.pace, pushed)
            else:
                self.writers.serve(month.pace, merged)

        def merged() -> None:
            self.times["merge"].append(self.world.now)
            self.seen.ended["merged"] += 1
            self.open += self.world.now - begin
            if self.waiting:
                self._request()

        self.writers.serve(month.opening * month.pace, pushed)

    def _about(self, median: float) -> float:
        return self.random.lognormvariate(math.log(median), SPREAD)


@lru_cache
def running(month: Month) -> Seen:
    return Running(month).seen_of_all()


@lru_cache
def tending(month: Month) -> Seen:
    return Tending(month).seen_of_all()


def report(month: Month) -> Iterator[str]:
    run, tend = running(month), tending(month)
    assert run.ended.total() == month.shards, "a shard was lost"
    assert tend.ended == {"merged": month.requests}, "a request was lost"
    yield f"month      {month.shards:,} shards, {month.repos:,} repositories, {month.requests:,} merge requests"
    for seen, parts in ((run, RUN), (tend, TEND)):
        yield from (f"           {name:12}{_long(end - begin):>8}" for name, (begin, end) in seen.spans.items())
        yield f"           in all      {_long(seen.end):>8}   {_told(seen.end, bound(month, parts))}"
    yield "           part      how many    busy  on paper   with twice as many it takes"
    less = month.smaller()
    for simulate, seen, own, parts in ((running, run, less, RUN), (tending, tend, month, TEND)):
        for part in parts:
            count, busy, least = getattr(month, part), 100 * seen.busy[part], paper(month)[part]
            faster = simulate(own.doubled(part)).end / simulate(own).end
            yield f"           {part:10}{count:>8,}{busy:>6.0f} %{_long(least):>10}{faster:>10.2f} x"
    yield from _limits(running, less, RUN, ("running is limited by", "and then by"))
    yield from _limits(tending, month, TEND, ("tending is limited by", "and then by", "and then by"))


def _limits(
    simulate: Callable[[Month], Seen], month: Month, parts: Sequence[str], words: Sequence[str]
) -> Iterator[str]:
    """Say what limits a phase, and what does once there is enough of that."""
    for word in words:
        part, end = max(parts, key=paper(month).__getitem__), simulate(month).end
        yield f"           {word:22}{part:10}{_long(end):>8}   {_told(end, bound(month, parts))}"
        month = month.doubled(part, ENOUGH)


def _told(end: float, least: float) -> str:
    return f"{end / least:.2f} x the {_long(least)} on paper"


def _long(seconds: float) -> str:
    return f"{seconds / DAY:.1f} d" if seconds >= 2 * DAY else f"{seconds / HOUR:.1f} h"


def main() -> None:
    usual = Month()
    given = dict(one.split("=") for one in sys.argv[1:])
    own = {name: type(getattr(usual, name))(float(number)) for name, number in given.items()}
    for line in report(replace(usual, **own)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
