from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import process_time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.forge import Place, Request
from pipelines.publishing import Rollout
from pipelines.rollout import HOUR, Candidate, allowed, within

NOW = 1_800_000_000.0  # a Friday, 08:00 UTC
OPEN = Request("r", "b", "d", "open", "url", opened=NOW - 10 * HOUR)


def named(*requests: Request) -> list[Request]:
    return [replace(one, branch=f"b{number}") for number, one in enumerate(requests)]


def new(count: int, repo: str = "r", **more: Any) -> list[Candidate]:
    return [Candidate((repo, f"n{number}"), **more) for number in range(count)]


def go(candidates: Sequence[Candidate], requests: Sequence[Request], **rules: Any) -> dict[Place, str]:
    more = {name: rules.pop(name) for name in ("ours", "unfinished", "owners", "beside") if name in rules}
    given_ = {"owners": {}, "unfinished": {}, **more}
    return allowed(candidates, requests, Rollout.model_validate(rules), rules.pop("now", NOW), **given_)


PENDING, RED, GREEN = (replace(OPEN, ci=ci) for ci in ("pending", "failed", "passed"))
NEW, MERGED, CLOSED = replace(OPEN, opened=NOW - 60), replace(OPEN, state="merged"), replace(OPEN, state="closed")
BRANCH = replace(OPEN, state="branch", opened=0.0)
OTHER = Candidate(("q", "q"), "b")
TABLE: list[tuple[dict[str, Any], Sequence[Candidate], list[Request], list[str]]] = [
    ({}, new(3), [OPEN] * 50, ["", "", ""]),
    ({"per_hour": 2}, new(3), [OPEN], ["", "", "per_hour: 2 were"]),
    ({"per_hour": 2}, new(2), [NEW, replace(NEW, state="merged")], ["per_hour: 2 were", "per_hour"]),
    ({"per_hour": 2}, new(2), [replace(NEW, opened=NOW - HOUR), NEW], ["", "per_hour"]),
    ({"per_hour": 2}, new(2), [replace(NEW, opened=NOW + HOUR)], ["", "per_hour"]),
    ({"max_open": 2}, new(2), [OPEN, MERGED, CLOSED], ["", "max_open: 2 are open"]),
    ({"max_open": 2}, new(1), [OPEN] * 3, ["max_open: 3 are open"]),
    ({"max_open": 2}, new(1), [OPEN, BRANCH], ["max_open: 2 are open or about to be"]),
    ({"max_open": 2}, new(1, pushed=True), [OPEN, BRANCH], [""]),
    (
        {"max_open_per_owner": 1},
        [*new(2, owner="a"), Candidate(("q", "q"), "b")],
        [],
        ["", "max_open_per_owner: 1 of a", ""],
    ),
    ({"max_open_per_owner": 1, "owners": {("r", "b0"): "a"}}, new(1, owner="a"), [OPEN], ["max_open_per_owner"]),
    ({"max_open_per_owner": 1, "owners": {("r", "b0"): "a"}}, new(1, owner="a"), [MERGED], [""]),
    ({"max_pending_pipelines": 2}, new(3), [GREEN, RED], ["", "", "max_pending_pipelines: 2 are running"]),
    ({"max_pending_pipelines": 2}, new(1), [PENDING, BRANCH], ["max_pending_pipelines: 2"]),
    ({"max_pending_pipelines": 1, "open_when": "green"}, new(2), [], ["", "max_pending_pipelines"]),
    ({"max_pending_pipelines": 1}, new(1, pushed=True), [PENDING], [""]),
    ({"per_hour": 2, "open_when": "green"}, new(3), [BRANCH], ["", "per_hour: 2 were", "per_hour"]),
    ({"per_hour": 1, "open_when": "green"}, [*new(1, pushed=True), OTHER], [BRANCH], ["", "per_hour"]),
    ({"pause_at": 0.5}, new(1), [RED] * 9, [""]),
    (
        {"pause_at": 0.5},
        new(1),
        [RED] * 5 + [OPEN] * 5,
        ["pause_at: 5 of 10 requests were closed"],
    ),
    ({"pause_at": 0.5}, new(1), [RED] * 4 + [OPEN] * 6, [""]),
    ({"pause_at": 0.3}, new(1), [CLOSED] * 3 + [MERGED] * 7, ["pause_at: 3 of 10"]),
    ({"pause_at": 0.3}, new(1), [replace(MERGED, ci="failed")] * 3 + [MERGED] * 7, [""]),
    ({"pause_at": 0.3, "ours": [("r", f"b{n}") for n in range(3)]}, new(1), [CLOSED] * 3 + [MERGED] * 7, [""]),
    ({"pause_at": 0.3}, new(1), [replace(BRANCH, ci="failed")] * 3 + [MERGED] * 7, ["pause_at: 3 of 10"]),
    ({"pause_at": 0.0}, new(1), [CLOSED] * 20, [""]),
    ({"windows": ["fri 08:00-17:00"]}, new(1), [], [""]),
    ({"windows": ["mon-thu 09:00-17:00"]}, new(1), [], ["outside of mon-thu 09:00-17:00 (UTC)"]),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row[0]} {len(row[2])} {row[3]}")
