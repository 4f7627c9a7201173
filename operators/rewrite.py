"""Operator: ask a model for the edit."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from operators import guard
from operators.accepted import closest, pairs
from operators.attempts import ASKED, plan
from operators.conversation import NOTHING, Conversation, again, system
from operators.data import Edit, Finding, Message, Model, Pair, Passage, Shard, Skip, Verdict, called
from operators.fences import whole
from operators.foreign import LEAST, passages
from operators.hunks import diff
from operators.loops import loop
from operators.related import excerpts
from operators.reply import blocks, spoken
from operators.source import split
from operators.syntax.excerpt import Excerpt, carried, put_back
from operators.syntax.excerpt import whole as whole_file
from operators.unseen import name
from operators.workspace import Workspace

if TYPE_CHECKING:
    from operators.syntax.outline import Lines

NEEDS_MODEL = "needs a model: set UMBAU_MODEL_URL and UMBAU_MODEL, or `model` in the job"


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Shows the model the shard's code and applies its reply.

    The conversation is rebuilt from `past`, so that each attempt's prompt begins with the whole of the one before,
    except at a fresh start (operators.attempts);
    the system prompt (task, examples) is the same for all shards.
    """

    prompt: str
    model: Model | None = None
    examples: tuple[Pair, ...] = ()
    protocol: Literal["blocks", "whole"] = "blocks"
    hits: str = ""
    """Pattern of what is left for the model after the steps before; empty: everything."""
    fallback: Model | None = None
    """Asked when a fresh start of the first has not helped."""
    teaches: bool = False
    """Whether its edits are to become examples of others."""
    accepted: tuple[tuple[str, Pair], ...] = ()
    """Edits of other shards, each with its repository; those most like the shard are shown."""
    share: bool = False
    """Whether those of other repositories may be shown as well."""
    foreign: int = LEAST
    """Lines from which on a passage that stands in nothing the model was shown is noted; 0: none is."""
    findings: tuple[Finding, ...] = ()
    """What is wrong with the code as it is, where that is known."""

    @property
    def waits(self) -> bool:
        return self.model is not None

    def system(self) -> str:
        """Return the part of the prompt that all shards share, unless there is no room for all of the examples."""
        return system(self.prompt, self.examples, self.protocol)

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        if not past and not self._wanted(ws, shard):
            return None
        if self.model is None:
            return None if past else Edit({}, trouble=NEEDS_MODEL)
        turn = plan(past, other=self.fallback is not None)
        if turn is None:
            return None
        now = _after(ws, turn.shown[-1]) if turn.shown else ws
        model = self.fallback if turn.other and self.fallback else self.model
        messages = self._about(ws, shard, turn.shown).fitting(model.room)
        reply = model.complete(messages, shard=shard.seed, attempt=len(past) + bool(shard.go))
        texts, trouble = self._applied(now, shard, reply.text)
        said = reply.text
        if reply.cut:
            begin, repeated = loop(said)
            stuck = f"It said the same again and again: {repeated.strip()!r}. Say each thing once."
            why = stuck if repeated else "Change less at a time."
            trouble = f"{trouble}\n\nThe reply was cut at its length limit. {why}".strip()
            said = said[: begin + len(repeated)]  # it would only be read once more, and learnt from
        after = now.over(Edit(texts))
        files = after.edit(ws)
        return Edit(
            files,
            said=said,
            tokens_in=reply.tokens_in,
            tokens_out=reply.tokens_out,
            cached=int(reply.cached),
            waited=reply.seconds,
            gpu_seconds=reply.gpu_seconds,
            replies=reply.told,
            asked=reply.noted,
            models=_writers(model, turn.shown) if files else (),
            foreign=self._foreign(ws, shard, files, messages, past),
            trouble=trouble,
            pairs=_pairs(ws, after, shard) if self.teaches else (),
        )

    def _foreign(
        self,
        ws: Workspace,
        shard: Shard,
        files: Mapping[str, str | None],
        messages: Sequence[Message],
        past: Sequence[Verdict],
    ) -> tuple[Passage, ...]:
        asked = [one.message for verdict in past for one in verdict.findings if one.judge in ASKED]
        task = [message["content"] for message in messages[:2]]  # the others show what it wrote itself
        return passages({path: ws.text(path) or "" for path in shard.paths}, files, [*task, *asked], self.foreign)

    def _wanted(self, ws: Workspace, shard: Shard) -> bool:
        lines = [line for part in _parts(ws, shard).values() for line in (_free(part) or [""])]
        return any(re.search(self.hits, line) for line in lines)

    def _about(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Conversation:
        code = {path: part.text for path, part in _parts(ws, shard).items()}
        context = {path: text for path in shard.context if (text := _to_read(ws, path)) is not None}
        context |= excerpts(ws, shard)
        turns = tuple((verdict.edit.said, _told(ws, shard, verdict)) for verdict in past)
        pool = [pair for repo, pair in self.accepted if self.share or repo == shard.repo]
        return Conversation(
            self.prompt,
            self.protocol,
            self.examples,
            context,
            code,
            closest(pool, code),
            self.findings,
            turns,
        )

    def _applied(self, ws: Workspace, shard: Shard, reply: str) -> tuple[Mapping[str, str], str]:
        if _nothing("\n".join(spoken(reply))):
            return {}, ""
        if not reply.strip():
            return {}, "The reply was empty."
        parts = _parts(ws, shard)
        names = {name(path): path for path in parts}  # as they are shown
        shown = {as_shown: parts[path].text for as_shown, path in names.items()}
        applied = (blocks if self.protocol == "blocks" else whole)(reply, shown)
        texts, trouble = {}, [applied.trouble] if applied.trouble else []
        for as_shown, text in applied.texts.items():
            path = names[as_shown]
            part = parts[path]
            texts[path], left_out = put_back(ws.text(path) or "", part, diff(part.lines, split(text)))
            if left_out:
                lines = ", ".join(str(first) for first, _ in left_out)
                trouble.append(
                    f"{path}: changes near line {lines} were left out. Only the code below the imports and the class "
                    f"header is yours to change; imports may be added."
                )
        return texts, "\n\n".join(trouble)


def _told(ws: Workspace, shard: Shard, verdict: Verdict) -> str:
    """Return what the model is told of an earlier attempt; "" when no fault was found."""
    if not verdict.findings:
        return ""
    code = {path: part.text for path, part in _parts(_after(ws, verdict), shard).items()}
    return again(verdict.findings, code)


def _pairs(before: Workspace, after: Workspace, shard: Shard) -> tuple[Pair, ...]:
    """Return what an attempt changed of the code that the model was shown first."""
    new = _parts(after, shard)
    return tuple(
        pair for path, old in _parts(before, shard).items() if path in new for pair in pairs(old.text, new[path].text)
    )


def _writers(model: Model, shown: Sequence[Verdict]) -> tuple[str, ...]:
    """Return who wrote what an attempt leaves: it goes on from what was there."""
    before = (name for verdict in shown for name in verdict.edit.models or ())
    return tuple(dict.fromkeys([*before, called(model)]))


def _after(ws: Workspace, verdict: Verdict) -> Workspace:
    """Return what an earlier attempt left: its edit is all that differed from the base, whatever steps before this one
    would make of it again."""
    return Workspace(ws.base).over(verdict.edit)


def _parts(ws: Workspace, shard: Shard) -> dict[str, Excerpt]:
    """Return what of each of the shard's files is shown: all of it, or the shard's symbols.

    Symbols are cut out of the base and then followed: what a model made of them may not even parse.
    """
    parts = {}
    for path in shard.paths:
        text, spans = ws.text(path), tuple((span.first, span.last) for span in shard.spans if span.path == path)
        if text is not None:
            before = ws.base_text(path) or ""
            parts[path] = carried(_cut(before, spans), before, text) if spans else whole_file(text)
    return parts


@lru_cache(maxsize=256)
def _cut(text: str, spans: tuple[Lines, ...]) -> Excerpt:
    found = guard.call("cut:part", text=text, spans=spans)
    return Excerpt(tuple(found["lines"]), tuple(found["numbers"]), frozenset(found["free"]))


def _to_read(ws: Workspace, path: str) -> str | None:
    """Return a text that the model is only shown; one that cannot be read is no reason to leave the shard alone."""
    try:
        return ws.text(path)
    except Skip:
        return None


def _nothing(reply: str) -> bool:
    """Say whether the model finds nothing to change; some add why."""
    said = any(line.strip(" .`*\"'") == NOTHING for line in reply.splitlines())
    return said and not re.search(r"^\s*(<{5}|```|~~~)", reply.replace(f"```\n{NOTHING}\n```", ""), re.M)


def _free(part: Excerpt) -> list[str]:
    return [line for line, number in zip(part.lines, part.numbers, strict=True) if number in part.free]
