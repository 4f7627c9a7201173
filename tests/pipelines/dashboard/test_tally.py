"""Counts that are kept up are those that are counted anew."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from random import Random

import pytest

from operators.data import Edit, Finding, Outcome, Shard, Verdict
from pipelines.dashboard import charts, words
from pipelines.dashboard.ledger import Ledger
from pipelines.dashboard.search import Wanted, search
from pipelines.dashboard.tally import STATES, Tally
from pipelines.data import Plan, Planned, Repo, Shards
from pipelines.store import Store
from tests.pipelines.dashboard.setting import key_of

NAMES = [f"{repo}/{number}.py" for repo in "abc" for number in range(12)]


def plan(names: list[str]) -> Plan:
    shards = [Shard(key_of(name), name[0], "c" * 40, (name,)) for name in names]
    repos = tuple(Repo(repo, "/nowhere", "c" * 40, "main") for repo in sorted({name[0] for name in names}))
    return Plan(repos, Shards(Planned(shard, "branch", "group") for shard in shards))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "store.db")) as made:
        made.save_plan("job", plan(NAMES))
        yield made


def outcome(name: str, status: str) -> Outcome:
    shard = Shard(key_of(name), name[0], "c" * 40, (name,))
    found = (Finding(f"judge {len(name)}", "wrong"),) if status == "rejected" else ()
    verdicts = () if status in {"unchanged", "skipped", "failed"} else (Verdict(Edit({name: "x"}), found),)
    return Outcome(
        shard, verdicts, "disk full" if status == "failed" else "", "no syntax" if status == "skipped" else ""
    )


def test_whatever_is_written_the_counts_are_right(store: Store) -> None:
    random, browse = Random(7), store.browse
    tally = Tally(browse.outline(browse.jobs()["job"]), browse)
    assert tally.counted().total["waiting"] == len(NAMES)
    for _ in range(12):
        for name in random.sample(NAMES, 5):
            key = key_of(name)
            if random.random() < 0.4:
                store.reopen(key, f"again {random.random()}")
            else:
                go = store.goes([key]).get(key, 0)
                store.save([(outcome(name, random.choice(STATES[:-1])), go)])
        tally.catch_up()
        fresh = Tally(tally.outline, browse)
        assert tally.counted() == fresh.counted()
    keys = [key_of(name) for name in NAMES]
    assert tally.counted().total["waiting"] + tally.counted().total["failed"] == len(store.missing(keys))
    done = {key: status for key, status in store.statuses(keys).items() if key not in store.missing(keys)}
    assert {state: tally.counted().total[state] for state in STATES[:4]} == {
        state: Counter(done.values())[state] for state in STATES[:4]
    }
    assert sum(tally.counted().faults.values()) == sum(
        tally.counted().total[one] for one in ("skipped", "rejected", "failed")
    )


def test_another_plan_is_counted_by_itself_and_others_outcomes_are_not(store: Store) -> None:
    ledger = Ledger(store)
    store.save([(outcome(NAMES[0], "accepted"), 0), (outcome("z/1.py", "accepted"), 0)])
    known = ledger.known(store.browse.jobs(), 30)["job"]
    assert known.counted.total["accepted"] == 1
    store.save_plan("job", plan(NAMES[:12]))
    now = ledger.known(store.browse.jobs(), 30)["job"]
    assert (now.counted.total["accepted"], now.counted.total["waiting"]) == (1, 11)
    assert list(now.counted.repos) == ["a"]
    ledger.close()


def test_who_looks_again_and_again_is_told_what_is_known(store: Store) -> None:
    now = [1000.0]
    ledger = Ledger(store, lambda: now[0])
    jobs = store.browse.jobs()
    ledger.known(jobs, 30)
    store.save([(outcome(NAMES[0], "accepted"), 0)])
    assert ledger.known(jobs, 30)["job"].counted.total["accepted"] == 0, "nothing is asked within two seconds"
    now[0] += 3
    found = ledger.known(jobs, 30)["job"]
    assert (found.counted.total["accepted"], found.at) == (1, 1003.0)
    ledger.close()


def test_a_search_that_takes_too_long_goes_on_where_it_stopped(store: Store) -> None:
    ledger = Ledger(store)
    known = ledger.known(store.browse.jobs(), 30)["job"]
    ledger.close()
    found, after, pages = [], None, 0
    for pages in range(1, 9):  # noqa: B007
        ticks = iter(range(1000))
        page = search(known, store.browse, Wanted(name="/1"), after, clock=lambda: next(ticks))  # noqa: B023
        found += [hit.planned.shard.name for hit in page.hits]
        after = page.after
        if after is None:
            break
    assert (pages, found) == (3, [f"{repo}/{number}.py" for repo in "abc" for number in (1, 10, 11)])


def test_a_large_repository_is_looked_at_piece_by_piece(store: Store) -> None:
    names = [f"a/{number}.py" for number in range(700)]
    store.save_plan("job", plan(names))
    store.save([(outcome(name, "failed"), 0) for name in (*names[:300], names[-1])])
    store.save([(outcome(names[500], "rejected"), 0)])
    ledger = Ledger(store)
    known = ledger.known(store.browse.jobs(), 30)["job"]
    ledger.close()

    def pages(wanted: Wanted) -> list[list[str]]:
        """Return what is on each page when each piece takes too long."""
        ticks, found, page = count(), list[list[str]](), None
        while page is None or page.after:
            page = search(known, store.browse, wanted, page and page.after, clock=lambda: next(ticks))
            found.append([hit.planned.shard.name for hit in page.hits])
        return found

    assert pages(Wanted()) == [names[first : first + 100] for first in range(0, 700, 100)]
    assert pages(Wanted(fault=f"rejected: judge {len(names[500])}")) == [[], [], [names[500]], []]
    assert pages(Wanted("rejected")) == [[names[500]]], "counts tell where it is"
    assert pages(Wanted("failed"))[-1] == [names[-1]]
    store.reopen(key_of(names[500]), "again")
    assert pages(Wanted("rejected")) == [[]], "and the store whether it still is"


def test_hits_of_all_repositories_are_summed_up_as_each_changes(store: Store) -> None:
    ledger = Ledger(store)
    for repo, hits, detector in [("a", 7, "old"), ("a", 9, "new"), ("b", 5, "new"), ("a", 4, "new"), ("b", 0, "new")]:
        store.log.note("job", "remaining", repo, {"hits": hits, "total": 10, "detector": detector})
    known = ledger.known(store.browse.jobs(), 30)["job"]
    ledger.close()
    assert [(left, total) for _, left, total in known.remaining] == [(9, 10), (14, 20), (9, 20), (4, 20)]


def test_a_burndown_ends_now_and_with_what_is_left() -> None:
    now = time.time()
    step = int(now) // charts.STEP
    found = charts.burndown({step - 20: 30, step - 10: 50}, 100, [(now - 900, 40, 40), (now - 60, 10, 40)], now)
    assert found
    assert [(line.name, round(line.left, 2)) for line in found.lines] == [
        ("shards to do", 0.2),
        ("code still to change", 0.25),
    ]
    assert found.ends == now
    assert charts.burndown({}, 0, [], now) is None


@pytest.mark.parametrize(
    ("told", "written"),
    [
        (words.span(None), ""),
        (words.span(0), "0 s"),
        (words.span(59.6), "1 min"),
        (words.span(90_061), "1 d 1 h"),
        (words.share(999_999, 1_000_000), "99.9 %"),
        (words.share(5, 5), "100 %"),
        (words.share(0, 0), "0 %"),
        (words.amount(1234567), "1,234,567"),
        (words.amount(2.5), "2.50"),
        (words.link("javascript:alert(1)"), ""),
        (words.link("https://x.example/\n1"), ""),
        (words.link("https://x.example/1"), "https://x.example/1"),
        (words.query(a="x y", b="", c="<"), "?a=x+y&c=%3C"),
    ],
)
def test_words(told: str, written: str) -> None:
    assert told == written