def test_what_may_be_opened(row: tuple[dict[str, Any], Sequence[Candidate], list[Request], list[str]]) -> None:
    rules, candidates, requests, expected = row
    found = go(candidates, named(*requests), **rules)
    assert list(found) == [one.place for one in candidates], "in the plan's order"
    for why, wanted in zip(found.values(), expected, strict=True):
        assert why.startswith(wanted) and bool(why) == bool(wanted)


LIB, APP = replace(OPEN, repo="libs/a"), Candidate(("apps/x", "n"))
WAVES: list[tuple[list[Candidate], list[Request], dict[str, Any], str]] = [
    ([APP], [], {}, ""),
    ([APP], [replace(LIB, state="merged")], {}, ""),
    ([APP], [LIB], {}, "after: libs/a, where b is open"),
    ([APP], [replace(LIB, state="branch")], {}, "after: libs/a, where b is branch"),
    ([APP], [replace(LIB, state="closed")], {}, "after: libs/a, where b is closed"),
    ([APP], [replace(LIB, state="closed")], {"ours": {("libs/a", "b")}}, ""),
    ([APP], [LIB], {"beside": {("libs/a", "b")}}, ""),
    ([APP], [replace(LIB, repo="tools/a")], {}, ""),
    ([APP, Candidate(("libs/a/b", "n"))], [], {}, "after: libs/a/b, where n is not open yet"),
    ([APP], [], {"unfinished": {"libs/a": "shards are not done yet"}}, "after: libs/a, where shards are not done yet"),
    ([APP], [], {"unfinished": {"tools/a": "shards are not done yet"}}, ""),
]


@pytest.mark.parametrize("row", WAVES, ids=lambda row: row[3] or "go")
def test_what_waits_for_others(row: tuple[list[Candidate], list[Request], dict[str, Any], str]) -> None:
    candidates, requests, more, why = row
    found = go(candidates, requests, after={"apps/*": ["libs/*"]}, **more)
    assert found[APP.place] == why
    assert all(not why for place, why in found.items() if place != APP.place)


def test_what_comes_first_does_not_wait_for_its_own_wave() -> None:
    candidates = [Candidate(("libs/a", "n")), Candidate(("libs/b", "n")), Candidate(("web", "n"))]
    found = go(candidates, [], after={"*": ["libs/*"]})
    assert [bool(why) for why in found.values()] == [False, False, True]


def test_thousands_of_repositories_wait_for_others_in_no_time() -> None:
    candidates = [
        Candidate((f"{kind}/{n}", "n")) for kind, count in (("apps", 3000), ("libs", 300)) for n in range(count)
    ]
    before = process_time()
    found = go(candidates, [], after={"apps/*": ["libs/*"]})
    assert process_time() - before < 2.0
    assert sum(why.startswith("after: libs/") for why in found.values()) == 3000


def moment(text: str, zone: str = "Europe/Berlin", fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()


@pytest.mark.parametrize(
    ("window", "local", "inside"),
    [
        ("mon-fri 09:00-17:00", "2026-07-03T09:00", True),  # a Friday in summer
        ("mon-fri 09:00-17:00", "2026-07-03T08:59", False),
        ("mon-fri 09:00-17:00", "2026-07-03T16:59", True),
        ("mon-fri 09:00-17:00", "2026-07-03T17:00", False),
        ("mon-fri 09:00-17:00", "2026-07-04T12:00", False),
        ("mon-fri 09:00-17:00", "2026-01-02T09:00", True),  # and in winter
        ("fri-mon 09:00-17:00", "2026-07-05T12:00", True),
        ("fri-mon 09:00-17:00", "2026-07-07T12:00", False),
        ("fri 22:00-02:00", "2026-07-03T23:00", True),
        ("fri 22:00-02:00", "2026-07-04T01:59", True),
        ("fri 22:00-02:00", "2026-07-04T02:00", False),
        ("fri 22:00-02:00", "2026-07-03T01:00", False),
        ("fri 22:00-02:00", "2026-07-04T23:00", False),
        ("sun 22:00-02:00", "2026-07-06T01:00", True),
        ("sat-sun 00:00-24:00", "2026-07-04T00:00", True),
        ("sat-sun 00:00-24:00", "2026-07-05T23:59", True),
        ("sat 00:00-00:00", "2026-07-04T12:00", True),
        ("sat 00:00-00:00", "2026-07-05T00:00", False),
        ("sun 01:30-03:30", "2026-03-29T01:59", True),  # the clock goes from 2 to 3
        ("sun 01:30-03:30", "2026-03-29T03:15", True),
        ("sun 01:30-03:30", "2026-03-29T03:30", False),
    ],
)
def test_windows(window: str, local: str, inside: bool) -> None:
    assert within(window, moment(local), "Europe/Berlin") is inside


@pytest.mark.parametrize("fold", [0, 1])
def test_an_hour_that_comes_twice_is_in_the_window_twice(fold: int) -> None:
    assert within("sun 02:00-03:00", moment("2026-10-25T02:30", fold=fold), "Europe/Berlin")


@given(st.integers(0, 10**6), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"]))
def test_a_window_and_the_rest_of_the_day_are_never_both_open(minutes: int, zone: str) -> None:
    now = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)).timestamp()
    inside = [within(window, now, zone) for window in ("mon-sun 22:00-06:00", "mon-sun 06:00-22:00")]
    assert sum(inside) == 1


