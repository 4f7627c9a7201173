from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from operators import throttle
from operators.throttle import START, Throttle


class Clock:
    """Goes on when it is told to, and a little whenever it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1e-6
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(throttle, "time", made)
    return made


def window(own: Throttle, clock: Clock, seconds: float = 1.0, tokens: int = 10) -> None:
    """Make as many calls as are allowed, all at a time."""
    count, began = own.allowed, clock.monotonic()
    with ExitStack() as calls:
        for _ in range(count):
            calls.enter_context(own.turn())
        clock.now += seconds
        for _ in range(count):
            own.answered(began, 0, tokens)


def test_it_doubles_until_the_first_refusal_then_grows_by_one(clock: Clock) -> None:
    own, seen = Throttle(100), []
    for number in range(6):
        window(own, clock)
        seen.append(own.allowed)
        if number == 1:
            own.refused(clock.monotonic(), 0)
            seen.append(own.allowed)
    assert seen == [16, 32, 16, 17, 18, 19, 20]


@pytest.mark.parametrize(("most", "first", "last"), [(1, 1, 1), (5, 5, 5), (8, 8, 8), (20, 8, 20)])
def test_what_the_job_allows_is_the_limit(clock: Clock, most: int, first: int, last: int) -> None:
    own = Throttle(most)
    assert own.allowed == first
    for _ in range(5):
        window(own, clock)
    assert own.allowed == last


def test_what_is_refused_together_counts_once(clock: Clock) -> None:
    own, began = Throttle(8), clock.monotonic()
    for _ in range(8):
        own.refused(began, 0)
    assert own.allowed == 4
    window(own, clock)
    assert own.allowed == 5
    for _ in range(20):
        own.refused(clock.monotonic(), 0)
    assert own.allowed == 1


def test_replies_to_what_was_sent_before_a_refusal_prove_nothing(clock: Clock) -> None:
    own, began = Throttle(8), clock.monotonic()
    own.refused(clock.monotonic(), 0)
    for _ in range(50):
        own.answered(began, 0, 10)
    assert own.allowed == 4


def test_it_does_not_grow_while_nobody_needs_it(clock: Clock) -> None:
    own = Throttle(100)
    for _ in range(100):
        with own.turn():
            own.answered(clock.monotonic(), 0, 10)
    assert own.allowed == START


@pytest.mark.parametrize(
    ("seconds", "tokens", "allowed"),
    [
        (2.0, 10, 33),  # somewhat slower
        (3.5, 10, 16),  # much slower
        (35.0, 100, 16),
        (10.0, 100, 33),  # longer replies
        (10.0, 0, 33),  # it does not count its tokens
    ],
)
def test_it_halves_when_replies_take_much_longer(clock: Clock, seconds: float, tokens: int, allowed: int) -> None:
    own = Throttle(100)
    window(own, clock)
    window(own, clock)
    own._starting = False
    window(own, clock, seconds, tokens)
    assert own.allowed == allowed


def test_a_pace_that_stays_is_the_pace(clock: Clock) -> None:
    """A server that has become slower for good is not starved for ever."""
    own = Throttle(64)
    window(own, clock)
    for _ in range(200):
        window(own, clock, 4.0)
    assert own.allowed > START


class Calls(RuleBasedStateMachine):
    """Whatever comes of calls, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.before, throttle.time = throttle.time, self.clock  # type: ignore[attr-defined]
        self.most = 20
        self.own = Throttle(self.most)
        self.began: list[tuple[ExitStack, float]] = []
        self.pause = 0.0

    def teardown(self) -> None:
        throttle.time = self.before  # type: ignore[attr-defined]

    @precondition(lambda self: len(self.began) < self.own.allowed and self.clock.now > self.pause)
    @rule()
    def call(self) -> None:
        stack = ExitStack()
        stack.enter_context(self.own.turn())
        self.began.append((stack, self.clock.monotonic()))

    @precondition(lambda self: self.began)
    @rule(which=st.integers(0, 99), tokens=st.integers(0, 500), seconds=st.floats(0, 100))
    def answer(self, which: int, tokens: int, seconds: float) -> None:
        before = self.own.allowed
        stack, began = self.began.pop(which % len(self.began))
        self.clock.now += seconds
        self.own.answered(began, tokens, tokens)
        stack.close()
        assert self.own.allowed in {before, before + 1, max(1, before // 2)}

    @precondition(lambda self: self.began)
    @rule(which=st.integers(0, 99), pause=st.sampled_from([0.0, 0.0, 5.0]))
    def refuse(self, which: int, pause: float) -> None:
        before = self.own.allowed
        stack, began = self.began.pop(which % len(self.began))
        self.own.refused(began, pause)
        self.pause = max(self.pause, self.clock.now + pause)
        stack.close()
        assert self.own.allowed in {before, max(1, before // 2)}

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def within_bounds(self) -> None:
        assert 1 <= self.own.allowed <= self.most
        assert self.own._busy == len(self.began)


TestCalls = Calls.TestCase


@pytest.fixture
def asking() -> Iterator[tuple[Throttle, SimpleNamespace]]:
    """Forty threads that call, 5 ms each, until they are stopped; what they were seen to do."""
    own, seen, lock = Throttle(12), SimpleNamespace(busy=0, most=0, done=0, ends=[]), threading.Lock()
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            with own.turn():
                began = time.monotonic()
                with lock:
                    seen.busy += 1
                    seen.most = max(seen.most, seen.busy)
                time.sleep(0.005)
                with lock:
                    seen.busy -= 1
                    seen.done += 1
                    seen.ends.append(time.monotonic())
                own.answered(began, 0, 0)

    threads = [threading.Thread(target=run) for _ in range(40)]
    for thread in threads:
        thread.start()
    yield own, seen
    stop.set()
    for thread in threads:
        thread.join(timeout=10)
    assert not any(thread.is_alive() for thread in threads)


def test_threads_get_their_turns_and_no_more(asking: tuple[Throttle, SimpleNamespace]) -> None:
    own, seen = asking
    time.sleep(0.5)
    assert (seen.most, own.allowed) == (12, 12)
    assert seen.done > 100


def test_everybody_waits_when_one_is_told_to(asking: tuple[Throttle, SimpleNamespace]) -> None:
    own, seen = asking
    time.sleep(0.1)
    told = time.monotonic()
    own.refused(told, 0.6)
    time.sleep(1.2)
    late = [end - told for end in seen.ends if 0.2 < end - told < 0.6]
    assert late == [], "somebody called in spite of it"
    assert any(end - told > 0.7 for end in seen.ends), "nobody went on"


def test_calls_at_the_same_time_share_the_endpoints_time(clock: Clock) -> None:
    own = Throttle(8)
    with own.turn() as first:
        start = first()
        clock.now += 2.0
        assert first() - start == pytest.approx(2.0, abs=1e-3)
        with own.turn() as second:
            begun = second()
            clock.now += 4.0
            assert first() - start == pytest.approx(4.0, abs=1e-3)
            assert second() - begun == pytest.approx(2.0, abs=1e-3)
        clock.now += 1.0
        assert first() - start == pytest.approx(5.0, abs=1e-3)
    clock.now += 100.0  # in which nobody is served
    with own.turn() as third:
        assert third() == pytest.approx(0.0, abs=1e-3)


def test_processes_that_share_an_endpoint_share_its_time(clock: Clock) -> None:
    own = Throttle(8)
    own.limit(2, of=4)
    with own.turn() as share:
        clock.now += 8.0
        assert share() == pytest.approx(2.0, abs=1e-3)
