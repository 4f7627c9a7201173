"""Purges by itself what a site does not keep for longer, once a day at most; and says what is overdue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from operators.proc import GitError
from pipelines.errors import Refused
from pipelines.notice import notice
from pipelines.retention.purging import DAY, Ages, purge
from pipelines.site import Retention, site
from pipelines.store import Store

LAST = "purged last"
BY_ITSELF = "umbau"


def due(store: Store, home: Path, now: float = 0.0) -> None:
    """Purge if the site says for how long anything is kept, and that was not done in the last 24 hours. That it cannot
    be done now is told, and no reason to end: it is tried the next time."""
    now = now or time.time()
    kept = site().retention
    if (kept.prompts is None and kept.code is None) or (store.recall(LAST) or 0) > now - DAY:
        return
    try:
        gone = purge(store, home, Ages.of(kept.prompts, kept.code, now), BY_ITSELF, do=True, now=now)
    except (Refused, OSError, GitError) as why:
        notice(f"nothing could be purged: {why}", "purge", "warning")
        return
    store.remember(LAST, now)
    if gone.counts:
        removed = ", ".join(f"{count:,} {kind}" for kind, count in sorted(gone.counts.items()))
        notice(f"purged, as the site says: {removed}", "purge", removed=dict(gone.counts))


@dataclass(frozen=True, slots=True)
class Kept:
    """For how long a site keeps what, and what is older than that."""

    retention: Retention
    last: float
    """When all was purged as the site says, in seconds since 1970; 0: never."""
    overdue: int
    """Rows of the store that should have lost their words or code a day ago; those of open requests are among them."""

    @property
    def lines(self) -> Iterator[str]:
        for what, days in (
            ("what models were told and said", self.retention.words),
            ("edits, findings and copies of code", self.retention.code),
        ):
            yield f"{what}: {'until somebody purges' if days is None else f'{days:g} days'}"


def kept(store: Store, now: float = 0.0) -> Kept:
    """Say how a store stands with what its site says. Asks for counts alone. Raises BadJob."""
    retention, now = site().retention, now or time.time()
    ages = Ages.of(retention.prompts, retention.code, now - DAY)
    counts = [store.purge.overdue(much, at) for much, at in ((1, ages.words), (2, ages.code)) if at is not None]
    return Kept(retention, store.recall(LAST) or 0.0, max(counts, default=0))
