from __future__ import annotations

import pickle

import pytest

from operators.data import Base, Completion, Edit, Finding, Outcome, Ruling, Shard, Span, Verdict

SHARD = Shard("0" * 64, "billing", "c" * 40, ("app/a.py",))
EDIT, NO_EDIT = Edit({"app/a.py": "x\n"}, tokens_in=3, tokens_out=2), Edit({}, tokens_in=1)
FAULT = (Finding("tests", "broken"),)


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome(SHARD), "unchanged"),
        (Outcome(SHARD, (Verdict(NO_EDIT),)), "unchanged"),
        (Outcome(SHARD, (Verdict(EDIT),)), "accepted"),
        (Outcome(SHARD, (Verdict(EDIT, FAULT), Verdict(EDIT))), "accepted"),
        (Outcome(SHARD, (Verdict(EDIT), Verdict(EDIT, FAULT))), "rejected"),
        (Outcome(SHARD, (Verdict(NO_EDIT, FAULT),)), "rejected"),
        (Outcome(SHARD, (Verdict(EDIT),), error="worker died"), "failed"),
        (Outcome(SHARD, error="worker died", skipped="binary"), "failed"),
        (Outcome(SHARD, skipped="binary"), "skipped"),
        (Outcome(SHARD, (Verdict(EDIT),), skipped="binary"), "skipped"),
    ],
)
def test_the_status_follows_from_the_facts(outcome: Outcome, status: str) -> None:
    assert outcome.status == status
    assert outcome.edit == (EDIT if status == "accepted" else None)


def test_tokens_are_those_of_all_attempts() -> None:
    assert Outcome(SHARD, (Verdict(NO_EDIT, FAULT), Verdict(EDIT))).tokens == (4, 2)


@pytest.mark.parametrize(
    ("paths", "symbols", "name"),
    [
        (("app/a.py",), (), "app/a.py"),
        (("app/a.py", "app/b.py"), (), "app (2 files)"),
        (("a.py", "b.py"), (), ". (2 files)"),
        (("app/a.py",), ("A.f",), "app/a.py::A.f"),
        (("app/a.py",), ("A.f", "g"), "app/a.py::A.f, g"),
    ],
)
def test_a_shard_is_called_by_what_it_holds(paths: tuple[str, ...], symbols: tuple[str, ...], name: str) -> None:
    spans = tuple(Span(paths[0], symbol, 1, 2) for symbol in symbols)
    assert Shard("0", "billing", "c", paths, spans).name == name


@pytest.mark.parametrize(
    "value",
    [
        Outcome(SHARD, (Verdict(EDIT, FAULT, ("seen",)),), "error", "skipped", 1.5),
        Base("billing", "c", "/mirror", "/python", "", {"pytest": {"code": 0}}),
        Completion("x", 1, 2, True),
        Ruling(FAULT, "seen"),
    ],
)
def test_values_travel_between_processes(value: object) -> None:
    assert pickle.loads(pickle.dumps(value)) == value
