"""The audit log in both kinds of database: without gaps whoever writes, once each, and never changed."""

from __future__ import annotations

import multiprocessing
from contextlib import closing

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from pipelines.store import Store
from tests.pipelines.store.conftest import Open, Place
from tests.pipelines.store.test_store import there


def test_rows_follow_each_other(store: Store) -> None:
    store.audit.note("ada@host", "run started", "j", {"shards": 3, "of": "ü"})
    store.audit.note("forge/bob", "closed", "k")
    first, second = store.audit.rows()
    assert (first.number, first.who, first.what, first.job, first.facts) == (
        1,
        "ada@host",
        "run started",
        "j",
        {"shards": 3, "of": "ü"},
    )
    assert second.before == first.hash
    assert [one.number for one in store.audit.rows("k")] == [2]
    assert str(store.audit.head()) == f"2:{second.hash}"
    assert (store.audit.verify().last.number, store.audit.verify(1).last.number, store.audit.verify(1).wrong) == (
        2,
        2,
        "",
    )
    last = store.audit.last("j", "run started", "run ended")
    assert last and last.number == 1
    assert store.audit.last("j", "run ended") is None
    assert store.audit.at(2) == second.hash
    assert store.audit.at(3) == ""


def test_the_same_mark_is_one_row(opening: Open) -> None:
    for _ in range(2):
        opening().audit.note("umbau", "published", "j", mark="published a b c")
    assert [one.mark for one in opening().audit.rows()] == ["published a b c"]
    for _ in range(2):
        opening().audit.note("umbau", "closed", "j", mark="closed a", again=True)
    opening().audit.note("forge", "closed", "j", mark="closed a")
    assert [one.who for one in opening().audit.rows()] == ["umbau"] * 3


def write(place: Place, who: int) -> None:
    with closing(Store(there(str(place)))) as store:
        for number in range(20):
            store.audit.note(f"w{who}@host", "retried", "j", {"n": number})
            store.audit.note(f"w{who}@host", "published", "j", mark=f"published {number}")


def test_all_may_write_at_once(place: Place, opening: Open) -> None:
    store = opening()
    spawn = multiprocessing.get_context("spawn")
    all_ = [spawn.Process(target=write, args=(place, who)) for who in range(2)]
    for one in all_:
        one.start()
    with store.driving("j"):  # as a driver does, on the connection of its turn
        for number in range(20):
            store.audit.note("umbau", "merged", "j", {"n": number})
    for one in all_:
        one.join(120)
    assert [one.exitcode for one in all_] == [0] * len(all_)
    found = store.audit.verify()
    assert (found.last.number, found.wrong, store.audit.count()) == (2 * 20 + 20 + 20, "", 80)


@pytest.mark.parametrize(
    "change", ["update audit set who = 'eve'", "delete from audit", "delete from audit where number = 1"]
)
def test_the_database_itself_refuses_changes(store: Store, change: str) -> None:
    store.audit.note("ada@host", "paused", "j")
    with pytest.raises(DBAPIError, match="audit rows stay as they are"), store._database.engine.begin() as connection:
        connection.execute(text(change))
    assert store.audit.verify().last.number == 1


@pytest.mark.parametrize(
    ("change", "last", "wrong"),
    [
        ("update audit set who = 'eve' where number = 3", 2, "row 3 does not say any more"),
        ("delete from audit where number = 3", 2, "row 3 is missing"),
        ("update audit set number = 100 - number where number > 3", 3, "row 4 is missing"),
        (
            "insert into audit select 99, at, 6, moment, who, what, job, 'x', body, before, 'y' from audit "
            "where number = 5",
            5,
            "row 6",
        ),
    ],
)
def test_who_gets_round_that_is_found_out(store: Store, change: str, last: int, wrong: str) -> None:
    for _ in range(5):
        store.audit.note("ada@host", "paused", "j")
    with store._database.engine.begin() as connection:
        if connection.dialect.name == "sqlite":
            for name in ("audit_no_update", "audit_no_delete"):
                connection.execute(text(f"drop trigger {name}"))
        else:
            connection.execute(text("drop trigger audit_no_change on audit"))
        connection.execute(text(change))
    found = store.audit.verify()
    assert found.last.number == last
    assert wrong in found.wrong
