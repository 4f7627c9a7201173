"""What the store takes on SQLite and on PostgreSQL, side by side: outcomes saved one at a time and in batches, as a
driver saves them, then read; and the store opened.

Both in folders of the same disk; PostgreSQL is reached over the loopback and waits for the disk at each commit, as it
does by default, while SQLite's file survives a killed process, but may lack its last seconds after a power cut
(`synchronous=NORMAL`).
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

from operators.data import Edit, Finding, Outcome, Shard, Verdict
from pipelines.store import Store
from tests.benchmarks.setting import Clock, folder
from tests.pipelines.store.server import Server

ALONE, BATCH, BATCHES = 1_000, 100, 100
ROUNDS = 5
TEXT = "".join(f"    value_{number} = {number!r}.format(name=name)  # {number * number:x}\n" for number in range(60))


def main() -> None:
    server = Server(durable=True)
    try:
        with folder() as home, patch.dict(os.environ, {"PGPASSWORD": "secret"}):
            rounds = [
                (_measured(home / f"{number}.db"), _measured(server.database())) for number in range(ROUNDS)
            ]  # in turn, since what else a machine does is not the same all the time
    finally:
        server.close()
    ours, theirs = ({key: statistics.median(one[at][key] for one in rounds) for key in rounds[0][0]} for at in (0, 1))
    print(f"store      {f'median of {ROUNDS}':32}{'SQLite':>12}{'PostgreSQL':>12}{'ratio':>8}")
    for (what, unit), one in ours.items():
        print(f"           {what:32}{one:>12,.1f}{theirs[what, unit]:>12,.1f}{theirs[what, unit] / one:>8.2f}  {unit}")


def _measured(place: Path | str) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}

    def rate(what: str, count: int, act: Callable[[], object]) -> None:
        with Clock() as clock:
            act()
        found[what, "/s"] = count / clock.seconds

    with Clock() as clock:
        Store(place).close()
    found["first opened: tables made", "ms"] = 1000 * clock.seconds
    with Clock() as clock:
        for _ in range(10):
            Store(place).close()
    found["opened", "ms"] = 100 * clock.seconds
    alone = [_outcome(f"{number} alone") for number in range(ALONE)]
    batches = [[_outcome(f"{number} {batch}") for number in range(BATCH)] for batch in range(BATCHES)]
    keys = [one.shard.key for batch in batches for one in batch]
    with closing(Store(place)) as store, store.driving("benchmark"):
        rate("outcomes saved one at a time", ALONE, lambda: [store.save([(one, 0)]) for one in alone])
        rate(
            f"outcomes saved {BATCH} at a time",
            len(keys),
            lambda: [store.save([(one, 0) for one in batch]) for batch in batches],
        )
        rate("outcomes read", len(keys), lambda: store.outcomes(keys))
        rate("keys asked whether they are done", len(keys), lambda: store.missing(keys))
        rate("turns confirmed", ALONE, lambda: [store.confirm() for _ in range(ALONE)])
    return found


def _outcome(key: str) -> Outcome:
    """Return an outcome with two attempts at a file of 60 lines."""
    shard = Shard(f"{key} {'k' * 50}", "billing", "c" * 40, ("src/billing/invoices.py",))
    edit = Edit({"src/billing/invoices.py": f"# {key}\n{TEXT}"}, f"Here it is:\n{TEXT}", (), 1_500, 900)
    return Outcome(
        shard, (Verdict(edit, (Finding("tests", "newly failing", "a.py:3"),)), Verdict(edit, ())), "", "", 9.5
    )


if __name__ == "__main__":
    main()
