"""What became of merge requests, noted when it is first seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.forge import Request, State
from pipelines.store import Store

SEEN: Mapping[State, tuple[str, ...]] = {
    "branch": (),
    "open": ("opened",),
    "merged": ("opened", "merged"),
    "closed": ("opened", "closed"),
}
"""State to the kinds of events that have led to it, each noted once for a request, however often it is reopened."""


def note(requests: Iterable[Request], job: str, store: Store, now: float) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Note what has not been noted of these requests, with the forge's times; `now`, in seconds since 1970, where it
    tells none. Return kind, repository and body of what is new. Of two of one place the last one counts."""
    events = store.log.events(job, ("opened", "merged", "closed"))
    known = {(one.kind, one.repo, one.body["branch"], one.body["number"]) for one in events}
    latest = {(one.repo, one.branch): one for one in requests}
    found: list[tuple[str, str, Mapping[str, Any]]] = []
    for kind in ("opened", "merged", "closed"):
        rows = []
        for one in latest.values():
            if kind in SEEN[one.state] and (kind, one.repo, one.branch, one.number) not in known:
                at = (one.opened if kind == "opened" else one.ended) or now
                body = {"branch": one.branch, "url": one.url, "number": one.number, "at": at}
                rows.append((one.repo, body, f"{one.repo} {one.branch} {one.number}"))
        store.log.note_all(job, kind, rows)
        found += [(kind, repo, body) for repo, body, _ in rows]
    return found
