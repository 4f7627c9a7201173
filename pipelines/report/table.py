"""Shards as CSV and as JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from pipelines.moments import iso
from pipelines.pages import visible
from pipelines.report.rows import Row

COLUMNS = (
    *("job", "repo", "shard", "key", "commit", "branch", "group", "owner", "kind", "status", "judge", "why", "dropped"),
    *("request", "state", "model", "attempts", "goes", "seconds", "read", "written", "cached", "waited"),
    *("gpu_seconds", "judging", "testing", "cost", "currency", "at", "files", "added", "deleted"),
)
"""Of the CSV. `judging`: seconds of all checks; `files`: how many; `at`: as ISO 8601, in UTC."""
_ACTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What makes a spreadsheet take a cell for a formula (owasp.org/www-community/attacks/CSV_Injection)."""


def write_csv(rows: Iterable[Row], out: TextIO) -> int:
    """Write a header and a line for each shard, as RFC 4180 has it; return how many. `out` must leave line ends as
    they are. A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    count = 0
    for row in rows:
        own = facts(row)
        own |= {"judging": round(sum(row.judging.values()), 3), "files": len(row.files or ())}
        own["why"], own["dropped"] = _first(row.why), _first(row.dropped)
        writer.writerow([_cell(own[name]) for name in COLUMNS])
        count += 1
    return count


def write_jsonl(rows: Iterable[Row], out: TextIO) -> int:
    """Write an object for each shard, one a line: the CSV's fields, `judging` by kind of check; `tried`: findings of
    each attempt; `proof`, `notes`; `diff`: unified, null where the repository is not here. Return how many."""
    count = 0
    for row in rows:
        own = facts(row)
        own["tried"] = [
            [{"judge": one.judge, "place": one.place, "message": one.message} for one in findings]
            for findings in row.tried
        ]
        own |= {"proof": row.proof, "notes": row.notes, "files": None if row.files is None else len(row.files)}
        own["diff"] = None if row.files is None else "\n".join(one.text for one in row.files)
        out.write(json.dumps(own, ensure_ascii=True) + "\n")
        count += 1
    return count


def facts(row: Row) -> dict[str, Any]:
    """Return what a row says in single values, and `judging`."""
    own: dict[str, Any] = {name: getattr(row, name) for name in COLUMNS if name not in {"files", "at", "judging"}}
    own |= {name: round(value, 6) for name, value in own.items() if isinstance(value, float)}
    judging: Mapping[str, float] = {kind: round(seconds, 3) for kind, seconds in row.judging.items()}
    return own | {"judging": judging, "at": iso(row.at) if row.at else ""}


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else value
    said = visible(value)
    return f"'{said}" if said.startswith(_ACTS) else said


def _first(text: str) -> str:
    return text.strip().partition("\n")[0]