STATES = st.sampled_from(["branch", "open", "merged", "closed"])
CIS = st.sampled_from(["none", "pending", "passed", "failed"])
OWNERS = ["a", "b"]
REQUESTS = st.lists(
    st.builds(
        lambda state, ci, ago: replace(OPEN, state=state, ci=ci, opened=NOW - ago), STATES, CIS, st.floats(0, 7500)
    ),
    max_size=12,
)
FATES = st.lists(st.integers(0, 3), min_size=1, max_size=12)
RULES = st.builds(
    lambda **given_: Rollout.model_validate(given_),
    per_hour=st.integers(0, 4),
    max_open=st.integers(0, 4),
    max_open_per_owner=st.integers(0, 3),
    max_pending_pipelines=st.integers(0, 3),
    open_when=st.sampled_from(["at_once", "green"]),
    pause_at=st.sampled_from([0.0, 0.5]),
)


@settings(max_examples=200, deadline=None)
@given(
    RULES, REQUESTS, st.lists(st.sampled_from(OWNERS), max_size=8), st.lists(st.integers(0, 3), min_size=1, max_size=12)
)
def test_limits_hold_whatever_happens(
    rules: Rollout, history: list[Request], owners: list[str], fates: list[int]
) -> None:
    """Tick after tick, with pipelines that end, people who merge and close, and time that passes."""
    now, world = NOW, {(one.repo, one.branch): one for one in named(*history)}
    whose: dict[Place, str] = {place: OWNERS[number % 2] for number, place in enumerate(world)}
    wanted = {("r", f"n{number}"): owner for number, owner in enumerate(owners)}
    for fate in fates:
        at_first = dict(world)
        ready = [
            Candidate(place, owner, place in world)
            for place, owner in wanted.items()
            if place not in world or (world[place].state == "branch" and world[place].ci == "passed")
        ]
        found = allowed(ready, list(world.values()), rules, now, owners=whose | wanted, unfinished={})
        assert found == allowed(ready, list(world.values()), rules, now, owners=whose | wanted, unfinished={})
        opened = started = 0
        for place, why in found.items():
            if why:
                continue
            ahead = rules.open_when == "green" and place not in world
            started += place not in world
            opened += not ahead
            ci = world[place].ci if place in world else "pending"
            world[place] = replace(
                OPEN, branch=place[1], state="branch" if ahead else "open", ci=ci, opened=0.0 if ahead else now
            )
        check(rules, world, at_first, {**whose, **wanted}, now, opened, started)
        assert (
            not any(not why for why in _again(rules, world, wanted, whose, now).values()) or rules.open_when == "green"
        )
        now += 900
        world = {place: _later(one, fate + number) for number, (place, one) in enumerate(world.items())}


def check(
    rules: Rollout,
    world: dict[Place, Request],
    before: dict[Place, Request],
    whose: dict[Place, str],
    now: float,
    opened: int,
    started: int,
) -> None:
    if opened and rules.per_hour:
        assert sum(one.state != "branch" and now - one.opened < HOUR for one in world.values()) <= rules.per_hour
    if opened and rules.max_open:
        assert sum(one.state == "open" for one in world.values()) <= rules.max_open
    if started and rules.max_pending_pipelines:
        assert sum(one.state in {"open", "branch"} and one.ci == "pending" for one in world.values()) <= (
            rules.max_pending_pipelines
        )
    for owner in OWNERS if rules.max_open_per_owner else ():
        mine = [place for place, one in world.items() if one.state in {"open", "branch"} and whose[place] == owner]
        if any(place not in before for place in mine):
            assert len(mine) <= rules.max_open_per_owner


def _again(
    rules: Rollout, world: dict[Place, Request], wanted: dict[Place, str], whose: dict[Place, str], now: float
) -> dict[Place, str]:
    """Return what a second look at the same moment would say."""
    ready = [Candidate(place, owner) for place, owner in wanted.items() if place not in world]
    return allowed(ready, list(world.values()), rules, now, owners=whose | wanted, unfinished={})


def _later(request: Request, fate: int) -> Request:
    if request.ci == "pending":
        request = replace(request, ci=("passed", "failed", "pending", "passed")[fate % 4])
    if request.state == "open" and fate % 3 == 0:
        return replace(request, state="merged" if fate % 2 else "closed")
    return request
