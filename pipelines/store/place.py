"""Where the store lies: in a file, or in a PostgreSQL database."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from operators import outward
from operators.folders import alone
from operators.hosts import literal
from pipelines.errors import Refused
from pipelines.store.away import words
from pipelines.store.schema import ready

VARIABLE = "UMBAU_STORE"
# What tells how the store is entered. https://www.postgresql.org/docs/current/libpq-envars.html
SECRETS = (VARIABLE, "PGPASSWORD", "PGPASSFILE")
_SERVICE = "PGSERVICE"
_PASSWORD = "Give it in PGPASSWORD, in the file that PGPASSFILE names, or in ~/.pgpass, as for psql"
# Somebody who has vanished is noticed in about a minute, on either side: seconds, but for the user time-out (ms).
# https://www.postgresql.org/docs/current/libpq-connect.html, .../runtime-config-connection.html
_HERE = {
    "connect_timeout": "10",
    "keepalives_idle": "20",
    "keepalives_interval": "10",
    "keepalives_count": "4",
    "tcp_user_timeout": "60000",
    "fallback_application_name": "umbau",
}
_THERE = {
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "60000",
    "idle_in_transaction_session_timeout": "60000",  # a frozen process holds up nobody
    "idle_session_timeout": "0",  # a driver may wait for a model for hours
}


def file(path: Path, *, upgrade: bool = True) -> Engine:
    """Open a file with its tables as they should be. Raises Refused."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(URL.create("sqlite", database=str(path)))  # whatever signs the path has

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        """Make SQLite survive a killed process and let others read meanwhile."""
        connection.isolation_level = None  # it is we who begin
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        if connection.get_execution_options().get("writes"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # what is read in it is still so when it writes

    with alone(path.with_suffix(".lock")):  # SQLite waits for nobody where it changes how it keeps its journal
        return _opened(engine, str(path), lambda why: f"the store {path} cannot be used: {why}", upgrade)


def database(url: str, *, upgrade: bool = True) -> tuple[Engine, str]:
    """Open a PostgreSQL database, with its tables as they should be; return what it is called, too. Raises Refused."""
    name = url.partition("?")[0]
    settings = _settings(url)
    import psycopg

    try:
        with suppress(psycopg.OperationalError):  # it is told where it is entered
            _pinned(settings)
    except outward.Forbidden as why:
        raise Refused(f"the store {name} is not used: {why}") from None
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(**_pinned(settings)), use_native_hstore=False
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _: Any) -> None:
        connection.autocommit = True
        asked = ", ".join(f"set_config('{key}', '{value}', false)" for key, value in _THERE.items())
        connection.execute(f"select {asked}")
        connection.autocommit = False

    said = f"the store {name} cannot be used"
    return _opened(engine, name, lambda why: f"{said}: {why}. {_advice(why)}", upgrade), name


def _settings(url: str) -> dict[str, Any]:
    """Return what libpq is given: the URL's, and what the environment says now, as it is withheld later. Raises
    Refused."""
    try:
        from psycopg.conninfo import conninfo_to_dict
        from psycopg.errors import Error
        from psycopg.pq import Conninfo
    except ImportError:
        raise Refused("a store in PostgreSQL needs its driver: install umbau[cluster]") from None
    if ":" in url.partition("://")[2].partition("?")[0].rpartition("@")[0]:
        raise Refused(f"{VARIABLE} holds a password, which ends up in logs and process lists: take it out. {_PASSWORD}")
    try:
        said = conninfo_to_dict(url) if url.startswith(("postgresql://", "postgres://")) else {}
    except Error:
        said = {}
    if not said:  # the URL itself is not told: who knows what is in it
        raise Refused(f"{VARIABLE} is no URL of a PostgreSQL database, as postgresql://umbau@db.example.eu/umbau is")
    if {"password", "sslpassword"} & {*said}:
        raise Refused(f"{VARIABLE} holds a password, which ends up in logs and process lists: take it out. {_PASSWORD}")
    with _serving(str(said.get("service") or "")):
        known = {one.keyword.decode(): one.val for one in Conninfo.get_defaults() if one.val != one.compiled}
    known.pop("service", None)  # what it stands for is there
    return _HERE | {key: value.decode() for key, value in known.items() if value} | said


@contextmanager
def _serving(service: str) -> Iterator[None]:
    """Have libpq say what a service of the URL stands for, hosts included, as it does of one in the environment."""
    before = os.environ.get(_SERVICE)
    if service:
        os.environ[_SERVICE] = service
    try:
        yield
    finally:
        if service and before is None:
            del os.environ[_SERVICE]
        elif before is not None:
            os.environ[_SERVICE] = before


def _pinned(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings by which libpq goes to the addresses that its hosts have now, and resolves nothing by itself.
    Raises outward.Forbidden when one of them may not be talked to, psycopg.OperationalError when none is known."""
    from psycopg import OperationalError

    names, given, ports = (str(settings.get(key) or "").split(",") for key in ("host", "hostaddr", "port"))
    found: list[tuple[str, str, str]] = []
    unknown = ""
    for at in range(max(len(names), len(given))):
        name, address = (one[at] if at < len(one) else "" for one in (names, given))
        port = ports[at] if at < len(ports) else ports[0]
        to = address or name
        if not to or to.startswith(("/", "@")):  # a socket of this machine
            found.append((name, address, port))
            continue
        outward.check_at("store", to, int(port or 5432))
        try:
            addresses = [to] if literal(to) else outward.resolved(to, int(port or 5432))
        except outward.Forbidden:
            raise
        except OSError as error:  # another may be there; libpq would ask again, and might be told anything
            unknown, addresses = f"{to} is not known here: {error.strerror}", []
        found += [(name, one, port) for one in addresses]
    if unknown and not found:
        raise OperationalError(unknown)
    columns = [",".join(column) for column in zip(*found, strict=True)]
    pinned = dict(zip(("host", "hostaddr", "port"), columns, strict=True))
    return settings | {key: text for key, text in pinned.items() if text.strip(",")}


def _opened(engine: Engine, name: str, wrong: Callable[[str], str], upgrade: bool) -> Engine:
    try:
        ready(engine, name, upgrade=upgrade)
    except DBAPIError as error:
        engine.dispose()
        raise Refused(wrong(words(error))) from None
    except BaseException:
        engine.dispose()
        raise
    return engine


def _advice(why: str) -> str:
    """Say what to do; a server that speaks another language gets the last of these."""
    if "password" in why:
        return _PASSWORD
    if "does not exist" in why and "database" in why:
        return "Make it: createdb"
    return f"See that {VARIABLE} names it, that it runs, and that it can be reached from here and its tables be made"
