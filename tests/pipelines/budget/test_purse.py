"""What may be spent, as a machine of calls that begin and end in any order, and by many threads."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from operators.data import Completion
from pipelines.budget.account import opened
from pipelines.budget.purse import Purse, Reached
from pipelines.job import Job
from pipelines.limits import Budget
from pipelines.store import Store
from pipelines.store.log import Spent

REPOS, KEYS, SLOTS = ("a", "b"), ("1", "2", "3"), 4
LIMIT = st.sampled_from([0, 1, 7, 20, 50])
places = st.tuples(st.sampled_from(REPOS), st.sampled_from(KEYS))


def budget(job: int = 0, repo: int = 0, shard: int = 0, **more: Any) -> Budget:
    per = {"per_repo": {"tokens": repo}, "per_shard": {"tokens": shard}}
    return Budget.model_validate({"tokens": job, **per, **more})


@dataclass
class Call:
    place: tuple[str, str]


class Calls(RuleBasedStateMachine):
    """Slots begin calls that the purse allows, and end them with what they cost; now and then what was counted is
    written down, and everything begins anew from what was."""

    @initialize(job=LIMIT, repo=LIMIT, shard=LIMIT)
    def begin(self, job: int, repo: int, shard: int) -> None:
        self.limits = (job, repo, shard)
        self.purse = Purse(budget(*self.limits), {})
        self.slots: list[Call | None] = [None] * SLOTS
        self.spent: Counter[tuple[str, str]] = Counter()
        self.written: Counter[tuple[str, str]] = Counter()
        self.most = self.unasked = 0

    def sums(self, place: tuple[str, str]) -> list[tuple[int, int]]:
        """Return what was spent, and the limit, of the job, a repository and a shard."""
        repo = sum(spent for (name, _), spent in self.spent.items() if name == place[0])
        return list(zip((self.spent.total(), repo, self.spent[place]), self.limits, strict=True))

    @rule(slot=st.integers(0, SLOTS - 1), place=places)
    def ask(self, slot: int, place: tuple[str, str]) -> None:
        if self.slots[slot]:
            return
        allowed = not self.purse.ask(*place)
        assert allowed == all(not limit or spent < limit for spent, limit in self.sums(place))
        if allowed:
            self.slots[slot] = Call(place)

    @rule(slot=st.integers(0, SLOTS - 1), read=st.integers(0, 9), written=st.integers(0, 9))
    def end(self, slot: int, read: int, written: int) -> None:
        if call := self.slots[slot]:
            self.purse.tell(*call.place, Completion("", read, written))
            self.spent[call.place] += read + written
            self.most = max(self.most, read + written)
            self.slots[slot] = None

    @rule()
    def write(self) -> None:
        for repo, key, one in self.purse.drain():
            self.written[repo, key] += one.read + one.written
        assert +self.written == +self.spent, "each is written down once"

    @rule()
    def begin_anew(self) -> None:
        """A run that ends and another that begins: nobody calls meanwhile."""
        self.write()
        self.slots = [None] * SLOTS
        rows = {place: Spent(1, spent) for place, spent in self.written.items()}
        self.purse = Purse(budget(*self.limits), rows)

    @rule()
    def take_over(self) -> None:
        """One that knows nothing hears where another stands, with calls of its own counted before."""
        self.write()
        other = Purse(budget(*self.limits), {})
        other.tell("a", "1", Completion("", 1))
        self.spent["a", "1"] += 1
        self.unasked += 1
        other.take(*self.purse.state())
        self.purse = other

    @invariant()
    def within(self) -> None:
        if not hasattr(self, "purse"):
            return
        assert self.purse.total().read + self.purse.total().written == self.spent.total()
        for place in self.spent:
            for spent, limit in self.sums(place):
                most = limit + SLOTS * max(self.most, 1) + self.unasked
                assert not limit or spent < most, "by more than one call per slot"


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_many_threads_exceed_a_limit_by_one_call_each_at_most() -> None:
    purse = Purse(budget(job=10_000), {})

    def calls(name: int) -> int:
        count = 0
        while not purse.ask("r", str(name)):
            purse.tell("r", str(name), Completion("", 3, 4))
            count += 1
        return count

    with ThreadPoolExecutor(16) as pool:
        made = sum(pool.map(calls, range(16)))
    spent = purse.total()
    assert (spent.calls, spent.read, spent.written) == (made, 3 * made, 4 * made)
    assert 10_000 <= spent.read + spent.written < 10_000 + 16 * 7
    assert sum(one.calls for _, _, one in purse.drain()) == made


def test_each_kind_of_limit_and_the_widest_first() -> None:
    spent = {("a", "1"): Spent(1, 1_000_000, 500_000, 7200.0, 30.0), ("b", "2"): Spent(1, 1)}
    prices = {"read": 2.0, "written": 4.0, "gpu_hour": 3.0}

    def reached(**given: Any) -> Reached | None:
        return Purse(Budget.model_validate({"prices": prices, **given}), spent).reached("a", "1")

    assert reached(tokens=1_500_002) is None
    assert reached(tokens=1_500_001) == Reached("job", "tokens", 1_500_001, 1_500_001)
    assert reached(gpu_seconds=7200) == Reached("job", "gpu_seconds", 7200, 7200)
    assert reached(per_repo={"money": 9.9}) == Reached("repository", "money", 10.0, 9.9)
    assert reached(per_repo={"money": 10.1}, per_shard={"seconds": 30}) == Reached("shard", "seconds", 30, 30)
    both = reached(tokens=5, per_repo={"tokens": 5})
    assert both and both.whose == "job"


def test_wall_time_is_that_in_which_shards_are_worked_on() -> None:
    now = 100.0
    purse = Purse(Budget(seconds=60.0), {}, 50.0, lambda: now)
    now = 1000.0
    assert (purse.seconds, purse.ask("a", "1")) == (50.0, "")
    purse.start()
    now += 10
    assert purse.reached() == Reached("job", "seconds", 60.0, 60.0)
    purse.stop()
    now += 500
    assert purse.seconds == 60.0


def test_what_each_shard_has_spent_is_read_only_where_that_is_limited(tmp_path: Path) -> None:
    job = Job.model_validate({"name": "j", "repos": [{"git": "."}], "steps": [{"shell": "true"}]})
    with closing(Store(tmp_path / "store.db")) as store:
        store.log.spend("j", [("a", str(number), Spent(1, 2, 3)) for number in range(20_000)])
        tracemalloc.start()
        purse = opened(job, store)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (purse.total(), purse.total("a")) == (Spent(20_000, 40_000, 60_000),) * 2
        assert peak < 1 << 20
        each = opened(job.model_copy(update={"budget": budget(shard=5)}), store)
        assert each.reached("a", "7") == Reached("shard", "tokens", 5, 5)
