from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import event

from operators.data import Edit, Finding, Outcome, Shard, Span, Status, Verdict
from pipelines.data import LeftOut, Plan, Planned, Repo, Shards
from pipelines.store import Store
from tests.pipelines.store.conftest import Open

EDIT = Edit({"a.py": "x = 2\n", "b.py": None}, "Sure: ä", ("note",), 10, 20)
FINDING = Finding("tests", "newly failing", "a.py:3")
REPO = Repo("billing", "/mirrors/billing.git", "c0ffee", "main")


def shard(key: str, *paths: str) -> Shard:
    return Shard(key, "billing", "c0ffee", paths or ("a.py",), (Span("a.py", "f", 1, 2),), ("c.md",))


def outcome(key: str, status: Status = "accepted") -> Outcome:
    verdicts = {
        "accepted": (Verdict(EDIT, (FINDING,)), Verdict(EDIT, (), ("inside: ok",))),
        "rejected": (Verdict(EDIT, (FINDING,)),),
    }.get(status, ())
    error = "a worker died" if status == "failed" else ""
    skipped = "syntax error on line 3" if status == "skipped" else ""
    return Outcome(shard(key), verdicts, error, skipped, 0.25)


@pytest.mark.parametrize("status", ["accepted", "unchanged", "skipped", "rejected", "failed"])
def test_outcomes_come_back_as_they_were(status: Status, store: Store) -> None:
    saved = outcome("k", status)
    assert saved.status == status
    store.save([(saved, 0)])
    assert store.outcomes(["k", "other"]) == {"k": [saved]}


def test_one_outcome_per_key_and_go(store: Store) -> None:
    store.save([(outcome("k"), 0)])
    store.save([(outcome("k", "rejected"), 0), (outcome("n"), 0)])
    assert store.outcomes(["k", "n"]) == {"k": [outcome("k")], "n": [outcome("n")]}


def test_what_failed_is_missing_until_it_is_done(store: Store) -> None:
    store.save([(outcome("k", "failed"), 0)])
    store.save([(replace(outcome("k", "failed"), error="again"), 0)])
    assert store.missing(["k", "n"]) == {"k": 0, "n": 0}
    assert [one.error for one in store.outcomes(["k"])["k"]] == ["again"], "the latest word"
    store.save([(outcome("k"), 0)])
    assert store.missing(["k", "n"]) == {"n": 0}
    assert store.outcomes(["k"]) == {"k": [outcome("k")]}


def test_reopening(store: Store) -> None:
    store.save([(outcome("k"), 0), (outcome("n"), 0)])
    assert store.reopen("k", "comment 1", FINDING)
    assert not store.reopen("k", "comment 1", FINDING), "the same cause counts once"
    assert store.reopen("n", "comment 1")
    assert (store.missing(["k", "n"]), store.goes(["k", "n", "o"])) == ({"k": 1, "n": 1}, {"k": 1, "n": 1})
    assert store.reopenings(["k", "n", "o"]) == {"k": [("comment 1", FINDING)], "n": [("comment 1", None)]}
    store.save([(outcome("k", "failed"), 1)])
    assert [one.status for one in store.outcomes(["k"])["k"]] == ["accepted", "failed"]
    assert store.missing(["k"]) == {"k": 1}
    store.save([(outcome("k", "rejected"), 1)])
    assert [one.status for one in store.outcomes(["k"])["k"]] == ["accepted", "rejected"]
    assert store.missing(["k"]) == {}
    assert store.reopen("k", "comment 2")
    assert store.missing(["k"]) == {"k": 2}


def test_reopening_many(store: Store) -> None:
    keys = [f"k{number}" for number in range(1201)]
    assert store.reopen_all([], "rule 1") == []
    assert store.reopen_all(keys[:700], "rule 1", FINDING) == keys[:700]
    assert store.reopen_all(keys, "rule 1", FINDING) == keys[700:], "for the others it is the same cause again"
    assert store.reopen_all(keys, "rule 2") == keys
    assert set(store.goes(keys).values()) == {2}


def test_a_failure_of_an_earlier_go_is_no_longer_told(store: Store) -> None:
    store.save([(outcome("k", "failed"), 0)])
    store.reopen("k", "retry")
    assert store.outcomes(["k"]) == {}


def count(store: Store, table: str) -> int:
    with store._database.engine.connect() as connection:
        return int(connection.exec_driver_sql(f"select count(*) from {table}").scalar_one())


