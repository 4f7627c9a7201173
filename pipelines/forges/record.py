"""A merge request of the local forge, as it is kept on disk."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pipelines.errors import Refused
from pipelines.forge import State

BOT = "umbau (bot)"  # no account is called that
Kind = Literal["push", "comment", "approve", "merge", "close", "reopen"]


@dataclass(frozen=True, slots=True)
class Event:
    """What happened on a request."""

    kind: Kind
    author: str
    at: str
    text: str = ""
    path: str = ""
    line: int = 0
    key: str = ""
    """Of what Umbau said: under the same one it is said once."""

    @property
    def time(self) -> float:
        """Seconds since 1970."""
        return datetime.fromisoformat(self.at).timestamp()


@dataclass(frozen=True, slots=True)
class Record:
    repo: str
    number: int
    branch: str
    base: str
    """The branch it is to be merged into."""
    commit: str
    """What the branch was cut from."""
    title: str
    body: str
    digest: str = ""
    head: str = ""
    """What Umbau pushed last."""
    intends: str = ""
    """What Umbau was about to push when this was written: a branch that holds it is still Umbau's own."""
    labels: tuple[str, ...] = ()
    draft: bool = False
    reviewers: tuple[str, ...] = ()
    state: State = "open"
    events: tuple[Event, ...] = ()
    assignees: tuple[str, ...] = ()
    milestone: str = ""
    message: str = ""
    """Of the commit."""
    merged: str = ""
    """The commit with which it was merged."""
    purged: str = ""
    """The day on which its texts were purged."""

    @property
    def name(self) -> str:
        """What `umbau review` calls it."""
        return f"{self.repo}/{self.number}"

    @property
    def approved(self) -> bool:
        """Whether somebody approved what is there now."""
        return bool(self.approvers)

    @property
    def approvers(self) -> tuple[str, ...]:
        """Who approved what is there now."""
        pushes = [at for at, event in enumerate(self.events) if event.kind == "push"]
        since = self.events[pushes[-1] + 1 if pushes else 0 :]
        return tuple(dict.fromkeys(event.author for event in since if event.kind == "approve"))

    def after(
        self, kind: Kind, author: str = BOT, text: str = "", path: str = "", line: int = 0, key: str = ""
    ) -> Record:
        """Return the record with one more event."""
        event = Event(kind, author, datetime.now(UTC).isoformat(timespec="seconds"), text, path, line, key)
        return replace(self, events=(*self.events, event))


def without_texts(record: Record, day: str) -> Record:
    """Return a record without what it and others said on it."""
    events = tuple(replace(event, text=event.text if event.kind == "push" else "") for event in record.events)
    return replace(record, body=f"purged on {day}", message="", events=events, purged=day)


def read(file: Path) -> Record:
    """Raises Refused when the file does not hold a record."""
    try:
        data = json.loads(file.read_bytes())
        events = tuple(Event(**event) for event in data.pop("events"))
        several = {name: tuple(data.get(name, ())) for name in ("labels", "reviewers", "assignees")}
        return Record(**{**data, **several, "events": events})
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise Refused(f"{file} is damaged ({error}): move it away, and its merge request is opened anew") from None


def write(file: Path, text: str) -> None:
    """Replace a file as a whole: a reader, or the next run after a crash, sees the old one or the new one."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    new.write_bytes(text.encode(errors="backslashreplace"))
    new.replace(file)


def dumped(record: Record) -> str:
    return json.dumps(asdict(record), indent=1)
