"""How each request of a batch gets its own next token: greedy, or drawn at its own temperature with its own seed."""

from __future__ import annotations

import random
from typing import Any

import torch
from transformers import LogitsProcessorList, TemperatureLogitsWarper
from transformers.generation.continuous_batching.cb_logits_processors import (
    ContinuousBatchingLogitsProcessor,
    ContinuousBatchingLogitsProcessorList,
    ContinuousBatchingTemperatureLogitsWarper,
)

from pipelines.serve.words import draw

GREEDY = 0  # in place of the seed of a draw, which is never 0


def settings(temperature: float, seed: int | None) -> dict[str, Any]:
    """Return what a request hands to the processors below. Without a seed, one is drawn."""
    if temperature == 0:
        return {"temperature": 1.0, "seed": -1}
    return {"temperature": temperature, "seed": abs(seed) if seed is not None else random.getrandbits(31)}


def processors() -> ContinuousBatchingLogitsProcessorList:
    """Return what is done to scores before the greatest is taken."""
    tempered = ContinuousBatchingTemperatureLogitsWarper(TemperatureLogitsWarper(1.0))
    made = ContinuousBatchingLogitsProcessorList(LogitsProcessorList([tempered, Drawn()]))
    made.tensors_required = 2  # it counts those only that it converts itself
    return made


class Drawn(ContinuousBatchingLogitsProcessor):  # type: ignore[misc]
    """Adds Gumbel noise, so that the greatest score is a draw from their softmax (the Gumbel-max trick: Maddison,
    Tarlow and Minka, "A* Sampling", 2014). Transformers itself draws all rows or none, and from one generator.

    A row's noise comes from its request's seed and the token's position alone, whoever else is in the batch.
    """

    supported_kwargs = {"seed": int}  # noqa: RUF012
    ignored_kwargs = ()

    def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
        int32_tensor.fill_(GREEDY)

    def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
        """Return one int32 a row: the seed of its draw, or GREEDY."""
        seeds = []
        for state in (request.state for request in requests_with_new_token):
            seed = state.logit_processor_kwargs.get("seed", -1)
            position = len(state.initial_tokens) + len(state.generated_tokens)
            seeds.append(GREEDY if seed < 0 else draw(seed, position))
        return torch.tensor(seeds, dtype=torch.int32)

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        """`scores`: rows x vocabulary, float32."""
        for row, seed in enumerate(tensor_arg[: scores.size(0)].tolist()):
            if seed != GREEDY:
                generator = torch.Generator(scores.device).manual_seed(seed)
                waited = torch.empty_like(scores[row]).exponential_(generator=generator)
                scores[row] -= waited.clamp_min(torch.finfo(scores.dtype).tiny).log()
        return scores
