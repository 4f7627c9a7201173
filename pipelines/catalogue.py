"""The models that can be hosted, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from pipelines.jobfile import content, settings
from pipelines.strict import Strict

HERE = Path(__file__).parent
# In a wheel it lies beside this module, in a checkout beside the package.
DEPLOY = next((folder for folder in (HERE / "deploy", HERE.parent / "deploy") if folder.is_dir()), HERE / "deploy")


class Licence(Strict):
    name: str
    condition: str = ""
    """What must be met before the model may be used; empty when there is nothing to meet."""


class Sampling(Strict):
    temperature: float = Field(ge=0, le=2)


class Price(Strict):
    """Per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    currency: str = "USD"


class Score(Strict):
    benchmark: str
    percent: float = Field(ge=0, le=100)
    source: str


class Model(Strict):
    about: str
    repository: str = Field(default="", pattern=r"^([\w.-]+/[\w.-]+)?$")
    """On Hugging Face."""
    revision: str = Field(default="", pattern=r"^[\w.-]{0,64}$")
    """Of its repository, or another name of the weights that are hosted: requests, commits and reports tell it."""
    folder: str = ""
    """Of a checkpoint that comes with Umbau, in `operators`."""
    licence: Licence
    architectures: list[str] = Field(min_length=1)
    """What its config.json may name."""
    context: int = Field(ge=1)
    """Tokens of question and answer together."""
    weight_bytes: int = Field(ge=1)
    kv_bytes_per_token: int = Field(ge=1)
    """Keys and values that a token in hand takes: layers * 2 * KV heads * head size * bytes of a number."""
    gpus: dict[str, int] = Field(default={})
    """How many of a kind a replica is known to run on, by Ray's accelerator_type."""
    sampling: Sampling
    reply: Literal["blocks", "whole", "piece"]
    """What a rewrite step should ask of it."""
    price: Price | None = None
    score: Score | None = None

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if bool(self.repository) == bool(self.folder):
            raise PydanticCustomError("one_of", "one key is needed here, of repository, folder")
        return self

    @property
    def shipped(self) -> Path | None:
        """The folder of its checkpoint, when it comes with Umbau."""
        import operators

        return Path(operators.__path__[0]) / self.folder if self.folder else None


class Catalogue(Strict):
    models: dict[str, Model]


def catalogue() -> Mapping[str, Model]:
    """Read the models that come with Umbau. Raises BadJob."""
    file = DEPLOY / "models.yaml"
    needs, other = "a catalogue needs models", "a catalogue is keys and values: models"
    return settings(content(file), str(file), Catalogue, needs, other).models
