"""Where a dashboard finds its store and its list of people, told without a password."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipelines.store import Store
from pipelines.store.place import VARIABLE

ACCESS = "UMBAU_DASHBOARD"
_PASSWORD, _PASSWORDS = "PGPASSWORD", "PGPASSFILE"


@dataclass(frozen=True, slots=True)
class Place:
    store: str
    """A file, or the URL of a database, which holds no password."""
    passwords: str
    """The file in which libpq looks for one; "" for its own."""
    access: Path


def access_file(home: Path) -> Path:
    """Return the file that says who has access: the one that UMBAU_DASHBOARD names, or one below `home`."""
    return Path(os.environ.get(ACCESS) or home / "dashboard.toml").resolve()


def place_of(home: Path) -> Place:
    """Return where the store is, as this process opens it. A password that stands in the environment is put into a file
    that its owner alone reads: another process, on this machine, cannot be given it otherwise without it being seen."""
    url, given = os.environ.get(VARIABLE, ""), os.environ.get(_PASSWORD, "")
    passwords = os.environ.get(_PASSWORDS, "")
    if url and given:
        file = home / "keys" / "store"
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.unlink(missing_ok=True)
        escaped = given.replace("\\", "\\\\").replace(":", "\\:")
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(f"*:*:*:*:{escaped}\n")  # postgresql.org/docs/current/libpq-pgpass.html
        passwords = str(file)
    return Place(url or str(home / "store.db"), passwords, access_file(home))


def opened_at(place: Place) -> Store:
    """Open the store. Raises Refused."""
    if place.passwords:
        os.environ[_PASSWORDS] = place.passwords
    return Store(place.store if "://" in place.store else Path(place.store))
