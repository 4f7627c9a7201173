"""Asks before each call of a model whether it may be made, and tells what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Protocol

from operators.behind import Behind
from operators.data import Away, Completion, Message, Trouble


class Meter(Protocol):
    """Counts what models cost, by repository and shard's key, and knows the limits."""

    def ask(self, repo: str, key: str) -> str:
        """Say which limit is reached, "" when a model may be asked. Raises Away when that cannot be known."""

    def tell(self, repo: str, key: str, reply: Completion) -> None:
        """Count a call; one that failed is told as a reply without words. Raises Away."""


@dataclass(slots=True)
class _Call:
    """One call: asked for when it is wanted and when it is its turn, told once."""

    meter: Meter
    repo: str
    key: str
    told: bool = False

    def ask(self) -> None:
        if why := self.meter.ask(self.repo, self.key):
            raise Away(why)

    def tell(self, reply: Completion) -> None:
        if not (self.told or reply.cached):
            self.told = True
            self.meter.tell(self.repo, self.key, replace(reply, text=""))


_call: ContextVar[_Call | None] = ContextVar("call", default=None)


def admitted() -> None:
    """Ask once more. A model that lets calls wait for their turn does so when it is: else all that wait would be sent
    after the limit is reached. Raises Away."""
    if call := _call.get():
        call.ask()


def answered(reply: Completion) -> None:
    """Tell what a call cost. A model that lets calls wait does so before it is the next one's turn."""
    if call := _call.get():
        call.tell(reply)


@dataclass(frozen=True, slots=True)
class Metered(Behind):
    """A model as one shard may ask it.

    The meter is asked also before what may turn out to be known from before: a shard whose limit is reached goes on
    when it is raised, not as far as old replies carry it.
    """

    meter: Meter
    repo: str
    key: str

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        """Raises Away when a limit is reached, and as the model does."""
        call = _Call(self.meter, self.repo, self.key)
        call.ask()
        token = _call.set(call)
        try:
            reply = self.model.complete(messages, shard=shard, attempt=attempt, grammar=grammar)
        except Exception as fault:
            vain = fault if isinstance(fault, Trouble) else Trouble()
            if vain.seconds or not isinstance(fault, Away):  # else it was gone before anything was sent
                call.tell(Completion("", seconds=vain.seconds, gpu_seconds=vain.gpu_seconds))
            raise
        finally:
            _call.reset(token)
        call.tell(reply)
        return reply
