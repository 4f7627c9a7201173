"""The chain of an audit log: each row's hash covers what it says and the hash of the row before.

Nothing here knows of a database: whoever has the rows can verify them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from pipelines.data import canonical
from pipelines.errors import Refused

START = "0" * 64  # what the first row is bound to


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that somebody did."""

    number: int
    """1, 2, 3 ...: none is left out."""
    moment: str
    """When, by the clock of the machine where it was done: ISO 8601, UTC."""
    who: str
    """`ada@host` at the command line, `dashboard/ada`, `forge/ada` in a comment, `forge` when it was seen there and
    nobody knows who did it, `umbau` when it was done without being asked for."""
    what: str
    job: str
    """"" when it is about all of the site."""
    mark: str
    """No two rows have the same: what is noted once more is known by it."""
    body: str
    """Facts, as JSON: numbers, digests, names."""
    before: str
    """Hash of the row before."""
    hash: str = ""

    @property
    def facts(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Link:
    """How far a chain was followed."""

    number: int = 0
    hash: str = START

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Followed:
    """What was found of a chain."""

    last: Link = field(default_factory=Link)
    """The last row up to which it holds."""
    wrong: str = ""
    """What is wrong with the one after that, "" when nothing is."""


def bound(row: Row) -> Row:
    """Return a row with its hash: SHA-256 of a JSON list of its other values, in a fixed order, without spaces, in
    ASCII."""
    told = [row.before, row.number, row.moment, row.who, row.what, row.job, row.mark, row.body]
    return replace(row, hash=sha256(canonical(told).encode()).hexdigest())


def followed(rows: Iterable[Row], after: Link | None = None) -> Followed:
    """Follow a chain, whose rows come in the order of their numbers, from the one after `after`."""
    last = after or Link()
    for row in rows:
        if wrong := _wrong(row, last):
            return Followed(last, wrong)
        last = Link(row.number, row.hash)
    return Followed(last)


def _wrong(row: Row, last: Link) -> str:
    if row.number != last.number + 1:
        missing = f"row {last.number + 1} is missing" if row.number > last.number else "it stands there twice"
        return f"row {row.number}: {missing}"
    if row.before != last.hash:
        where = f"row {last.number}" if last.number else "the beginning"
        return f"row {row.number} is not bound to {where}: one of them was replaced, or rows were moved"
    if bound(row).hash != row.hash:
        return f"row {row.number} does not say any more what it said: its hash is another"
    return ""


def link(text: str) -> Link:
    """Read `NUMBER:HASH`. Raises Refused."""
    found = re.fullmatch(r"\s*(\d{1,18}):([0-9a-f]{64})\s*", text)
    if not found:
        raise Refused(f"{text!r} is no head of an audit log: it is NUMBER:HASH, as `umbau audit --head` prints it")
    return Link(int(found[1]), found[2])
