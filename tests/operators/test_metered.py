"""A model whose calls are counted, and that may not be asked any more at some time."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import pytest

from operators import model
from operators.data import Away, Completion, Message, Skip, Trouble
from operators.metered import Metered
from operators.model import Endpoint as Model
from operators.model import ModelError
from operators.responses import Remembering
from tests.endpoint import Endpoint, Says

ASKED: Sequence[Message] = [{"role": "user", "content": "hello"}]


@dataclass
class Tape:
    """A meter that writes down what it is told."""

    most: int = 1000
    asked: list[tuple[str, str]] = field(default_factory=list)
    told: list[Completion] = field(default_factory=list)

    def ask(self, repo: str, key: str) -> str:
        self.asked.append((repo, key))
        return "enough" if len(self.asked) > self.most else ""

    def tell(self, repo: str, key: str, reply: Completion) -> None:
        self.told.append(reply)


@dataclass
class Raises:
    fault: Exception
    bare = False
    revision = ""
    concurrency = 1
    room = 1000

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        raise self.fault


def ask(model: Metered, attempt: int = 0) -> Completion:
    return model.complete(ASKED, shard="s", attempt=attempt)


def test_each_call_is_asked_for_and_told_and_what_is_known_costs_nothing(endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.say("good day")
    tape = Tape(most=5)
    model = Metered(Remembering(Model(endpoint.url, "m", gpus=2), str(tmp_path)), tape, "billing", "key")
    assert (model.room, model.concurrency, model.bare, model.revision[:2]) == (57_344, 32, False, "m ")
    assert [ask(model).cached, ask(model).cached, ask(model, 1).text] == [False, True, "good day"]
    with pytest.raises(Away, match="enough"):
        ask(model)  # known, and not to be had for all that
    assert tape.asked == [("billing", "key")] * 6, "once for what is known, twice for what is sent"
    assert [(one.tokens_in, one.tokens_out, one.text) for one in tape.told] == [(1, 2, ""), (1, 2, "")]
    assert all(one.seconds > 0 and one.gpu_seconds == pytest.approx(2 * one.seconds, rel=0.5) for one in tape.told)


def test_what_failed_has_cost_its_time(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.random, "uniform", lambda low, high: 0.001)  # it waits less between tries
    endpoint.say(Says(status=500, body=b"oh", after=0.1))
    endpoint.ping = Says("pong")
    tape = Tape()
    with pytest.raises(ModelError):
        ask(Metered(Model(endpoint.url, "m", gpus=3), tape, "billing", "key"))
    (lost,) = tape.told
    assert len(endpoint.requests) == 6
    assert 0.6 <= lost.seconds < 3 and 1.8 <= lost.gpu_seconds < 9
    assert (lost.tokens_in, lost.tokens_out) == (0, 0)


def test_tries_in_vain_are_part_of_what_a_reply_costs(endpoint: Endpoint) -> None:
    endpoint.say(Says(status=500, body=b"oh", after=0.2), Says("good day"))
    tape = Tape()
    assert ask(Metered(Model(endpoint.url, "m"), tape, "billing", "key")).text == "good day"
    assert [one.seconds >= 0.2 for one in tape.told] == [True]


@pytest.mark.parametrize(
    ("fault", "told"),
    [(Away("gone before"), 0), (Trouble("no answer"), 1), (Skip("too long"), 1), (ValueError("a plugin's"), 1)],
)
def test_what_counts_as_a_call(fault: Exception, told: int) -> None:
    tape = Tape()
    with pytest.raises(type(fault)):
        ask(Metered(Raises(fault), tape, "billing", "key"))
    assert len(tape.told) == told


def test_of_those_that_wait_for_their_turn_none_is_sent_beyond_the_limit(endpoint: Endpoint) -> None:
    endpoint.say(Says("good day", after=0.05))
    purse = Spending(most=9)
    model = Metered(Model(endpoint.url, "m", concurrency=2), purse, "billing", "key")
    with ThreadPoolExecutor(20) as pool:
        done = [pool.submit(model.complete, ASKED, shard=f"{number}", attempt=0) for number in range(20)]
    assert sum(isinstance(one.exception(), Away) for one in done) == 20 - len(endpoint.requests)
    assert 3 <= len(endpoint.requests) <= 4, "three calls reach it; two are under way at a time"


@dataclass
class Spending:
    """A meter that counts tokens."""

    most: int
    spent: int = 0
    lock: Lock = field(default_factory=Lock)

    def ask(self, repo: str, key: str) -> str:
        with self.lock:
            return "enough" if self.spent >= self.most else ""

    def tell(self, repo: str, key: str, reply: Completion) -> None:
        with self.lock:
            self.spent += reply.tokens_in + reply.tokens_out
