"""A job is paused and goes on: by a person, or when it goes wrong. Written by whoever may, without the job's turn."""

from __future__ import annotations

import time
from typing import Literal

from pipelines.masking import masked
from pipelines.store import Store
from pipelines.store.log import Event

Kind = Literal["person", "stop_loss", "pilot", "budget"]
"""Who paused it. A budget pauses what is under way; nobody needs to lift that, it ends with a higher limit."""


def pause(store: Store, job: str, who: str, why: str, kind: Kind = "person", by: str = "") -> None:
    """Leave the shards of a job, and what it would open, until somebody resumes it. Once is enough. `by`: what the
    audit log calls who did it, if it is another name."""
    if not paused(store, job):
        store.audit.note(by or who, "paused", job, {"kind": kind})
        store.log.note(job, "paused", body={"who": who, "why": masked(why), "kind": kind})


def resume(store: Store, job: str, who: str, by: str = "") -> None:
    """Let a paused job go on. `by`: as above."""
    if last := _paused(store, job):
        store.audit.note(by or who, "resumed", job, {"kind": last.body["kind"]})
        store.log.note(job, "resumed", body={"who": who, "why": "", "kind": last.body["kind"]})


def paused(store: Store, job: str) -> str:
    """Say in a line who paused a job, when and why; "" when it goes on."""
    last = _paused(store, job)
    if last is None:
        return ""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(last.at))
    why = f": {last.body['why']}" if last.body["why"] else ""
    return " ".join(f"paused by {last.body['who']} on {when}{why}".split())


def resumed_at(store: Store, job: str) -> float:
    """Return when a job was resumed last, in seconds since 1970; 0 when it never was."""
    return max((one.at for one in _of(store, job) if one.kind == "resumed"), default=0.0)


def spent_up(store: Store, job: str, why: str) -> None:
    """Note that the job's budget is reached, or (`why` is "") that there is something left of it again; once."""
    known = [one for one in store.log.events(job, ("paused", "resumed")) if one.body["kind"] == "budget"]
    was = bool(known) and known[-1].kind == "paused"
    if bool(why) != was:
        store.audit.note("umbau", "paused" if why else "resumed", job, {"kind": "budget"})
        body = {"who": "umbau", "why": why or "there is something left of its budget", "kind": "budget"}
        store.log.note(job, "paused" if why else "resumed", body=body)


def _paused(store: Store, job: str) -> Event | None:
    """Return what paused a job, None when it goes on."""
    last = _of(store, job)[-1:]
    return last[0] if last and last[0].kind == "paused" else None


def _of(store: Store, job: str) -> list[Event]:
    return [one for one in store.log.events(job, ("paused", "resumed")) if one.body["kind"] != "budget"]
