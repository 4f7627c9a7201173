"""What is said to a model about one shard, and what of it fits."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from operators import unseen
from operators.data import Finding, Message, Pair, TooLong
from operators.likeness import likeness, words
from operators.model import FINER
from operators.tokens import fits, tokens

if TYPE_CHECKING:
    from jinja2 import Environment

NOTHING = "NO CHANGE NEEDED"


@dataclass(frozen=True, slots=True)
class Conversation:
    """The task, the code and what was said since. What all shards share comes first, which servers with a prefix cache
    like."""

    task: str
    protocol: str
    examples: tuple[Pair, ...]
    context: Mapping[str, str]
    """Path to text of files that are shown only to be read."""
    code: Mapping[str, str]
    """Path to the code that is to be changed."""
    accepted: tuple[str, ...] = ()
    """Edits that were accepted before, as they are shown; the last is the most like the code."""
    findings: tuple[Finding, ...] = ()
    """What is wrong with the code as it is, where that is known."""
    past: tuple[tuple[str, str], ...] = ()
    """What the model said at each attempt and what it was told of it."""

    def fitting(self, room: int) -> list[Message]:
        """Return what to say to a model, in `room` tokens: without the accepted edits, then the files of the context,
        then the examples, that are least like the code, then without all but the last attempt, as far as there is need.
        Raises TooLong."""
        shorter = self._shorter()
        now = self
        while not fits(now._said(), room):
            fewer = next(shorter, None)
            if fewer is None:
                needed = f"it takes {tokens(now._said()):,} tokens to show this, and there is room for {room:,}"
                raise TooLong(f"{needed} (`model.context` less `max_tokens`): {FINER}")
            now = fewer
        return now._messages()

    def _shorter(self) -> Iterator[Conversation]:
        about, now = words("".join(self.code.values())), self
        while now.accepted:
            now = replace(now, accepted=now.accepted[1:])
            yield now
        while now.context:
            least = min(now.context, key=lambda path: likeness(words(now.context[path]), about))
            now = replace(now, context={path: text for path, text in now.context.items() if path != least})
            yield now
        while now.examples:
            least_like = min(now.examples, key=lambda pair: likeness(words(pair[0]), about))
            at = now.examples.index(least_like)
            now = replace(now, examples=now.examples[:at] + now.examples[at + 1 :])
            yield now
        if len(now.past) > 1:
            yield replace(now, past=now.past[-1:])

    def _messages(self) -> list[Message]:
        messages = [("system", system(self.task, self.examples, self.protocol))]
        shown = {"code": self.code, "context": self.context, "accepted": self.accepted, "findings": self.findings}
        messages.append(("user", prompt("task.j2", **shown)))
        for said, told in self.past:
            messages += [(role, content) for role, content in (("assistant", said), ("user", told)) if content]
        return [{"role": role, "content": content} for role, content in _merged(messages)]

    def _said(self) -> str:
        return "".join(message["content"] for message in self._messages())


def system(task: str, examples: Sequence[Pair], protocol: str) -> str:
    """Return the part of the prompt that all shards share."""
    return prompt("system.j2", prompt=task, examples=examples, protocol=protocol)


def again(findings: Sequence[Finding], code: Mapping[str, str]) -> str:
    """Return what a model is told of an attempt at which fault was found; `code`: path to how it reads now."""
    return prompt("again.j2", findings=findings, code=code)


def fence(text: str) -> str:
    """Return a fence that nothing in a text can end: one longer than any run of the same sign in it."""
    return "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))


def prompt(template: str, **values: Any) -> str:
    """Return what a model is told, of the templates under prompts/."""
    return _templates().get_template(template).render(nothing=NOTHING, **values).strip()


@lru_cache(maxsize=1)
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("operators", "prompts"), undefined=StrictUndefined, autoescape=False, trim_blocks=False
    )
    made.filters.update(fence=fence, shown=unseen.shown, name=unseen.name, label=unseen.label)
    return made


def _merged(messages: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join neighbours of one role: chat templates want roles that take turns."""
    merged: list[tuple[str, str]] = []
    for role, content in messages:
        if merged and merged[-1][0] == role:
            merged[-1] = (role, f"{merged[-1][1]}\n\n{content}")
        else:
            merged.append((role, content))
    return merged
