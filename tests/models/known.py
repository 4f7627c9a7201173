"""What a model of the tests knows of a case, and how it answers: as any other does, by search/replace blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operators.data import Completion, Message
from operators.workspace import Workspace
from pipelines.evaluate import Ready
from tests.benchmarks.protocols import searched
from tests.endpoint import Script


@dataclass(frozen=True, slots=True)
class Known:
    before: Mapping[str, str]
    """The shard's files, as they are shown."""
    gold: Mapping[str, str]
    tests: tuple[str, ...]
    """Paths."""
    passing: tuple[str, ...]
    """Ids of the tests that pass with the gold edit."""
    packages: tuple[str, ...]
    """What is installed."""

    @classmethod
    def of(cls, ready: Ready) -> Known:
        ws = Workspace(ready.base)
        (facts,) = ready.base.facts.values()
        return cls(
            {path: ws.base_text(path) or "" for path in ready.shard.paths},
            {path: text for path, text in ready.gold.files.items() if text is not None},
            ready.case.tests,
            tuple(test for test, how in facts["results"].items() if how == "passed"),
            tuple(pin.partition("==")[0] for pin in ready.case.pins),
        )

    def becomes(self, texts: Mapping[str, str]) -> str:
        """Return the blocks that make these texts of the files."""
        changed = {path: text for path, text in texts.items() if text != self.before[path]}
        return "\n\n".join(searched(path, self.before[path], text) for path, text in changed.items())

    def each(self, change: Callable[[str], str]) -> str:
        return self.becomes({path: change(text) for path, text in self.before.items() if path.endswith(".py")})


Answer = Callable[[Known], str]


@dataclass(frozen=True, slots=True)
class Answers:
    """A model that knows the case it is asked about."""

    name: str
    answer: Answer
    known: Known
    bare, concurrency, room, weights = False, 1, 1 << 30, ""

    @property
    def revision(self) -> str:
        return self.name

    def complete(self, messages: Sequence[Message], *, shard: str, attempt: int, grammar: str = "") -> Completion:
        said = self.answer(self.known)
        return Completion(said, sum(len(message["content"]) for message in messages) // 4, len(said) // 4)


def scripted(cases: Sequence[Known], answer: Answer) -> Script:
    """Return what an endpoint says: it knows which case it is asked about by the code that it is shown."""

    def says(request: Mapping[str, Any]) -> str:
        shown = request["messages"][1]["content"]
        known = [case for case in cases if all(text.strip("\n") in shown for text in case.before.values())]
        return answer(max(known, key=lambda case: sum(map(len, case.before.values()))))

    return says


def oracle(known: Known) -> str:
    """Answer with the gold edit."""
    return known.becomes(known.gold)
