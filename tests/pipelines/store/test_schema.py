from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from pydantic import TypeAdapter

from operators.data import Shard
from pipelines import store as room
from pipelines.data import Plan, Planned, Shards
from pipelines.errors import Refused
from pipelines.store import Store
from pipelines.store.packing import ANY, OUTCOME, PLAN, packed
from pipelines.store.tables import META, VERSION
from tests.pipelines.store.conftest import Open, Place
from tests.pipelines.store.test_store import REPO, count, outcome, plan

# What SQLAlchemy made of the tables before there were migrations.
OLD = """
CREATE TABLE plans (
    id INTEGER NOT NULL, at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, job VARCHAR, digest VARCHAR, body BLOB,
    PRIMARY KEY (id)
);
CREATE INDEX ix_plans_job ON plans (job);
CREATE TABLE planned (
    id INTEGER NOT NULL, at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, "plan" INTEGER, body BLOB, PRIMARY KEY (id)
);
CREATE INDEX ix_planned_plan ON planned ("plan");
CREATE TABLE outcomes (
    id INTEGER NOT NULL, at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, "key" VARCHAR, go INTEGER, status VARCHAR,
    body BLOB, PRIMARY KEY (id), UNIQUE ("key", go)
);
CREATE TABLE failures (
    id INTEGER NOT NULL, at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, "key" VARCHAR, go INTEGER, body BLOB,
    PRIMARY KEY (id)
);
CREATE INDEX ix_failures_key ON failures ("key");
CREATE TABLE reopened (
    id INTEGER NOT NULL, at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, "key" VARCHAR, cause VARCHAR, body BLOB,
    PRIMARY KEY (id), UNIQUE ("key", cause)
);
CREATE INDEX ix_reopened_key ON reopened ("key");
CREATE TABLE facts (
    id INTEGER NOT NULL, at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, "key" VARCHAR, body BLOB, PRIMARY KEY (id),
    UNIQUE ("key")
);
CREATE TABLE memories (
    id INTEGER NOT NULL, at DATETIME DEFAULT CURRENT_TIMESTAMP NOT NULL, "key" VARCHAR, body BLOB, PRIMARY KEY (id),
    UNIQUE ("key")
);
"""

ONE = TypeAdapter(Planned)
SHOP = Planned(Shard("s", "shop", "c", ("s.py",)), "b", "g")
BOTH = Plan((REPO,), Shards([*plan("a", "b").planned, SHOP]), notes=("n",))
PLANS = [("j", 1, plan("older")), ("k", 2, plan("a", "b")), ("j", 3, BOTH), ("empty", 4, plan())]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A store of an installation from before there were migrations."""
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as file:
        file.executescript(f"pragma journal_mode = wal; {OLD}")
        done, failed = packed(OUTCOME, outcome("k")), packed(OUTCOME, outcome("n", "failed"))
        file.execute("insert into outcomes (key, go, status, body) values ('k', 0, 'accepted', ?)", [done])
        for _ in range(2):
            file.execute("insert into failures (key, go, body) values ('n', 0, ?)", [failed])
        file.execute("insert into reopened (key, cause, body) values ('m', 'retry 1', ?)", [packed(ANY, None)])
        file.execute("insert into facts (key, body) values ('f', ?)", [packed(ANY, {"a": 1})])
        for job, number, planned in PLANS:
            head = packed(PLAN, replace(planned, planned=Shards()))
            file.execute("insert into plans (id, job, digest, body) values (?, ?, 'd', ?)", [number, job, head])
            for one in planned.planned:
                file.execute("insert into planned (plan, body) values (?, ?)", [number, packed(ONE, one)])
        file.commit()
    return path


def test_the_tables_are_what_the_migrations_make(store: Store) -> None:
    with store._database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), META) == []
    config = Config()
    config.set_main_option("script_location", str(Path(room.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [VERSION]


def test_an_old_store_is_upgraded_without_loss(old: Path) -> None:
    with closing(Store(old)) as store, store.driving("j"):
        assert store.outcomes(["k", "n"]) == {"k": [outcome("k")], "n": [outcome("n", "failed")]}
        assert (store.goes(["m"]), store.fact("f")) == ({"m": 1}, {"a": 1})
        assert not store.reopen("m", "retry 1")
        assert store.reopen("m", "retry 2")
        store.save([(outcome("n"), 0)])
        assert [store.plan(job) for job in ("j", "k", "empty")] == [BOTH, plan("a", "b"), plan()]
        assert count(store, "parts") == 2, "two jobs have the same of one repository"
        store.save_plan("j", plan("a"))
        assert store.plan("j") == plan("a")
        with store._database.engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), META) == []
    with closing(Store(old)) as store:
        assert store.outcomes(["n"]) == {"n": [outcome("n")]}


def test_an_upgrade_is_done_as_a_whole_or_not_at_all(old: Path) -> None:
    with closing(sqlite3.connect(old)) as file:
        file.execute("create table turns (id integer)")
        with pytest.raises(Refused, match=r"store\.db cannot be used: table turns already exists"):
            Store(old)
        names = {name for (name,) in file.execute("select name from sqlite_master")}
        assert "alembic_version" not in names
        assert not [row for row in file.execute("pragma table_info(failures)") if row[1] == "mark"]
        file.execute("drop table turns")
        file.commit()
    with closing(Store(old)) as store:
        assert store.outcomes(["k"])


def test_a_store_of_a_newer_version_is_left_alone(place: Place, opening: Open) -> None:
    store = opening()
    store.keep("f", 1)
    with store._database.engine.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    with pytest.raises(Refused, match=r"made by a newer Umbau \(version 9999 of its tables, \d+ is known here\)"):
        opening()
    assert store.fact("f") == 1


def opened(place: Place, who: int) -> None:
    with closing(Store(place)) as store:
        store.keep(f"f {who}", who)


def test_all_may_come_at_once(place: Place, opening: Open) -> None:
    spawn = multiprocessing.get_context("spawn")
    all_ = [spawn.Process(target=opened, args=(place, who)) for who in range(3)]
    for one in all_:
        one.start()
    for one in all_:
        one.join(60)
    assert [one.exitcode for one in all_] == [0] * len(all_)
    store = opening()
    assert [store.fact(f"f {who}") for who in range(3)] == [*range(3)]


def test_where_nothing_is_to_be_upgraded_alembic_is_not_loaded(place: Place, opening: Open) -> None:
    opening()
    code = (
        "import sys; from pipelines.store import Store; from tests.pipelines.store.test_store import there\n"
        "Store(there(sys.argv[1])).close(); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(place)], check=True)
