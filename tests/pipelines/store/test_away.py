from __future__ import annotations

import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from operators.data import Finding
from pipelines.errors import Refused
from pipelines.store import Store, away
from tests.pipelines.store.server import Server
from tests.pipelines.store.test_store import count, outcome, plan


@pytest.fixture
def url(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PGPASSWORD", "secret")
    return server.database()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["restarted", "crashed"])
def test_a_restart_amid_a_run_costs_time_alone(
    how: signal.Signals, server: Server, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    saved: list[str] = []
    over = threading.Event()

    def drive() -> None:
        with closing(Store(url)) as store, store.driving("count"):
            while not over.is_set():
                name = f"{len(saved)}"
                store.save([(outcome(f"{name} {one}"), 0) for one in range(3)] + [(outcome(f"{name} f", "failed"), 0)])
                store.reopen(f"{name} 0", "cause")
                store.save_plan("count", plan(name))
                assert store.missing([f"{name} 1"]) == {}
                saved.append(name)
            store.confirm()

    driver = threading.Thread(target=drive)
    driver.start()
    try:
        for _ in range(2):
            before = len(saved)
            _until(lambda before=before: len(saved) > before + 20)
            server.stop(how)
            time.sleep(0.7)
            server.start()
    finally:
        _until(lambda: len(saved) > before + 20)
        over.set()
        driver.join()
    with closing(Store(url)) as store:
        done, opened = [f"{name} {one}" for name in saved for one in range(3)], [f"{name} 0" for name in saved]
        assert {key: len(found) for key, found in store.outcomes(done).items()} == dict.fromkeys(done, 1)
        assert store.goes(opened) == dict.fromkeys(opened, 1)
        counts = {table: count(store, table) for table in ("failures", "plans", "parts")}
        assert counts == dict.fromkeys(counts, len(saved)), "nothing lost, nothing doubled"
        with store.driving("count"):
            assert store._database._turn and store._database._turn._epoch == 2, "it was one turn all the time"
    told = capfd.readouterr().err.splitlines()
    assert [line for line in told if "is away" in line or "is there again" in line] == told
    assert 2 <= len(told) <= 4, told


def _until(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.02)
    raise TimeoutError


def test_nobody_waits_for_ever(
    server: Server, url: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(away, "PATIENCE", 1.0)
    with closing(Store(url)) as store, store.driving("count"):
        store.keep("f", 1)
        server.stop()
        try:
            for act in (lambda: store.fact("f"), lambda: store.keep("g", 1), store.confirm):
                start = time.monotonic()
                with pytest.raises(Refused, match=r"has been away for 1 s .*What was saved is kept"):
                    act()
                assert 0.9 < time.monotonic() - start < 3
        finally:
            server.start()
        assert store.fact("f") == 1
        store.confirm()
    assert capfd.readouterr().err.count("is waited for, until") == 3


def test_a_full_disk_is_told_at_once(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store.db")) as store, store.driving("count"):
        store.keep("f", 1)
        for connection in _connections(store):
            connection.execute("pragma max_page_count = 1")
        start = time.monotonic()
        with pytest.raises(Refused, match=r"store\.db cannot be used: database or disk is full"):
            store.keep("g", "".join(f"{number:x}" for number in range(300_000)))
        assert time.monotonic() - start < 2
        assert store.fact("f") == 1


@pytest.mark.parametrize("drives", [True, False], ids=["driver", "other"])
def test_a_file_that_somebody_writes_anew_is_waited_for(
    drives: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with closing(Store(tmp_path / "store.db")) as store, store.driving("count") if drives else nullcontext():
        with closing(sqlite3.connect(tmp_path / "store.db", check_same_thread=False)) as purge:
            for connection in _connections(store) if drives else _pooled(store):
                connection.execute("pragma busy_timeout = 50")
            purge.execute("begin immediate")
            end = threading.Timer(1.0, purge.rollback)
            end.start()
            store.keep("f", 1)
            end.join()
        assert store.fact("f") == 1
    assert "is away (database is locked): it is waited for" in capfd.readouterr().err


def _pooled(store: Store) -> Iterator[sqlite3.Connection]:
    """Yield the connection that the next act is done on."""
    with store._database.engine.connect() as connection:
        yield connection.connection.dbapi_connection  # type: ignore[misc]


def _connections(store: Store) -> Iterator[sqlite3.Connection]:
    turn = store._database._turn
    assert turn and turn._connection
    yield turn._connection.connection.dbapi_connection  # type: ignore[misc]


class Lossy:
    """Stands between us and the server; asked to, it has a commit done and keeps its answer to itself."""

    def __init__(self, port: int) -> None:
        self._to, self._listening = port, socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.lose = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                ours = self._listening.accept()[0]
                theirs = socket.create_connection(("127.0.0.1", self._to))
                cut = threading.Event()
                for pair in ((ours, theirs, True), (theirs, ours, False)):
                    threading.Thread(target=self._pass, args=(*pair, cut), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, asks: bool, cut: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if asks and self.lose and b"COMMIT" in data:
                    self.lose -= 1
                    cut.set()
                elif cut.is_set():  # it is done
                    break
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def lossy(server: Server, url: str) -> Iterator[tuple[Lossy, Store, Store]]:
    between = Lossy(server.port)
    with closing(Store(url)) as looking, closing(Store(url.replace(f":{server.port}/", f":{between.port}/"))) as store:
        yield between, store, looking
    between.close()


ACTS: dict[str, tuple[Callable[[Store], Any], str, Any]] = {
    "outcomes": (lambda store: store.save([(outcome("k"), 0), (outcome("n"), 0)]), "outcomes", None),
    "a failure": (lambda store: store.save([(outcome("k", "failed"), 0)]), "failures", None),
    "a plan": (lambda store: store.save_plan("j", plan("a")), "plans", None),
    "another go": (lambda store: store.reopen("k", "cause", Finding("review", "no")), "reopened", True),
    "a fact": (lambda store: store.keep("f", 1), "facts", None),
    "a memory": (lambda store: store.remember("f", 1), "memories", None),
}


@pytest.mark.parametrize("drives", [True, False], ids=["driver", "other"])
@pytest.mark.parametrize(("act", "table", "says"), ACTS.values(), ids=ACTS)
def test_what_was_done_though_nobody_said_so_is_done_once(
    act: Callable[[Store], Any], table: str, says: Any, drives: bool, lossy: tuple[Lossy, Store, Store]
) -> None:
    between, store, looking = lossy
    with store.driving("j") if drives else nullcontext():
        between.lose = 2
        assert act(store) is says
        assert not between.lose
    assert count(looking, table) == (2 if table == "outcomes" else 1)
    assert act(store) is (None if says is None else False)
    assert count(looking, table) == (2 if table in {"outcomes", "failures"} else 1), "a shard may fail twice"


def test_a_turn_that_was_begun_though_nobody_said_so_is_begun(lossy: tuple[Lossy, Store, Store]) -> None:
    between, store, looking = lossy
    between.lose = 2
    with store.driving("j"):
        store.keep("f", 1)
    assert looking.fact("f") == 1
