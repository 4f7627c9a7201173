"""What stands before a model and looks like it."""

from __future__ import annotations

from dataclasses import dataclass

from operators.data import Drawn, Model, Sampled


@dataclass(frozen=True, slots=True)
class Behind:
    """Says of itself what the model behind it says; how it answers is its own."""

    model: Model

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def weights(self) -> str:
        return self.model.weights

    @property
    def bare(self) -> bool:
        return self.model.bare

    @property
    def revision(self) -> str:
        return self.model.revision

    @property
    def concurrency(self) -> int:
        return self.model.concurrency

    @property
    def room(self) -> int:
        return self.model.room

    def drawn(self, shard: str, attempt: int) -> Drawn | None:
        return self.model.drawn(shard, attempt) if isinstance(self.model, Sampled) else None