class Machine(RuleBasedStateMachine):
    """The store against a few dictionaries."""

    make: Callable[[], Store]

    def __init__(self) -> None:
        super().__init__()
        self.store = self.make()
        self.done: dict[str, list[Status]] = {}
        self.failed: dict[str, int] = {}
        self.causes: dict[str, list[str]] = {}

    def teardown(self) -> None:
        with self.store._database.engine.begin() as connection:
            for table in ("outcomes", "failures", "reopened"):
                connection.exec_driver_sql(f"delete from {table}")

    @rule(key=st.sampled_from("kno"), status=st.sampled_from(["accepted", "rejected", "failed"]))
    def save(self, key: str, status: Status) -> None:
        go = len(self.causes.get(key, []))
        self.store.save([(outcome(key, status), go)])
        if status == "failed":
            self.failed[key] = go
        else:
            done = self.done.setdefault(key, [])
            done += ["unchanged"] * (go - len(done)) + ([status] if len(done) <= go else [])

    @rule(key=st.sampled_from("kno"), cause=st.sampled_from("xy"))
    def reopen(self, key: str, cause: str) -> None:
        causes = self.causes.setdefault(key, [])
        assert self.store.reopen(key, cause) == (cause not in causes)
        causes += [] if cause in causes else [cause]

    @rule()
    def look(self) -> None:
        goes = {key: len(causes) for key, causes in self.causes.items()}
        missing = {key: goes.get(key, 0) for key in "kno" if len(self.done.get(key, [])) <= goes.get(key, 0)}
        assert self.store.goes([*"kno"]) == goes
        assert self.store.missing([*"kno"]) == missing
        found = {key: [one.status for one in outcomes] for key, outcomes in self.store.outcomes([*"kno"]).items()}
        expected = {key: [status for status in done if status != "unchanged"] for key, done in self.done.items()}
        for key, go in self.failed.items():
            if key in missing and go == missing[key]:
                expected.setdefault(key, []).append("failed")
        assert found == {key: statuses for key, statuses in expected.items() if statuses}


def test_the_store_is_what_a_few_dictionaries_are(store: Store) -> None:
    run_state_machine_as_test(
        type("Known", (Machine,), {"make": lambda self: store}), settings=settings(max_examples=30, deadline=None)
    )


def plan(*names: str, **more: Any) -> Plan:
    planned = tuple(Planned(shard(f"key {name}", name), "umbau/j/a", "a", 2) for name in names)
    return Plan((REPO,), Shards(planned), **more)


ODD = ["a b.py", "-x.py", "'q'.py", '"d".py', "größe.py", "e\u0301.py", "\u202e.py", "a\\b.py", "%s.py", "🙂.py"]


def test_plans_come_back_as_they_were(store: Store) -> None:
    assert store.plan("j") is None
    saved = plan(
        *ODD, left_out=tuple(LeftOut("billing", name, "binary") for name in ODD), trouble={"ä": "ö"}, notes=("n",)
    )
    store.save_plan("j", saved)
    assert store.plan("j") == saved
    assert store.plan("other") is None


def test_the_latest_plan_counts_and_is_kept_once(store: Store) -> None:
    for names in (["a"], ["a"], ["a", "b"], [], ["a"], ["a"]):
        store.save_plan("j", plan(*names))
    assert store.plan("j") == plan("a")
    assert (count(store, "plans"), count(store, "parts")) == (4, 2), "of a repository the same is kept once"


