from __future__ import annotations

import pytest

from operators.data import Edit, Finding, Outage, Outcome, Shard, Verdict
from pipelines.course import LAST, Course
from pipelines.data import Task
from pipelines.lanes import Moment

SHARD = Shard("k", "billing", "c", ("a.py",))
BAD = Verdict(Edit({"a.py": "1"}, tokens_in=100, tokens_out=10), (Finding("tests", "broken"),))
GOOD = Verdict(Edit({"a.py": "2"}, tokens_in=200, tokens_out=20))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def course(clock: Clock) -> Course:
    made = Course("count", clock)
    made.begin("run", 0, 10)
    made.counted(2, {"accepted": 1, "waiting": 9})
    return made


def test_shards_that_come_to_an_end(course: Course, clock: Clock) -> None:
    clock.now += 10
    course.landed([(Task(SHARD), Outcome(SHARD, (BAD, GOOD))), (Task(SHARD), Outcome(SHARD, (BAD,)))])
    course.landed([(Task(SHARD), Outcome(SHARD)), (Task(SHARD), Outcome(SHARD, error="no space\nmore"))])
    now = course.now()
    assert now.counts == {"accepted": 2, "rejected": 1, "unchanged": 1, "failed": 1, "waiting": 5}
    assert (now.rate, now.left, now.read, now.written) == (0.4, 12.5, 40.0, 4.0)
    assert now.failures == {"rejected: tests": 1, "failed: no space": 1}
    assert (now.repos, now.began, now.at) == (2, 1000.0, 1010.0)


def test_tokens_of_an_earlier_go_are_not_counted_again(course: Course, clock: Clock) -> None:
    clock.now += 10
    course.landed([(Task(SHARD, (BAD,), go=1), Outcome(SHARD, (BAD, GOOD)))])
    assert (course.now().read, course.now().written) == (20.0, 2.0)


def test_what_was_wrong_long_ago_is_not_of_late(course: Course) -> None:
    course.landed([(Task(SHARD), Outcome(SHARD, (BAD,)))])
    course.landed([(Task(SHARD), Outcome(SHARD))] * LAST)
    assert course.now().failures == {}


def test_what_is_in_hand_belongs_to_the_stage(course: Course) -> None:
    out = Outage("u", "model endpoint u cannot be reached\x1b[2J", 3.0, 100.0)
    course.looked(Moment((out, out), 64, 48, 8))
    now = course.now()
    assert (now.flight, now.asking, now.testing) == (64, 48, 8)
    assert now.away == ("model endpoint u cannot be reached",)
    course.begin("gather", 0, None)
    now = course.now()
    assert (now.stage, now.flight, now.left) == ("gather", 0, None)


def test_paused_nobody_knows_when_it_ends(course: Course) -> None:
    course.landed([(Task(SHARD), Outcome(SHARD))] * 5)
    assert course.now().left
    course.pause("the model is gone")
    assert (course.now().left, course.now().paused) == (None, "the model is gone")
