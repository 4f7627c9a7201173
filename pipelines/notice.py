"""Lines on stderr that are no result: for people, or as JSON for whoever reads logs by programs."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from pipelines.neutral import plain

VARIABLE = "UMBAU_LOG"
Level = Literal["info", "warning", "error"]


def in_json() -> bool:
    return os.environ.get(VARIABLE) == "json"


def notice(line: str, event: str, level: Level = "warning", **facts: Any) -> None:
    """Say that something happened. What others say in it must not act on the terminal, and no secret is told."""
    from pipelines.masking import masked, masked_all  # what prints nothing needs none of it

    line, facts = masked(line), masked_all(facts)
    told = logged(event, "", line, level, facts) if in_json() else plain(line)
    sys.stderr.write(f"{told}\n")  # in one piece: other threads write there as well
    sys.stderr.flush()


def logged(event: str, job: str, line: str, level: Level, facts: dict[str, Any]) -> str:
    """Return one line of a log in JSON, with nothing in it that acts on a terminal."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    said = {"message": plain(line)} if line else {}
    return json.dumps({"time": at, "level": level, "event": event, "job": job, **said, **facts}, default=str)
