"""What can be set for the Transformers engine: the `args` of its Serve application."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_id: str = Field(min_length=1)
    """What clients call the model."""
    model_source: str = Field(min_length=1)
    """A folder as Transformers saves it, on each node that may run a replica. Nothing is ever downloaded."""
    key_digest: str
    """Of the API key that clients send, as `pipelines.serve.key.digest_of` makes it."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """`auto`: as the checkpoint has it. Many CPUs are faster, and exact, with float32."""
    max_model_len: int | None = Field(None, ge=2)
    """Tokens of prompt and answer together; None: as many as the model was made for."""
    max_batch_size: int = Field(32, ge=1)
    """Requests that are generated for at a time. Memory is reserved for so many of full length."""
    num_replicas: int = Field(1, ge=1)
    num_cpus: float = Field(1, gt=0)
    """Cores of a replica, on which it computes unless it has a GPU."""
    num_gpus: Literal[0, 1] = 0
    max_ongoing_requests: int | None = Field(None, ge=1)
    """Requests that a replica takes in; None: twice `max_batch_size`, so that the next are at hand."""
    max_queued_requests: int = Field(256, ge=0)
    """Requests that wait for a replica; further ones are answered with 429."""

    @property
    def ongoing(self) -> int:
        return self.max_ongoing_requests or 2 * self.max_batch_size
