"""Operator: ask a model for one statement after another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import dedent

from operators import guard
from operators.attempts import plan
from operators.conversation import again, prompt, system
from operators.data import Completion, Edit, Finding, Message, Model, Pair, Shard, Skip, Verdict, called
from operators.foreign import LEAST, passages
from operators.loops import loop
from operators.rewrite import NEEDS_MODEL, Rewrite
from operators.workspace import Workspace

_FENCED = re.compile(r"^ *(`{3,}|~{3,})\w*\n(.*?)^ *\1 *$", re.S | re.M)
BY_ITSELF = "a line of this statement begins further left than its first: it cannot be shown alone"


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of the statement on lines `first` to `last` of `path`."""

    path: str
    first: int
    last: int
    new: str = ""
    """The code that takes its place; "" when it stays."""
    note: str = ""
    """Why it stays, by no fault of the reply."""
    trouble: str = ""
    """Why the reply could not be used."""
    reply: Completion | None = None


@dataclass(frozen=True, slots=True)
class Piecewise:
    """Shows the model the smallest statements that hold a hit, each alone, and puts its answers in their places.

    That is little enough for a model of a few million parameters, and for a large one no token is spent on code that
    stays. What hangs together over several statements is beyond it.
    """

    prompt: str
    model: Model | None = None
    examples: tuple[Pair, ...] = ()
    hits: str = ""
    fallback: Model | None = None
    """Asked when a fresh start of the first has not helped."""
    words: tuple[str, ...] = ()
    """Names that an answer of a bare model may use beside those of the piece; a hit's own only if they are among
    them."""
    foreign: int = LEAST
    """As of a rewrite."""
    findings: tuple[Finding, ...] = ()
    """What is wrong with the code as it is, where that is known."""

    @property
    def waits(self) -> bool:
        return self.model is not None

    def system(self) -> str:
        """Return the part of the prompt that all pieces share."""
        return system(self.prompt, self.examples, "piece")

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        """Begin anew on each attempt: what is wrong with the sum of the pieces need not be wrong with each.

        Raises Skip when none of the pieces can be asked for.
        """
        found = [(path, *piece) for path in shard.paths for piece in self._pieces(ws, shard, path)]
        if not found:
            return None
        if self.model is None:
            return None if past else Edit({}, trouble=NEEDS_MODEL)
        turn = plan(past, other=self.fallback is not None)
        if turn is None:
            return None
        model = self.fallback if turn.other and self.fallback else self.model
        answers = [self._answer(model, *piece, shard, turn.shown, len(past) + bool(shard.go)) for piece in found]
        replies = [answer.reply for answer in answers if answer.reply]
        if not replies:
            raise Skip(_lines(answers, "note"))
        files = {path: _with(ws, path, answers) for path in dict.fromkeys(one.path for one in answers if one.new)}
        before, shown = {path: ws.text(path) or "" for path in files}, [self.system()]
        return Edit(
            files,
            said="\n".join(reply.text for reply in replies),
            notes=tuple(_lines([one], "note") for one in answers if one.note),
            tokens_in=sum(reply.tokens_in for reply in replies),
            tokens_out=sum(reply.tokens_out for reply in replies),
            cached=sum(reply.cached for reply in replies),
            waited=sum(reply.seconds for reply in replies),
            gpu_seconds=sum(reply.gpu_seconds for reply in replies),
            replies=tuple(told for reply in replies for told in reply.told),
            asked=tuple(asked for reply in replies for asked in reply.noted),
            models=(called(model),) if files else (),
            foreign=passages(before, files, shown, self.foreign),
            trouble=_lines(answers, "trouble"),
        )

    def _pieces(self, ws: Workspace, shard: Shard, path: str) -> list[tuple[int, int, str]]:
        text = ws.text(path)
        if text is None:
            return []
        spans = [ws.lines(span) for span in shard.spans if span.path == path]
        return [tuple(one) for one in guard.call("pieces:pieces", text=text, hits=self.hits, spans=spans)]

    def _answer(
        self,
        model: Model,
        path: str,
        first: int,
        last: int,
        code: str,
        shard: Shard,
        past: Sequence[Verdict],
        attempt: int,
    ) -> _Answer:
        if not code:
            return _Answer(path, first, last, note=BY_ITSELF)
        try:
            shown, grammar = self._shown(model, code, attempt)
            messages = self._messages(model, shown, past)
            reply = model.complete(messages, shard=f"{shard.seed} {path}:{first}", attempt=attempt, grammar=grammar)
        except Skip as why:
            return _Answer(path, first, last, note=str(why))
        new, trouble = self._read(model, reply)
        if new == code and not trouble:
            return _Answer(path, first, last, note="the model left this as it is", reply=reply)
        return _Answer(path, first, last, new, trouble=trouble, reply=reply)

    def _shown(self, model: Model, code: str, attempt: int) -> tuple[str, str]:
        """Return how the model is shown some code, and the grammar of its answer. One that cannot be told what is wrong
        is helped otherwise: every other attempt shows it the statement on one line."""
        if not model.bare:
            return code, ""
        shown = guard.call("words:on_one_line", code=code) if attempt % 2 else code
        return shown, guard.call("grammar:copying", code=shown, free=self.words, gone=self.hits)

    def _messages(self, model: Model, code: str, past: Sequence[Verdict]) -> list[Message]:
        if model.bare:
            return [{"role": "user", "content": code}]
        asked = prompt("piece.j2", code=code, findings=self.findings)
        if past and past[-1].findings:
            asked = f"{asked}\n\n{again(past[-1].findings, {})}"
        return [{"role": "system", "content": self.system()}, {"role": "user", "content": asked}]

    def _read(self, model: Model, reply: Completion) -> tuple[str, str]:
        """Return the code of a reply, or why it cannot be used."""
        text = reply.text.replace("\r\n", "\n")
        fenced = [] if model.bare else [body for _, body in _FENCED.findall(text)]
        new = (fenced[0] if len(fenced) == 1 else text).strip("\n").rstrip()
        new = dedent(new) if new.startswith((" ", "\t")) else new
        if reply.cut:
            _, repeated = loop(reply.text)
            stuck = f": it said {repeated.strip()!r} again and again" if repeated else ""
            return "", f"the reply was cut at its length limit{stuck}"
        if not new:
            return "", "the reply was empty"
        if len(fenced) > 1:
            return "", "the reply holds several pieces of code: answer with one"
        if model.bare and any(re.search(self.hits, line) for line in new.split("\n")):
            return "", f"the reply still holds what is to go: {new.strip()}"  # it cannot say that nothing has to
        return new, ""


ASKING = (Rewrite, Piecewise)  # the steps that ask a model


def _lines(answers: Sequence[_Answer], field: str) -> str:
    return "\n".join(f"{one.path}:{one.first}: {told}." for one in answers if (told := getattr(one, field)))


def _with(ws: Workspace, path: str, answers: Sequence[_Answer]) -> str:
    changes = [(one.first, one.last, one.new) for one in answers if one.path == path and one.new]
    after: str = guard.call("pieces:replaced", text=ws.text(path), changes=changes)
    return after
