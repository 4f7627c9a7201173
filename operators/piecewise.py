"""Operator: ask a model for one statement after another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from operators import guard
from operators.data import Completion, Edit, Message, Model, Shard, Verdict
from operators.rewrite import NEEDS_MODEL, again, prompt
from operators.source import split
from operators.workspace import Workspace

_FENCED = re.compile(r"\s*```\w*\n(.*?)\n?```\s*", re.S)
BY_ITSELF = "a line of this statement begins further left than its first: it cannot be shown alone"


@dataclass(frozen=True, slots=True)
class _Piece:
    """A statement, on lines `first` to `last` of its file."""

    first: int
    last: int
    code: str
    """At column 0; "" when it cannot be moved there."""


@dataclass(frozen=True, slots=True)
class _Answer:
    piece: _Piece
    new: str = ""
    trouble: str = ""
    reply: Completion | None = None


@dataclass(frozen=True, slots=True)
class Piecewise:
    """Shows the model the smallest statements that hold a hit, each alone, and puts its answers in their places.

    That is little enough for a model of a few million parameters, and for a large one no token is spent on code that
    stays. What hangs together over several statements is beyond it.
    """

    prompt: str
    model: Model | None = None
    examples: tuple[tuple[str, str], ...] = ()
    hits: str = ""

    @property
    def waits(self) -> bool:
        return self.model is not None

    @property
    def deaf(self) -> bool:
        """True when nothing can be said to the model, what was found neither."""
        return self.model is not None and self.model.bare

    def system(self) -> str:
        """Return the part of the prompt that all pieces share."""
        return prompt("system.j2", prompt=self.prompt, examples=self.examples, protocol="piece")

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        """Begin anew on each attempt: what is wrong with the sum of the pieces need not be wrong with each."""
        found = {path: self._pieces(ws, shard, path) for path in shard.paths}
        if not any(found.values()):
            return None
        if self.model is None:
            return None if past else Edit({}, trouble=NEEDS_MODEL)
        answers = {
            path: [self._answer(piece, f"{shard.key} {path}:{piece.first}", past) for piece in pieces]
            for path, pieces in found.items()
        }
        files = {path: _with(ws.text(path) or "", own) for path, own in answers.items() if any(one.new for one in own)}
        every = [(path, answer) for path, own in answers.items() for answer in own]
        replies = [answer.reply for _, answer in every if answer.reply]
        return Edit(
            files,
            said="\n".join(reply.text for reply in replies),
            tokens_in=sum(reply.tokens_in for reply in replies),
            tokens_out=sum(reply.tokens_out for reply in replies),
            trouble="\n".join(f"{path}:{one.piece.first}: {one.trouble}." for path, one in every if one.trouble),
        )

    def _pieces(self, ws: Workspace, shard: Shard, path: str) -> list[_Piece]:
        text = ws.text(path)
        if text is None:
            return []
        spans = [ws.lines(span) for span in shard.spans if span.path == path]
        lines = split(text)
        found = guard.call("pieces:pieces", text=text, hits=self.hits, spans=spans)
        return [_Piece(first, last, _alone(lines[first - 1 : last])) for first, last in found]

    def _answer(self, piece: _Piece, name: str, past: Sequence[Verdict]) -> _Answer:
        if not piece.code:
            return _Answer(piece, trouble=BY_ITSELF)
        assert self.model
        reply = self.model.complete(self._messages(piece.code, past), shard=name, attempt=len(past))
        fenced = _FENCED.fullmatch(reply.text)
        new = (fenced[1] if fenced else reply.text).strip("\n").rstrip()
        trouble = ""
        if reply.cut:
            trouble = "the reply was cut at its length limit"
        elif not new:
            trouble = "the reply was empty"
        elif any(re.search(self.hits, line) for line in new.split("\n")):
            trouble = f"the reply still holds what is to go: {new.strip()}"
        return _Answer(piece, "" if trouble else new, trouble, reply)

    def _messages(self, code: str, past: Sequence[Verdict]) -> list[Message]:
        assert self.model
        if self.deaf:
            return [{"role": "user", "content": code}]
        asked = prompt("piece.j2", code=code)
        if past and past[-1].findings:
            asked = f"{asked}\n\n{again(past[-1].findings, {})}"
        return [{"role": "system", "content": self.system()}, {"role": "user", "content": asked}]


def _alone(lines: Sequence[str]) -> str:
    margin = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    if any(line.strip() and not line.startswith(margin) for line in lines):
        return ""
    return "\n".join(line.removeprefix(margin).rstrip("\r\n") for line in lines)


def _with(text: str, answers: Sequence[_Answer]) -> str:
    changes = [(one.piece.first, one.piece.last, one.new) for one in answers if one.new]
    after: str = guard.call("pieces:replaced", text=text, changes=changes)
    return after
