from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection

from pipelines.store import Busy, Lost, Store
from tests.pipelines.store.conftest import Open, Place
from tests.pipelines.store.server import Server
from tests.pipelines.store.test_store import outcome

DRIVER = """
import sys
from pathlib import Path
from pipelines.store import Store
from tests.pipelines.store.test_store import outcome, there

store = Store(there(sys.argv[1]))
with store.driving("count"):
    print("drives", flush=True)
    for line in sys.stdin:
        store.save([(outcome(line.strip()), 0)])
        store.confirm()
        print(line, end="", flush=True)
"""


@contextmanager
def other(place: Place) -> Iterator[subprocess.Popen[str]]:
    """Give a process that drives `count`, and saves an outcome for each line that it is told."""
    argv = [sys.executable, "-c", DRIVER, str(place)]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout and process.stdout.readline() == "drives\n"
            yield process
        finally:
            process.kill()


def tell(process: subprocess.Popen[str], key: str) -> None:
    assert process.stdin
    process.stdin.write(f"{key}\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def backends(server: Server, url: str) -> list[int]:
    """Return the server's processes that hold the lock of a turn in a database."""
    name = url.rpartition("/")[2]
    locks = "pg_locks join pg_database on pg_database.oid = database"
    question = f"select pid from {locks} where locktype = 'advisory' and datname = '{name}'"
    return [pid for (pid,) in server.ask(question)]


def test_one_process_at_a_time(opening: Open) -> None:
    one, two, reader = opening(), opening(), opening()
    with one.driving("count"):
        with pytest.raises(Busy, match="count is being run by another process"), two.driving("count"):
            pass
        with two.driving("other"):
            two.keep("f", 2)
        one.save([(outcome("k"), 0)])
        assert reader.outcomes(["k"]) == {"k": [outcome("k")]}, "readers any"
        assert reader.reopen("k", "retry 1"), "as does who asks for another go"
    with two.driving("count"):
        two.confirm()
        one.confirm()  # drives nothing, and is asked nothing


def test_a_process_that_dies_lets_go(place: Place, opening: Open) -> None:
    with other(place) as driver:
        tell(driver, "k")
        assert hear(driver) == "k"
        store = opening()
        with pytest.raises(Busy), store.driving("count"):
            pass
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        start = time.monotonic()
        while True:
            try:
                with store.driving("count"):
                    break
            except Busy:
                assert time.monotonic() - start < 5
                time.sleep(0.01)
    assert store.outcomes(["k"])


def test_who_asks_whether_a_job_is_driven_takes_no_turn(opening: Open) -> None:
    store, looking = opening(), opening()
    assert not looking.driven("count")
    with store.driving("count"):
        assert looking.driven("count")
        assert not looking.driven("other")
        assert store._database._turn and store._database._turn._epoch == 1
    idle(looking)
    with store.driving("count"):
        assert store._database._turn and store._database._turn._epoch == 2, "nobody had one in between"


def idle(looking: Store) -> None:
    """Wait until the server has noticed that nobody drives `count`."""
    while looking.driven("count"):
        time.sleep(0.02)


@pytest.fixture
def shared(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database that more than one machine can reach."""
    monkeypatch.setenv("PGPASSWORD", "secret")
    return server.database()


def test_who_was_frozen_and_lost_the_turn_writes_nothing_any_more(server: Server, shared: str) -> None:
    with closing(Store(shared)) as store, other(shared) as driver:
        tell(driver, "before")
        assert hear(driver) == "before"
        driver.send_signal(signal.SIGSTOP)
        (held,) = backends(server, shared)
        server.ask(f"select pg_terminate_backend({held})")  # as when the server misses its machine
        tell(driver, "late")
        with store.driving("count"):
            store.save([(outcome("mine"), 0)])
            driver.send_signal(signal.SIGCONT)
            _, said = driver.communicate(timeout=20)
            assert "another process drives count now; this one has stopped" in said
            store.save([(outcome("mine too"), 0)])
        assert [*store.outcomes(["before", "late", "mine", "mine too"])] == ["before", "mine", "mine too"]


def test_it_stays_lost_when_the_other_has_ended(server: Server, shared: str) -> None:
    with closing(Store(shared)) as store, closing(Store(shared)) as rival:
        with store.driving("count"):
            server.ask(f"select pg_terminate_backend({backends(server, shared)[0]})")
            with rival.driving("count"):
                pass
            with pytest.raises(Lost):
                store.confirm()
            with pytest.raises(Lost):
                store.keep("f", 1)
        assert store.fact("f") is None
        with store.driving("count"):
            store.keep("f", 2)
        assert store.fact("f") == 2


def test_a_lock_that_broke_is_taken_anew(server: Server, shared: str, capfd: pytest.CaptureFixture[str]) -> None:
    with closing(Store(shared)) as store, closing(Store(shared)) as rival, store.driving("count"):
        (held,) = backends(server, shared)
        server.ask(f"select pg_terminate_backend({held})")
        store.keep("f", 1)
        assert backends(server, shared) not in ([], [held])
        with pytest.raises(Busy), rival.driving("count"):
            pass
    assert rival.fact("f") == 1
    assert capfd.readouterr().err == "", "over in no time"


def test_a_process_frozen_amid_a_transaction_holds_up_nobody(server: Server, shared: str) -> None:
    with closing(Store(shared)) as store, closing(Store(shared)) as rival, ExitStack() as theirs:

        def write(connection: Connection) -> None:
            connection.exec_driver_sql("set local idle_in_transaction_session_timeout = 300")
            while backends(server, shared):  # it is frozen
                time.sleep(0.02)
            theirs.enter_context(rival.driving("count"))
            connection.exec_driver_sql("insert into turns (job, epoch) values ('late', 1)")

        with store.driving("count"), pytest.raises(Lost):
            store._database.write(write)
        rival.confirm()
        assert server.ask("select job, epoch from turns", shared.rpartition("/")[2]) == [("count", 2)]


def test_a_driver_that_was_cut_off_goes_on_though_somebody_looked(server: Server, shared: str) -> None:
    with closing(Store(shared)) as store, closing(Store(shared)) as looking, store.driving("count"):
        server.ask(f"select pg_terminate_backend({backends(server, shared)[0]})")
        idle(looking)
        store.confirm()
        assert looking.driven("count")


def test_the_server_is_told_to_notice_who_vanishes(shared: str) -> None:
    with closing(Store(shared)) as store, store.driving("count"):
        told = store._database.write(
            lambda connection: connection.exec_driver_sql(
                "select name, setting from pg_settings where name like 'tcp_keep%%' or name like 'idle%%'"
            ).all()
        )
    assert {(name, int(value)) for name, value in told} >= {
        ("tcp_keepalives_idle", 20),
        ("tcp_keepalives_interval", 10),
        ("tcp_keepalives_count", 4),
        ("idle_in_transaction_session_timeout", 60_000),
        ("idle_session_timeout", 0),
    }


def test_a_file_that_was_lost_is_no_turn(tmp_path: Path) -> None:
    """Somebody removed what stands for the lock: both would drive, were it not for the number of the turn."""
    place = tmp_path / "store.db"
    with closing(Store(place)) as store, closing(Store(place)) as rival, store.driving("count"):
        (tmp_path / "locks" / "count").unlink()
        with rival.driving("count"):
            rival.keep("f", 1)
            with pytest.raises(Lost, match="another process drives count now"):
                store.keep("f", 2)
    assert store.fact("f") == 1