def test_a_plan_that_is_saved_amid_a_purge_keeps_its_parts(opening: Open) -> None:
    store, purging = opening(), opening()
    for name in ("a", "b"):
        store.save_plan("j", plan(name))
    purging.purge.remove(purging.purge.superseded(["j"], time.time() + 60))
    planning = Thread(target=store.save_plan, args=("j", plan("a")))

    @event.listens_for(purging._database.engine, "before_cursor_execute")
    def meanwhile(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE FROM parts"):
            planning.start()
            planning.join(0.5)

    assert len(purging.purge.drop_loose()) == 1
    planning.join()
    assert store.plan("j") == plan("a")


def test_a_plan_that_lost_its_parts_has_them_once_it_is_saved_again(store: Store) -> None:
    store.save_plan("j", plan("a"))
    with store._database.engine.begin() as connection:
        connection.exec_driver_sql("delete from parts")
    store.save_plan("j", plan("a"))
    assert store.plan("j") == plan("a")
    assert count(store, "plans") == 1


def test_shards_are_found_by_name_and_key(store: Store) -> None:
    store.save_plan("j", plan("old.py"))
    store.save_plan("j", Plan((REPO,), Shards([Planned(Shard("abcd", "billing", "c", ("a.py",)), "b", "g")])))
    store.save_plan("k", Plan((REPO,), Shards([Planned(Shard("abce", "billing", "c", ("b.py",)), "b", "g")])))
    assert store.find("abc") == [(REPO, "abcd"), (REPO, "abce")]
    assert store.find("b.py") == [(REPO, "abce")]
    assert store.find("old.py") == []


def test_facts_stay_as_they_were_first(store: Store) -> None:
    assert store.fact("f") is None
    store.keep("f", {"results": {"a": "passed"}, "code": 0, "none": None})
    store.keep("f", {})
    assert store.kept(["e", "f"]) == {"f"}
    assert store.fact("f") == {"results": {"a": "passed"}, "code": 0, "none": None}


@pytest.mark.parametrize("name", ["store.db", "a b?c#d%20.db", "größe.db", ":memory:"])
def test_the_database_may_lie_anywhere(name: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "er" / name)
    store.save([(outcome("k"), 0)])
    store.close()
    assert (tmp_path / "deep" / "er" / name).exists()
    again = Store(tmp_path / "deep" / "er" / name)
    assert again.outcomes(["k"]) == {"k": [outcome("k")]}
    again.close()


def test_whatever_a_model_says_can_be_kept(store: Store) -> None:
    @settings(max_examples=50, deadline=None)
    @given(said=st.text(st.characters() | st.sampled_from("\0\ud800\udfff\u2028")))
    def keep(said: str) -> None:
        number = uuid4()
        odd = Outcome(shard(f"{number}"), (Verdict(Edit({"a.py": said}, said), (Finding(said, said),)),))
        store.save([(odd, 0), (outcome(f"n {number}"), 0)])
        (found,) = store.outcomes([odd.shard.key])[odd.shard.key]
        assert found.verdicts[0].edit.said == said.encode(errors="replace").decode()
        assert store.outcomes([f"n {number}"])

    keep()


def test_what_a_model_says_may_be_large(store: Store) -> None:
    long = "".join(chr(0x4E00 + number * number % 20_000) for number in range(3_000_000))
    saved = Outcome(shard("k"), (Verdict(Edit({"a.py": long}, long), ()),))
    store.save([(saved, 0)])
    assert store.outcomes(["k"]) == {"k": [saved]}


def test_many_keys_at_once(store: Store) -> None:
    keys = [f"key-{number:05}-{'x' * 50}" for number in range(10_000)]
    start = time.monotonic()
    for at in range(0, len(keys), 200):
        store.save([(outcome(key), 0) for key in keys[at : at + 200]])
    saved = time.monotonic()
    assert store.missing([*keys, "other"]) == {"other": 0}
    asked = time.monotonic()
    assert len(store.outcomes(keys)) == 10_000
    assert (saved - start, asked - saved, time.monotonic() - asked) < (30, 5, 10)


WRITER = """
import sys
from pathlib import Path
from pipelines.store import Store
from tests.pipelines.store.test_store import outcome, there

store = Store(there(sys.argv[1]))
with store.driving("j"):
    for number in range(10**6):
        store.save([(outcome(f"{number}-{one}"), 0) for one in range(5)])
        store.reopen(f"{number}-0", "cause")
        print(number, flush=True)
"""


def there(place: str) -> Path | str:
    """Return a place as another process was told it."""
    return place if "://" in place else Path(place)


def test_a_killed_writer_leaves_whole_facts(place: Path | str, opening: Open) -> None:
    for lines in (3, 8):  # the second begins again, as a driver does
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(place)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout
        told = [int(writer.stdout.readline()) for _ in range(lines)][-1]
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        store = opening()
        keys = [f"{number}-{one}" for number in range(told + 1) for one in range(5)]
        found = store.outcomes(keys)
        assert found == {key: [outcome(key)] for key in keys}, "what was told as saved is there"
        begun = [f"{told + 1}-{one}" for one in range(5)]
        assert len(store.outcomes(begun)) in {0, 5}, "a batch is there as a whole or not at all"


def append(place: Path | str, who: int) -> None:
    store = Store(place)
    with store.driving(f"job {who}"):
        for number in range(40):
            shared = [f"shared {number} {one}" for one in range(3)]  # in another order than the other has them
            store.save([(outcome(key), 0) for key in (*shared[:: 1 - 2 * who], f"{who} {number}")])
            store.reopen(f"shared {number}", "cause")
            store.keep(f"fact {number}", who)
            store.remember("last", who)
            store.save_plan(f"job {who}", plan(f"{number}"))
    store.close()


def test_two_processes_at_once(place: Path | str, opening: Open) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=append, args=(place, who)) for who in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    store = opening()
    keys = [f"{who} {number}" for who in (0, 1) for number in range(40)]
    keys += [f"shared {number} {one}" for number in range(40) for one in range(3)]
    assert {key: len(found) for key, found in store.outcomes(keys).items()} == dict.fromkeys(keys, 1)
    shared = [f"shared {number}" for number in range(40)]
    assert store.goes(shared) == dict.fromkeys(shared, 1)
    assert {store.fact(f"fact {number}") for number in range(40)} <= {0, 1}
    assert store.recall("last") in {0, 1}
