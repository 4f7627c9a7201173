"""Ray Serve LLM's application, behind a key check. Runs on the cluster, where vLLM is installed.

Serve's configuration names it: `import_path: pipelines.serve.vllm:app`, with the arguments of
`ray.serve.llm:build_openai_app` and `key_digest`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from pipelines.serve.key import KeyCheck

NEEDED = "vLLM is not installed where Ray runs: there, install umbau[cluster] and ray[llm], then restart Ray"


def app(args: Mapping[str, Any]) -> Any:
    """Return `ray.serve.llm:build_openai_app`'s application, with our FastAPI application in front.

    The same few steps as there (https://docs.ray.io/en/latest/serve/llm/), because that one takes no application.
    Raises ImportError without vLLM, ValueError without `key_digest`.
    """
    if not find_spec("vllm"):
        raise ImportError(NEEDED)
    from ray import serve
    from ray.llm._internal.serve.core.configs.openai_api_models import to_model_metadata
    from ray.serve.llm import LLMServingArgs, build_llm_deployment
    from ray.serve.llm.ingress import OpenAiIngress, make_fastapi_ingress

    rest = dict(args)
    front = _front(rest.pop("key_digest", ""))
    settings: Any = LLMServingArgs.model_validate(rest)
    configs = {config.model_id: config for config in settings.llm_configs}
    options = OpenAiIngress.get_deployment_options(settings.llm_configs) | settings.ingress_deployment_config
    ingress: Any = serve.deployment(make_fastapi_ingress(OpenAiIngress, app=front), **options)
    return ingress.bind(
        llm_deployments={name: build_llm_deployment(config) for name, config in configs.items()},
        model_cards={name: to_model_metadata(name, config) for name, config in configs.items()},
    )


def _front(key_digest: str) -> Any:
    """Return Ray's FastAPI application with the key check before all else."""
    from ray.llm._internal.serve.core.ingress.ingress import init

    front = init()
    KeyCheck(front, key_digest)  # refuses a bad digest now, and not first in a replica
    front.add_middleware(KeyCheck, digest=key_digest)
    return front
