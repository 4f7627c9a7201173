"""What is known of all jobs, in one database."""

from __future__ import annotations

import os
from pathlib import Path

from pipelines.store.place import VARIABLE
from pipelines.store.store import Store
from pipelines.store.turn import Busy, Lost

__all__ = ["Busy", "Lost", "Store", "opened"]


def opened(home: Path, *, upgrade: bool = True) -> Store:
    """Open the user's store: the database that UMBAU_STORE names, or a file below `home`. Without `upgrade` its tables
    are taken as they are. Raises Refused."""
    return Store(os.environ.get(VARIABLE) or home / "store.db", upgrade=upgrade)
