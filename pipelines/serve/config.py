"""Serve's own configuration of an application that hosts models: what it asks for, and what is added to deploy it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from operators.outward import OFFLINE, QUIET
from pipelines.catalogue import DEPLOY, Model
from pipelines.errors import Refused
from pipelines.job import Name
from pipelines.jobfile import BadJob, content, problem, settings
from pipelines.marked import Marked
from pipelines.serve.memory import Need

CONFIGS = DEPLOY / "serve"
_SCALES = {"float32": 2.0}  # by dtype, against bfloat16
GUARDED = "pipelines.serve.vllm:app"  # Ray Serve LLM's application, with a key check in front
NEEDS = "Serve's configuration needs applications: see deploy/serve"
OTHER = "Serve's configuration is keys and values: proxy_location, http_options, applications"


class _Part(BaseModel):
    """What is read here; the rest is Serve's and vLLM's business."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, protected_namespaces=())


class _Loading(_Part):
    model_id: str
    model_source: str = ""


class _Engine(_Part):
    tensor_parallel_size: int = Field(1, ge=1)
    pipeline_parallel_size: int = Field(1, ge=1)
    gpu_memory_utilization: float = Field(0.9, gt=0, le=1)
    max_model_len: int | None = Field(None, ge=1)
    load_format: str = "auto"
    kv_cache_dtype: str = "auto"
    kv_cache_memory_bytes: int | None = Field(None, ge=1)
    dtype: str = "auto"


class _Scaling(_Part):
    min_replicas: int = Field(1, ge=0)
    target_ongoing_requests: float = Field(2, gt=0)


def _some(replicas: int | str) -> int | str:
    if isinstance(replicas, int) and replicas < 1:
        raise PydanticCustomError("replicas", "1 or more is needed here, or auto")
    return replicas


class _Deployment(_Part):
    max_ongoing_requests: int = Field(ge=1, le=100_000)
    """Ray Serve LLM's own default is a thousand million, which no queue limit ever follows."""
    num_replicas: Annotated[int | Literal["auto"], AfterValidator(_some)] = 1
    autoscaling_config: _Scaling | None = None


class _Placement(_Part):
    bundles: list[dict[str, float]] = []
    bundle_per_worker: dict[str, float] = {}


class _Runtime(_Part):
    env_vars: dict[str, str] = {}


class _LLM(_Part):
    model_loading_config: _Loading
    accelerator_type: str = ""
    placement_group_config: _Placement = _Placement()
    runtime_env: _Runtime = _Runtime()
    engine_kwargs: _Engine = _Engine()  # type: ignore[call-arg]
    deployment_config: _Deployment


class _LLMs(_Part):
    llm_configs: list[_LLM] = Field(min_length=1)


class _Transformers(_Part):
    model_id: str
    model_source: str = ""
    max_model_len: int | None = Field(None, ge=1)
    max_batch_size: int = Field(32, ge=1)
    num_replicas: int = Field(1, ge=1)
    num_gpus: int = Field(0, ge=0, le=1)
    dtype: str = "auto"


class _OnVllm(_Part):
    name: Name
    route_prefix: str = Field("/", pattern=r"^/([\w-]+(/[\w-]+)*)?$")
    import_path: Literal["pipelines.serve.vllm:app", "ray.serve.llm:build_openai_app"]
    args: _LLMs


class _OnTransformers(_Part):
    name: Name
    route_prefix: str = Field("/", pattern=r"^/([\w-]+(/[\w-]+)*)?$")
    import_path: Literal["pipelines.serve.transformers:app"]
    args: _Transformers


class _Serve(_Part):
    applications: list[Annotated[_OnVllm | _OnTransformers, Field(discriminator="import_path")]] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Hosted:
    """One model of an application, as the configuration has it."""

    model_id: str
    source: str
    """Folder, or repository; empty when it does not say."""
    mistral: bool
    """Loaded from Mistral's own format."""
    requests: int
    """That a replica takes in at a time."""
    longest: int | None
    replicas: int
    tensor: int
    pipeline: int
    accelerator: str
    utilization: float
    weight_scale: float
    """Bytes of a weight in use against those in the checkpoint, taken to be bfloat16."""
    kv_scale: float
    """The same for keys and values."""
    kv_space: int
    full_length: bool
    """The engine reserves the whole context for each request, however few tokens it has."""

    def need(self, model: Model, weight_bytes: int, requests: int | None, tokens: int) -> Need:
        """Return what it takes for so many requests at a time, of so many tokens each."""
        longest = min(self.longest or model.context, model.context)
        return Need(
            self.model_id,
            int(weight_bytes * self.weight_scale),
            int(model.kv_bytes_per_token * self.kv_scale),
            requests or self.requests,
            longest if self.full_length else min(tokens, longest),
            longest,
            self.replicas,
            self.tensor,
            self.pipeline,
            self.accelerator,
            self.utilization,
            self.kv_space,
        )


