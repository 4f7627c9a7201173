"""Waits for a database that is away for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import uniform
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError

from pipelines.errors import Refused
from pipelines.notice import notice

PATIENCE = 300.0  # seconds that a database may be away
LONGEST = 8.0  # seconds between two looks
# https://www.postgresql.org/docs/current/errcodes-appendix.html: connections, read-only as after a failover, too many
# connections, idle for too long, being shut down, crashed or started
_GONE = ("08", "25006", "25P03", "53300", "57P01", "57P02", "57P03", "57P05")
_AGAIN = ("40001", "40P01")  # two transactions that were in each other's way
T = TypeVar("T")


class Away(Exception):
    """It cannot be done yet; the message says why."""


def gone(error: DBAPIError) -> bool:
    """Say whether the connection is of no use any more, or none was to be had."""
    state = _state(error)
    unsaid = state == "" and isinstance(error, OperationalError) and type(error.orig).__module__.startswith("psycopg")
    return error.connection_invalidated or state.startswith(_GONE) or unsaid  # no connection has no state


def passing(error: DBAPIError) -> bool:
    """Say whether it may go when the same is done again."""
    locked = getattr(error.orig, "sqlite_errorname", "").startswith(
        "SQLITE_BUSY"
    )  # by a purge, for as long as it takes
    return gone(error) or locked or _state(error) in _AGAIN


def patiently(act: Callable[[], T], name: str) -> T:
    """Do what may be done twice, and do it again as long as the database is away. Raises Refused when that takes too
    long, or when something else is wrong with it: a full disk is not waited for."""
    began, count, told = time.monotonic(), 0, False
    while True:
        try:
            done = act()
        except (DBAPIError, Away) as error:
            why = words(error)
            if isinstance(error, DBAPIError) and not passing(error):
                raise Refused(f"the store {name} cannot be used: {why}") from None
            left = began + PATIENCE - time.monotonic()
            if count and left < 0:
                raise Refused(
                    f"the store {name} has been away for {PATIENCE:.0f} s ({why}). What was saved is kept: the same "
                    "command goes on when it is there again"
                ) from None
            if count and not told:
                told = True
                until = time.strftime("%H:%M:%S", time.localtime(time.time() + left))
                _say(f"the store {name} is away ({why}): it is waited for, until {until} at most")
            time.sleep(min(LONGEST, 0.1 * 2**count) * uniform(0.5, 1))
            count += 1
            continue
        if told:
            _say(f"the store {name} is there again, after {time.monotonic() - began:.0f} s: going on")
        return done


def words(error: DBAPIError | Away) -> str:
    """Return what is wrong in one line."""
    said = error.orig if isinstance(error, DBAPIError) else error
    return str(said).strip().partition("\n")[0] or type(said).__name__


def _state(error: DBAPIError) -> str:
    """Return what PostgreSQL calls the error, "" where it has not said so."""
    return getattr(error.orig, "sqlstate", None) or ""


def _say(line: str) -> None:
    notice(line, "store")
