from __future__ import annotations

from dataclasses import replace

import pytest

from tests.benchmarks.month import RUN, TEND, Month, bound, paper, report, running, tending
from tests.benchmarks.queues import DAY, HOUR, Servers, World, at_work, worked

SMALL = Month(
    shards=4_000, repos=200, requests=800, replicas=1, cores=16, runners=4, reviewers=8, most_open=100, attention=0.25
)


@pytest.mark.parametrize(
    ("limits", "more"),
    [
        ("cores", {"cores": 4}),
        ("replicas", {"cores": 512}),
        ("drivers", {"cores": 512, "replicas": 64, "shard": 0.5}),
        ("reviewers", {}),
        ("most_open", {"reviewers": 100, "most_open": 10}),
        ("runners", {"reviewers": 100, "runners": 1, "pipeline": 4 * HOUR}),
        ("writers", {"reviewers": 100, "pace": 600.0}),
    ],
)
def test_what_limits_on_paper_limits_the_simulation(limits: str, more: dict[str, float]) -> None:
    month = replace(SMALL, **more)  # type: ignore[arg-type]
    simulate, parts = (running, RUN) if limits in RUN else (tending, TEND)
    seen, busy = simulate(month), paper(month)
    assert max(parts, key=busy.__getitem__) == limits
    assert max(parts, key=seen.busy.__getitem__) == limits
    least = bound(month, parts)
    assert 0.98 * least < seen.end < 2 * least, "2 %: what is drawn differs from what is expected"


def test_nothing_is_lost_however_often_machines_are() -> None:
    month = replace(SMALL, replica_lost=HOUR, node_lost=HOUR, restart=60.0)
    run, tend = running(month), tending(month)
    assert run.ended.total() == month.shards
    assert run.ended["accepted"] / month.shards == pytest.approx(sum(month.passing), abs=0.02)
    assert tend.ended == {"merged": month.requests}
    assert run.end > running(SMALL).end


def test_the_report() -> None:
    lines = list(report(SMALL))
    assert lines[0] == "month      4,000 shards, 200 repositories, 800 merge requests"
    assert [line.split()[:5] for line in lines if "limited" in line] == [
        ["running", "is", "limited", "by", "cores"],
        ["tending", "is", "limited", "by", "reviewers"],
    ]


def test_an_eighth_of_it_takes_as_long() -> None:
    whole = replace(SMALL, shards=8_000, requests=1_600, replicas=8, cores=32)
    assert whole.smaller() == replace(whole, shards=1_000, repos=25, requests=200, replicas=1, cores=4)
    assert running(whole.smaller()).end == pytest.approx(running(whole).end, rel=0.2)


def test_people_work_from_nine_to_five() -> None:
    friday = 4 * DAY
    assert at_work(0, HOUR) == 10 * HOUR
    assert at_work(friday + 16.5 * HOUR, HOUR) == 7 * DAY + 9.5 * HOUR
    assert at_work(5 * DAY, 8 * HOUR) == 8 * DAY + 9 * HOUR, "it ends when Tuesday begins"
    assert [worked(day * DAY) / HOUR for day in (0, 1, 5, 6, 7)] == [0, 8, 40, 40, 40]


def test_who_comes_first_is_served_first() -> None:
    world, done = World(), []
    servers = Servers(world, 2)
    for name, seconds in (("a", 3.0), ("b", 1.0), ("c", 1.0), ("d", 5.0)):
        servers.serve(seconds, lambda name=name: done.append((name, world.now)))
    servers.lose(1, 2.5)
    world.run(lambda: True)
    assert done == [("b", 1.0), ("a", 3.0), ("c", 3.5), ("d", 8.0)]
    assert (servers.busy, servers.free) == (10.0, 2)