@dataclass(frozen=True, slots=True)
class Config:
    """A file with one application."""

    file: Path
    whole: dict[str, Any]
    name: str
    route: str
    models: tuple[Hosted, ...]

    def application(
        self, sources: Sequence[str], key_digest: str, *, offline: bool, requests: int | None = None
    ) -> dict[str, Any]:
        """Return the application as Serve takes it; `sources`: where each model's weights are; `requests`: that a
        replica takes at a time, if not as many as the file says."""
        made: dict[str, Any] = deepcopy(self.whole["applications"][0])
        args = made["args"]
        args["key_digest"] = key_digest
        if "llm_configs" not in args:
            args["model_source"] = sources[0]
            args |= {"max_batch_size": requests} if requests else {}
            return made
        made["import_path"] = GUARDED
        for config, source in zip(args["llm_configs"], sources, strict=True):
            config["model_loading_config"]["model_source"] = source
            variables = config.setdefault("runtime_env", {}).setdefault("env_vars", {})
            if requests:
                _take(config["deployment_config"], requests)
            variables |= QUIET | (OFFLINE if offline else {})
        return made


def _take(deployment: dict[str, Any], requests: int) -> None:
    """Let a replica take so many requests; more replicas are started at the same share of it as before."""
    scaling, before = deployment.get("autoscaling_config") or {}, deployment["max_ongoing_requests"]
    deployment["max_ongoing_requests"] = requests
    if target := scaling.get("target_ongoing_requests"):
        scaling["target_ongoing_requests"] = max(1, round(requests * min(1.0, target / before)))


def config_of(named: str) -> Config:
    """Read a Serve configuration by file, or by the name of one that comes with Umbau. Raises BadJob, Refused."""
    is_file = named.endswith((".yaml", ".yml")) or Path(named).is_file()
    file = Path(named) if is_file else CONFIGS / f"{named}.yaml"
    if not is_file and not file.is_file():
        known = ", ".join(sorted(path.stem for path in CONFIGS.glob("*.yaml")))
        raise Refused(f"there is no Serve configuration {named}: it is neither a file nor one of {known}")
    data = content(file)
    found = settings(data, str(file), _Serve, NEEDS, OTHER).applications
    if len(found) > 1:
        raise BadJob(
            str(file), [problem(file, ("applications", 1), "one application each: put this into its own file")]
        )
    app = found[0]
    hosted = tuple(map(_on_vllm, app.args.llm_configs)) if isinstance(app, _OnVllm) else (_on_transformers(app.args),)
    return Config(file, Marked().read(data), app.name, app.route_prefix, hosted)


def _on_vllm(config: _LLM) -> Hosted:
    engine, deployment, placement = config.engine_kwargs, config.deployment_config, config.placement_group_config
    asked = [bundle for bundle in (*placement.bundles, placement.bundle_per_worker) if bundle]
    on_cpu = bool(asked) and not any(bundle.get("GPU") for bundle in asked)
    scale = _SCALES.get(engine.dtype, 1.0)
    return Hosted(
        config.model_loading_config.model_id,
        config.model_loading_config.model_source,
        engine.load_format == "mistral",
        deployment.max_ongoing_requests,
        engine.max_model_len,
        _replicas(deployment),
        0 if on_cpu else engine.tensor_parallel_size,
        engine.pipeline_parallel_size,
        config.accelerator_type,
        engine.gpu_memory_utilization,
        scale,
        0.5 if engine.kv_cache_dtype.startswith("fp8") else scale,
        engine.kv_cache_memory_bytes or 0 if on_cpu else 0,
        False,
    )


def _on_transformers(args: _Transformers) -> Hosted:
    return Hosted(
        args.model_id,
        args.model_source,
        False,
        args.max_batch_size,
        args.max_model_len,
        args.num_replicas,
        args.num_gpus,
        1,
        "",
        0.9,
        _SCALES.get(args.dtype, 1.0),
        _SCALES.get(args.dtype, 1.0),
        0,
        True,
    )


def _replicas(deployment: _Deployment) -> int:
    """Those that it starts with; none at first are one when the first request comes."""
    scaling = deployment.autoscaling_config
    if scaling or deployment.num_replicas == "auto":
        return max(1, scaling.min_replicas if scaling else 1)
    return int(deployment.num_replicas)
