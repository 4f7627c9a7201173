from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.data import Base, Edit, Finding, Outcome, Skip, Verdict
from operators.refine import judged, refine
from operators.workspace import Workspace
from tests.operators.conftest import shard_of
from tests.operators.scripted import Finds, Proposes

BASE = Base("billing", "c" * 40, "/nowhere/mirrors/billing.git")
WS, SHARD = Workspace(BASE), shard_of(BASE, "a.py")
ONE, OTHER = Edit({"a.py": "1\n"}), Edit({"a.py": "2\n"})


class Mute(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def run(operator: Proposes, *checks: Finds, attempts: int = 3, past: tuple[Verdict, ...] = ()) -> Outcome:
    def judge(ws: Workspace, shard: object, edit: Edit) -> Verdict:
        return judged(ws, SHARD, edit, checks)

    return refine(WS, SHARD, operator, judge, attempts=attempts, past=past)


def test_an_edit_that_nobody_faults_is_accepted_at_once() -> None:
    operator = Proposes([ONE, OTHER])
    outcome = run(operator, Finds([]))
    assert (outcome.status, outcome.edit, len(outcome.verdicts)) == ("accepted", ONE, 1)
    assert outcome.seconds >= 0


def test_it_is_noted_when_each_attempt_and_check_began_and_how_long_it_took() -> None:
    before = time.time()
    outcome = run(Proposes([ONE, OTHER]), Finds(["wrong"]), Finds([]))
    times = [
        outcome.start,
        *(at for one in outcome.verdicts for at in (one.start, *(check.start for check in one.timed))),
    ]
    assert before <= times[0] and times == sorted(times) and times[-1] <= time.time()
    assert [[(one.kind, one.findings) for one in verdict.timed] for verdict in outcome.verdicts] == [
        [("finds", 1)],
        [("finds", 0), ("finds", 0)],
    ]
    for verdict in outcome.verdicts:
        assert sum(one.seconds for one in verdict.timed) <= verdict.seconds <= outcome.seconds
        assert all(one.whole == one.seconds for one in verdict.timed), "nobody shared it"


def test_the_next_attempt_sees_what_was_found() -> None:
    operator = Proposes([ONE, OTHER])
    outcome = run(operator, Finds(["wrong"]))
    assert (outcome.status, outcome.edit) == ("accepted", OTHER)
    assert operator.seen[1][1] == (Verdict(ONE, (Finding("own", "wrong"),)),)
    assert outcome.verdicts[0] == operator.seen[1][1][0]


def test_attempts_come_to_an_end() -> None:
    operator = Proposes([ONE, OTHER, ONE, OTHER])
    outcome = run(operator, Finds(["wrong"] * 9), attempts=2)
    assert (outcome.status, len(outcome.verdicts), len(operator.seen)) == ("rejected", 2, 2)


def test_an_operator_that_has_nothing_more_to_say_ends_the_loop() -> None:
    assert run(Proposes([None])).status == "unchanged"
    assert run(Proposes([ONE, None]), Finds(["wrong"])).status == "rejected"


def test_the_loop_goes_on_from_what_is_past() -> None:
    past = (Verdict(ONE, (Finding("reviewer", "louder"),)),)
    operator = Proposes([OTHER])
    outcome = run(operator, past=past)
    assert operator.seen[0][1] == past
    assert outcome.verdicts == (*past, Verdict(OTHER))


def test_checks_are_asked_in_turn_until_one_finds_fault() -> None:
    first, second, third = Finds([None], proof="seen"), Finds(["wrong"]), Finds(["never asked"])
    verdict = judged(WS, SHARD, ONE, [first, second, third])
    assert verdict == Verdict(ONE, (Finding("own", "wrong"),), ("seen",))
    assert third.findings == ["never asked"]


def test_what_the_checks_looked_at_is_kept() -> None:
    assert judged(WS, SHARD, ONE, [Finds([], proof="a"), Finds([]), Finds([], proof="b")]).proof == ("a", "b")


def test_what_each_kind_of_check_took_is_added_up() -> None:
    edit = Edit({"a.py": "1\n"}, waited=1.5, gpu_seconds=12.0)
    outcome = run(Proposes([edit, edit]), Finds(["wrong"]), Finds([]))
    assert set(outcome.judging) == {"finds"}
    assert outcome.judging["finds"] == sum(verdict.times["finds"] for verdict in outcome.verdicts) > 0
    assert (outcome.waited, outcome.gpu_seconds) == (3.0, 24.0)
    assert outcome.verdicts[0] == Verdict(ONE, (Finding("own", "wrong"),)), "time is no difference"


def test_an_edit_that_could_not_be_understood_is_not_judged() -> None:
    check = Finds(["never asked"])
    said, unsaid = Edit({"a.py": "x"}, said="words", trouble="no block"), Edit({}, trouble="exit code 1")
    assert judged(WS, SHARD, said, [check]).findings == (Finding("reply", "no block"),)
    silent = Edit({}, tokens_in=9, trouble="The reply was empty.")
    assert judged(WS, SHARD, silent, [check]).findings == (Finding("reply", "The reply was empty."),)
    assert judged(WS, SHARD, unsaid, [check]).findings == (Finding("step", "exit code 1"),)
    assert check.findings == ["never asked"]


def test_an_edit_without_files_needs_no_judge() -> None:
    assert judged(WS, SHARD, Edit({}, said="NO CHANGE NEEDED"), [Finds(["never asked"])]).passed


def test_a_skip_is_told_apart_from_an_error() -> None:
    assert run(Proposes([Skip("binary")])).skipped == "binary"
    assert run(Proposes([ONE]), Finds([Skip("binary")])).status == "skipped"
    outcome = run(Proposes([ONE, OSError(28, "No space left on device")]), Finds(["wrong"]))
    assert outcome.error == "OSError: [Errno 28] No space left on device"
    assert len(outcome.verdicts) == 1, "what was done so far is kept"


anything = st.sampled_from(
    [
        None,
        ONE,
        Edit({}),
        Edit({}, trouble="no block"),
        Skip("binary"),
        ValueError("x"),
        KeyError(),
        Mute(),
        RecursionError(),
        MemoryError(),
        AssertionError(),
        SystemExit(3),
        StopIteration(),
        UnicodeEncodeError("ascii", "ü", 0, 1, "no"),
        OSError(28, "No space left on device"),
        "not an edit at all",
        42,
    ]
)
troubles = st.sampled_from([None, "wrong", Skip("binary"), ValueError("x"), Mute(), SystemExit(1), StopIteration(), 42])


@given(st.lists(anything, max_size=6), st.lists(troubles, max_size=6), st.integers(0, 4))
def test_the_loop_never_raises(edits: list[object], findings: list[object], attempts: int) -> None:
    outcome = run(Proposes(list(edits)), Finds(list(findings)), attempts=attempts)  # type: ignore[arg-type]
    assert outcome.shard is SHARD
    assert len(outcome.verdicts) <= attempts
    assert outcome.status in {"accepted", "unchanged", "skipped", "rejected", "failed"}
    if outcome.status == "failed":
        assert outcome.error


def test_somebody_who_wants_to_stop_is_not_held() -> None:
    with pytest.raises(KeyboardInterrupt):
        run(Proposes([KeyboardInterrupt()]))
