"""Brings the tables of a store to what this version works with."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from pipelines.errors import Refused
from pipelines.store.tables import VERSION

_START = "0001"
_LOCK = 0x756D62617500  # "umbau" and a zero


def ready(engine: Engine, name: str, *, upgrade: bool = True) -> None:
    """Upgrade the tables unless they are as they should be. Who holds the lock that this takes, or that its caller
    holds for a file, is alone at it. Raises Refused when they are newer than this version, or without `upgrade`
    others than it knows."""
    with engine.connect() as connection:
        found = _version(connection)
    if found == VERSION:
        return
    if not upgrade:
        raise Refused(
            f"the store {name} has tables of another version of Umbau ({found or 'none'}; {VERSION} is known here): "
            "`umbau status` with the newer of both brings them up to date"
        )
    with engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        found = _version(connection)
        if found != VERSION:
            _upgrade(connection, found, name)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("select version_num from alembic_version"))
    return found


def _upgrade(connection: Connection, found: str | None, name: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    known = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()]
    if found and found not in known:
        raise Refused(
            f"the store {name} was made by a newer Umbau (version {found} of its tables, {VERSION} is known here): "
            "install that one, or a newer"
        )
    if found is None and inspect(connection).has_table("plans"):
        command.stamp(config, _START)
    command.upgrade(config, "head")
