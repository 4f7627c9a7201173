from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from operators import breaker
from operators.breaker import PATIENCE, Breaker
from operators.data import Away

Probe = Callable[[], tuple[str, bool]]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, on a clock that only sleeping moves."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    def monotonic() -> float:
        now[0] += 1e-6  # no two moments are the same
        return now[0]

    monkeypatch.setattr(breaker, "time", SimpleNamespace(monotonic=monotonic, sleep=sleep))
    return now


def saying(*answers: tuple[str, bool]) -> tuple[Probe, list[int]]:
    """Return a probe that finds `answers` in turn, the last one again and again, and a list as long as its probes."""
    left, asked = list(answers), []

    def probe() -> tuple[str, bool]:
        asked.append(1)
        return left.pop(0) if len(left) > 1 else left[0]

    return probe, asked


WELL, DOWN, WRONG = ("", False), ("down", True), ("no such key", False)


def test_a_fault_of_ones_own_is_one_probe(clock: list[float]) -> None:
    probe, asked = saying(WELL)
    own = Breaker(probe)
    own.wait()
    assert own.doubt(clock[0]) is False
    assert (len(asked), clock[0] < 0.1) == (1, True)


def test_while_others_are_answered_nothing_is_probed(clock: list[float]) -> None:
    probe, asked = saying(DOWN)
    own, since = Breaker(probe), clock[0]
    own.answered()
    assert own.doubt(since) is False
    assert asked == []


@pytest.mark.parametrize("known", [True, False])
def test_what_waiting_cannot_mend_is_not_waited_for(clock: list[float], known: bool) -> None:
    probe, asked = saying(WRONG)
    own = Breaker(probe)
    if known:
        own.answered()
        clock[0] += 1
    for ask in (lambda: own.doubt(clock[0]), own.wait, lambda: own.doubt(clock[0])):
        with pytest.raises(Away, match="no such key"):
            ask()
    assert (len(asked), clock[0] < 2) == (1, True)


def test_who_never_answered_is_not_waited_for(clock: list[float]) -> None:
    probe, asked = saying(DOWN, WELL)
    with pytest.raises(Away, match="down"):
        Breaker(probe).doubt(clock[0])
    assert len(asked) == 1


@pytest.mark.parametrize("downs", [1, 4, 12])
def test_who_answered_before_is_waited_for(clock: list[float], downs: int) -> None:
    probe, asked = saying(*[DOWN] * downs, WELL)
    own = Breaker(probe)
    own.answered()
    clock[0] += 1
    assert own.doubt(clock[0]) is True
    assert len(asked) == downs + 1
    own.wait()
    assert own.doubt(clock[0] + 1) is False, "what fails after that is something else"


def test_patience_has_an_end(clock: list[float]) -> None:
    probe, asked = saying(DOWN)
    own = Breaker(probe)
    own.answered()
    clock[0] += 1
    with pytest.raises(Away, match="down"):
        own.doubt(clock[0])
    assert PATIENCE - 61 <= clock[0] <= PATIENCE + 1
    assert 14 <= len(asked) <= 30
    with pytest.raises(Away, match="down"):
        own.wait()


def test_threads_that_fail_together_are_held_back_by_one_probe() -> None:
    """And all of them are told that it was away, so that they ask again."""
    up, probing, most, asked = threading.Event(), 0, 0, 0

    def probe() -> tuple[str, bool]:
        nonlocal probing, most, asked
        probing, asked = probing + 1, asked + 1
        most = max(most, probing)
        time.sleep(0.02)
        probing -= 1
        return WELL if up.is_set() else DOWN

    own, told, through = Breaker(probe), [], []
    own.answered()
    since = time.monotonic()
    failed = [threading.Thread(target=lambda: told.append(own.doubt(since))) for _ in range(8)]
    for thread in failed:
        thread.start()
    while not asked:
        time.sleep(0.005)
    later = [threading.Thread(target=lambda: through.append(own.wait())) for _ in range(8)]
    for thread in later:
        thread.start()
    time.sleep(0.1)
    assert (told, through) == ([], [])
    up.set()
    for thread in (*failed, *later):
        thread.join(timeout=20)
    assert (told, len(through), most, asked) == ([True] * 8, 8, 1, 2)


def test_whoever_asks_is_told_that_it_is_away_and_for_how_long(clock: list[float]) -> None:
    seen, own = [], Breaker(lambda: (seen.append(own.outage("u")), DOWN if len(seen) < 4 else WELL)[1])
    assert own.suspect(clock[0]) is False, "what never answered may be starting"
    own.answered()
    clock[0] += 1
    assert own.suspect(clock[0]) is True
    first, *later = seen
    assert first is None
    assert [(one.url, one.why) for one in later if one] == [("u", "down")] * 3
    assert [round(one.seconds + one.left) for one in later if one] == [PATIENCE] * 3
    assert own.outage("u") is None, "it is back"


def test_what_was_given_up_stays_told(clock: list[float]) -> None:
    own = Breaker(lambda: WRONG)
    with pytest.raises(Away):
        own.doubt(clock[0])
    assert (found := own.outage("u")) and (found.why, found.left) == ("no such key", 0)
