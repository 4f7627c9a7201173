"""Finds shards by status, kind of fault, repository and name: a page of them, and where the next begins. A page is
looked for no longer than a person likes to wait; what was not looked at yet is another page's. Counts tell where it is
worth looking, and the store how it is there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.dashboard.ledger import Known
from pipelines.dashboard.tally import STATES, fault
from pipelines.data import Planned
from pipelines.store.browse import Browse, End, Part

PAGE = 100  # shards
AT_ONCE = 200  # shards that the store is asked of: enough for a page, as nearly all of them are what is wanted
PATIENCE = 0.15  # seconds after which no further shards are looked at


@dataclass(frozen=True, slots=True)
class Wanted:
    """ "": whatever it is."""

    status: str = ""
    fault: str = ""
    repo: str = ""
    name: str = ""
    """Part of a shard's name, upper and lower case alike, or beginning of its key."""


@dataclass(frozen=True, slots=True)
class Hit:
    planned: Planned
    end: End

    @property
    def why(self) -> str:
        """What is wrong, in one line."""
        return fault(self.end.outcome) if self.end.outcome else ""


@dataclass(frozen=True, slots=True)
class Found:
    hits: tuple[Hit, ...]
    after: tuple[str, str] | None = None
    """Repository and key after which the next page begins, "" for all of the repository; None when there is none."""
    looked: int = 0
    """Repositories that were looked at for this page."""
    left: int = 0
    """Those that have what is wanted, as far as counts tell, and were not looked at yet."""


def search(
    known: Known,
    browse: Browse,
    wanted: Wanted,
    after: tuple[str, str] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Return the next shards that are wanted, in the plan's order, `after` the last one of the page before."""
    parts = [part for part in known.outline.parts if _may(known, wanted, part)]
    if after:
        order = {part.repo: number for number, part in enumerate(known.outline.parts)}
        first = order.get(after[0], 0) + (not after[1])
        parts = [part for part in parts if order[part.repo] >= first]
    began = clock()
    hits: list[Hit] = []
    words = _words(wanted.name)
    for number, part in enumerate(parts):
        shards = browse.shards(part) if not words or browse.mentions(part, words) else ()
        if after and after[0] == part.repo:
            shards = _behind(shards, after[1])
        named = [one for one in shards if _named(one, wanted.name) and _stood(known, one, wanted)]
        for first in range(0, max(1, len(named)), AT_ONCE):
            some, behind = named[first : first + AT_ONCE], len(named) > first + AT_ONCE
            hits += _hits(browse, some, wanted)
            if len(hits) > PAGE:
                last = hits[PAGE - 1].planned.shard
                return Found(tuple(hits[:PAGE]), (last.repo, last.key), number + 1, len(parts) - number - 1)
            if clock() - began > PATIENCE and (behind or number + 1 < len(parts)):
                key = some[-1].shard.key if behind else ""
                return Found(tuple(hits), (part.repo, key), number + 1, len(parts) - number - 1)
    return Found(tuple(hits), None, len(parts))


def _hits(browse: Browse, some: Sequence[Planned], wanted: Wanted) -> list[Hit]:
    ends = browse.ends([one.shard.key for one in some])
    own = (Hit(one, ends[one.shard.key]) for one in some)
    return [hit for hit in own if wanted.status in {"", hit.end.status} and wanted.fault in {"", hit.why}]


def _may(known: Known, wanted: Wanted, part: Part) -> bool:
    """Say whether a repository can have what is wanted."""
    if wanted.repo not in {"", part.repo}:
        return False
    counts = known.counted.repos[part.repo]
    return counts[STATES.index(wanted.status)] > 0 if wanted.status in STATES else sum(counts) > 0


def _stood(known: Known, one: Planned, wanted: Wanted) -> bool:
    """Say whether a shard was counted as what is wanted."""
    return wanted.status not in STATES or known.counted.state(one.shard.key) == wanted.status


def _named(one: Planned, name: str) -> bool:
    return not name or name.lower() in one.shard.name.lower() or one.shard.key.startswith(name)


def _words(name: str) -> list[str]:
    """Return what stands in a shard whose name has this in it, as JSON writes it: paths and symbols."""
    path = name.lower().partition(" (")[0]  # `src/app (12 files)`
    return [word for word in re.split(r"::|, ", path) if word and not re.search(r'["\\\x00-\x1f\x7f]', word)]


def _behind(shards: tuple[Planned, ...], key: str) -> tuple[Planned, ...]:
    places = [number for number, one in enumerate(shards) if one.shard.key == key]
    return shards[places[0] + 1 :] if places else shards
