"""Times, in seconds since 1970, as programs and people read them; always in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def iso(at: float) -> str:
    """Return a time as ISO 8601 and RFC 3339 have it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def moment(at: float) -> str:
    """Return a time as a person reads it."""
    return datetime.fromtimestamp(at, UTC).strftime("%d %b %Y %H:%M")
