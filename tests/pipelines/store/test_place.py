from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.credentials import withheld
from pipelines.errors import Refused
from pipelines.store import Store, opened
from tests.pipelines.store.server import Server

SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"postgresql://umbau:{SECRET}@db/umbau", "holds a password"),
        (f"postgresql://umbau:{SECRET}/x@db/umbau", "holds a password"),
        (f"postgresql://umbau:{SECRET}%zz@db/umbau", "holds a password"),
        (f"postgresql://umbau@db/umbau?password={SECRET}", "holds a password"),
        (f"postgres://umbau@db/umbau?sslmode=require&sslpassword={SECRET}", "holds a password"),
        ("postgresql+psycopg://umbau@db/umbau", "is no URL of a PostgreSQL database, as postgresql://"),
        ("mysql://umbau@db/umbau", "is no URL"),
        ("sqlite:////tmp/store.db", "is no URL"),
        ("store.db", "is no URL"),
        (f"host=db password={SECRET}", "is no URL"),
        (f"postgresql://umbau@db/umbau?{SECRET}", "is no URL"),
        ("postgresql://umbau@[::1/umbau", "is no URL"),
        ("postgresql://", "is no URL"),
    ],
)
def test_what_is_no_place_for_a_store(url: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_STORE", url)
    with pytest.raises(Refused, match=why) as caught:
        opened(tmp_path)
    assert SECRET not in str(caught.value)
    assert ("PGPASSWORD" in str(caught.value)) == ("password" in why)
    assert not (tmp_path / "store.db").exists(), "nothing is kept elsewhere"


@pytest.mark.parametrize("unset", [None, ""])
def test_without_a_url_it_is_a_file(unset: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UMBAU_STORE", raising=False)
    if unset is not None:
        monkeypatch.setenv("UMBAU_STORE", unset)
    with closing(opened(tmp_path)) as store:
        store.keep("f", 1)
    assert (tmp_path / "store.db").exists()


def show(url: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "UMBAU_STORE": url, "UMBAU_HOME": str(home), **more}
    argv = [sys.executable, "-c", "from pipelines.cli import main; main()", "show", "nothing"]
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=30)


def test_a_database_that_cannot_be_had_is_told_in_a_line(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.database()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nowhere = f"postgresql://umbau@127.0.0.1:{taken.getsockname()[1]}/umbau"
        for place, password, why in (
            (nowhere, "secret", f"the store {nowhere} cannot be used: connection failed: .*Connection refused"),
            (url, "", "no password supplied.* Give it in PGPASSWORD"),
            (server.url("nobodys"), "secret", 'database "nobodys" does not exist. Make it: createdb'),
            (url.replace("umbau@", "eve@"), "secret", "password authentication failed"),
            (f"{url}?sslmode=require", "secret", "server does not support SSL"),
        ):
            monkeypatch.setenv("PGPASSWORD", password)
            with pytest.raises(Refused, match=why) as caught:
                Store(place)
            assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_wrong_password_is_told_in_a_line(server: Server, tmp_path: Path) -> None:
    url = server.database()
    done = show(url, tmp_path, PGPASSWORD=SECRET)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert re.search(
        f"the store {url} cannot be used: .*password authentication failed.* Give it in PGPASSWORD, in the file that "
        "PGPASSFILE names, or in ~/.pgpass",
        done.stderr,
    )
    assert SECRET not in done.stderr
    assert "no shard is called nothing" in show(url, tmp_path, PGPASSWORD="secret").stderr


def test_who_may_make_no_tables_there_is_told_so(server: Server, tmp_path: Path) -> None:
    url = server.database()
    server.ask("create role guest login password 'secret'")
    done = show(url.replace("umbau@", "guest@"), tmp_path, PGPASSWORD="secret")
    assert done.returncode == 2
    assert "permission denied for schema public" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_libpqs_own_ways_to_give_a_password(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url, file = server.database(), tmp_path / "passwords"
    file.write_text("127.0.0.1:*:*:umbau:secret\n")
    file.chmod(stat.S_IRUSR | stat.S_IWUSR)
    service = tmp_path / "services"
    service.write_text("[ours]\npassword=secret\n")
    for name, value in (
        ({"PGPASSWORD": "secret"}, ""),
        ({"PGPASSFILE": str(file)}, ""),
        ({"PGSERVICEFILE": str(service), "PGSERVICE": "ours"}, ""),
        ({}, f"?passfile={file}"),
        ({"PGSERVICEFILE": str(service)}, "?service=ours"),
    ):
        with monkeypatch.context() as patch:
            for key, text in name.items():
                patch.setenv(key, text)
            with closing(Store(url + value)) as store, withheld(None):
                store._database.engine.dispose()  # it is entered anew
                store.keep("f", 1)
                assert store.fact("f") == 1


def test_how_the_store_is_entered_is_withheld_from_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {"PGPASSWORD", "PGPASSFILE", "UMBAU_STORE"}
    for name in names:
        monkeypatch.setenv(name, SECRET)
    with withheld(None):
        child = subprocess.run(["env"], capture_output=True, text=True, check=True).stdout
        assert SECRET not in child
    assert {name for name in names if os.environ[name] == SECRET} == names


def test_without_its_driver_it_is_told_what_to_install(tmp_path: Path) -> None:
    code = "import sys; sys.modules['psycopg'] = None\nfrom pipelines.cli import main; main()"
    env = {**os.environ, "UMBAU_STORE": "postgresql://umbau@db/umbau", "UMBAU_HOME": str(tmp_path)}
    argv = [sys.executable, "-c", code, "show", "nothing"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "a store in PostgreSQL needs its driver: install umbau[cluster]\n")
