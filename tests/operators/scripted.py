"""Operators, checks and models whose deeds a test writes down; they stand for a job author's plugins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from operators.data import Completion, Edit, Finding, Message, Ruling, Shard, Verdict
from operators.workspace import Workspace


@dataclass
class Proposes:
    """Proposes `edits` in turn, then nothing; an exception is raised."""

    edits: list[Edit | BaseException | None]
    waits: bool = False
    seen: list[tuple[Workspace, tuple[Verdict, ...]]] = field(default_factory=list)

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        self.seen.append((ws, tuple(past)))
        edit = self.edits.pop(0) if self.edits else None
        if isinstance(edit, BaseException):
            raise edit
        return edit


@dataclass
class Does:
    """Makes of each text what `change` does."""

    change: Callable[[str], str]
    waits: bool = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        files = {path: self.change(ws.text(path) or "") for path in shard.paths}
        return Edit({path: text for path, text in files.items() if text != ws.text(path)}) or None


@dataclass
class Finds:
    """Finds what it is told to find, in turn, then nothing; an exception is raised."""

    findings: list[str | BaseException | None]
    proof: str = ""
    local: bool = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        found = self.findings.pop(0) if self.findings else None
        if isinstance(found, BaseException):
            raise found
        return Ruling((Finding("own", found),)) if found else Ruling((), self.proof)


@dataclass
class Talks:
    """A model that says `replies` in turn, the last one again and again; an exception is raised."""

    replies: list[str | Completion | Exception]
    bare: bool = False
    name: str = "scripted"
    weights: str = ""
    revision: str = "scripted"
    concurrency: int = 4
    room: int = 1 << 30
    asked: list[list[Message]] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        self.asked.append(list(messages))
        self.attempts.append(attempt)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return Completion(reply, 100, 10) if isinstance(reply, str) else reply
