"""Where a veil is put on and taken off: before a model, and where an outcome leaves a worker or comes back to one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from operators.behind import Behind
from operators.data import Base, Completion, Edit, Finding, Message, Outcome, Shard, Verdict
from operators.spot import MARK
from operators.veil import Rules, Veil, veil_of
from operators.workspace import Workspace

Change = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Discreet(Behind):
    """A model whose replies hold no secret: one that it makes up, or has learnt somewhere, is masked."""

    rules: Rules

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        """Raises as the model does, and Slow."""
        reply = self.model.complete(messages, shard=shard, attempt=attempt, grammar=grammar)
        return replace(reply, text=self.rules.masked(reply.text))


@dataclass(frozen=True, slots=True)
class Veiled(Behind):
    """A model that is told placeholders instead of secrets; of its reply that is not noticed."""

    veil: Veil

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        """Raises as the model does, and Slow."""
        hidden = [{**message, "content": self.veil.hide(message["content"])} for message in messages]
        asked = self.veil.hide(grammar) if grammar else ""
        reply = self.model.complete(hidden, shard=shard, attempt=attempt, grammar=asked)
        return replace(reply, text=self.veil.show(reply.text))


@dataclass(frozen=True, slots=True)
class Hidden(Workspace):
    """The base as people may see it, beside edits that are hidden."""

    veil: Veil = field(default_factory=Veil)

    @classmethod
    def of(cls, base: Base, shard: Shard, rules: Rules) -> Hidden:
        """Return the view on a shard. Raises Slow, GitError."""
        return cls(base, veil=veil_of(base, shard, rules))

    def base_text(self, path: str) -> str | None:
        text = Workspace.base_text(self, path)
        return text and self.veil.hide(text)


def hidden(outcome: Outcome, veil: Veil) -> Outcome:
    """Return an outcome as it may leave a worker. What others learn from it is masked for good: their placeholders
    stand for something else. Raises Slow."""

    def hide(edit: Edit) -> Edit:
        own = _edited(edit, veil.hide)
        files = {_path(path, outcome.shard, veil): text for path, text in own.files.items()}
        pairs = tuple((veil.masked(before), veil.masked(after)) for before, after in edit.pairs)
        return replace(own, files=files, pairs=pairs)

    verdicts = tuple(_told(verdict, hide, veil.hide) for verdict in outcome.verdicts)
    return replace(outcome, verdicts=verdicts, error=veil.hide(outcome.error), skipped=veil.hide(outcome.skipped))


def shown(past: Sequence[Verdict], veil: Veil) -> tuple[Verdict, ...]:
    """Return verdicts that were hidden as they are worked with."""
    return tuple(_told(verdict, lambda edit: _edited(edit, veil.show), veil.show) for verdict in past)


def files_of(base: Base, shard: Shard, files: Mapping[str, str | None], rules: Rules) -> Mapping[str, str | None]:
    """Return the files of a shard's edit, hidden as they are, with their secrets: those of the base, where the blobs of
    the shard are the same. Raises Slow, GitError."""
    if not any(text and MARK in text for text in files.values()):
        return files
    veil = veil_of(base, shard, rules)
    return {path: text and veil.show(text) for path, text in files.items()}


def _path(path: str, shard: Shard, veil: Veil) -> str:
    return path if path in shard.paths else veil.masked(path)


def _told(verdict: Verdict, edit: Callable[[Edit], Edit], change: Change) -> Verdict:
    return replace(
        verdict,
        edit=edit(verdict.edit),
        findings=tuple(Finding(one.judge, change(one.message), change(one.place)) for one in verdict.findings),
        proof=tuple(map(change, verdict.proof)),
        evidence=tuple(_told(one, edit, change) for one in verdict.evidence),
    )


def _edited(edit: Edit, change: Change) -> Edit:
    return replace(
        edit,
        files={path: text and change(text) for path, text in edit.files.items()},
        said=change(edit.said),
        notes=tuple(map(change, edit.notes)),
        trouble=change(edit.trouble),
    )
