"""The Transformers engine on Ray Serve, for machines where vLLM does not run: `pipelines.serve.transformers:app`.

Two deployments: `Api` answers HTTP, each `Replica` runs the checkpoint on one device.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

from ray import serve
from ray.serve import Application, Deployment
from ray.serve.handle import DeploymentHandle

from pipelines.serve.checkpoint import weights
from pipelines.serve.key import KeyCheck
from pipelines.serve.protocol import Chat, Piece, Refusal
from pipelines.serve.settings import Settings

WRITES = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")  # how classes end that write text


@serve.deployment
class Replica:
    def __init__(self, settings: Settings) -> None:
        check(settings.model_source)
        from pipelines.serve.engine import Engine  # Transformers and torch: only where replicas run

        self._engine = Engine(settings)

    async def complete(self, chat: Chat) -> Piece | Refusal:
        async with aclosing(self._engine.answer(chat)) as pieces:
            return await anext(pieces)

    async def stream(self, chat: Chat) -> AsyncIterator[Piece | Refusal]:
        async with aclosing(self._engine.answer(chat)) as pieces:
            async for piece in pieces:
                yield piece

    async def running(self) -> int:
        return self._engine.running

    def check_health(self) -> None:
        """Serve starts another replica in place of one that raises here."""
        if not self._engine.alive():
            raise RuntimeError("generation has stopped: see the log for what it died of")


@serve.deployment
@serve.ingress()
class Api:
    def __init__(self, settings: Settings, engine: DeploymentHandle[Any]) -> None:
        self._settings, self._handle = settings, engine

    def __serve_build_asgi_app__(self) -> Any:
        from pipelines.serve.routes import api

        return api(self._settings, self._handle)


def check(directory: str) -> None:
    """Raise Refused when a folder holds no whole checkpoint of a model that writes text: its weights are not loaded."""
    try:
        named = json.loads(Path(directory, "config.json").read_bytes())["architectures"]
        found = [name for name in named if name.endswith(WRITES)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # said below
        found = []
    weights(Path(directory), found or [f"one that ends in {WRITES[0]}"], mistral=False)


def app(args: Mapping[str, Any]) -> Application:
    """Return the application that `serve deploy` and `serve.run` take; `args` are those of Settings.

    Raises ValueError for settings, and Refused for a checkpoint, that cannot work.
    """
    settings = Settings.model_validate(args)
    KeyCheck(cast(Any, Api), settings.key_digest)  # refuses a bad digest now, and not first in a replica
    if Path(settings.model_source).exists():  # on a cluster it may be on the replicas' nodes only; they check it too
        check(settings.model_source)
    replica, api = cast(Deployment, Replica), cast(Deployment, Api)
    engine = replica.options(
        num_replicas=settings.num_replicas,
        ray_actor_options={"num_cpus": settings.num_cpus, "num_gpus": settings.num_gpus},
        max_ongoing_requests=settings.ongoing,
        max_queued_requests=settings.max_queued_requests,
    ).bind(settings)
    # More than the replicas take in, so that it is their queue that is full first, and 429 that is answered.
    many = settings.num_replicas * settings.ongoing + settings.max_queued_requests
    return api.options(max_ongoing_requests=2 * many, ray_actor_options={"num_cpus": 0}).bind(settings, engine)
