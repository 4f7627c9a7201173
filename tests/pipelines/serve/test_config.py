"""Serve's configurations: those that come with Umbau, and mistakes in others."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from operators.outward import OFFLINE, QUIET
from pipelines.catalogue import catalogue
from pipelines.errors import Refused
from pipelines.jobfile import BadJob
from pipelines.serve.config import CONFIGS, GUARDED, config_of
from pipelines.serve.memory import Node, shortage

SHIPPED = sorted(file.stem for file in CONFIGS.glob("*.yaml"))
DIGEST = f"{'0' * 32}:{'1' * 64}"
LLM = """\
applications:
- name: mine
  route_prefix: /mine
  import_path: ray.serve.llm:build_openai_app
  args:
    llm_configs:
    - model_loading_config: {model_id: mine, model_source: weights}
      accelerator_type: L4
      deployment_config: {max_ongoing_requests: 8}
"""
TRANSFORMERS = """\
applications:
- name: mine
  route_prefix: /mine
  import_path: pipelines.serve.transformers:app
  args: {model_id: mine, model_source: weights, max_batch_size: 4, max_model_len: 1024, dtype: float32}
"""


def written(folder: Path, text: str) -> str:
    file = folder / "serve.yaml"
    file.write_text(text)
    return str(file)


def test_there_is_one_for_each_model_of_the_catalogue() -> None:
    assert {hosted.model_id for name in SHIPPED for hosted in config_of(name).models} == set(catalogue())


@pytest.mark.parametrize("name", SHIPPED)
def test_limits_that_let_autoscaling_fire_and_queues_end(name: str) -> None:
    config = config_of(name)
    assert config.name == name
    assert config.route == f"/{name}"
    assert config.whole["http_options"]["host"] == "127.0.0.1"
    for llm in config.whole["applications"][0]["args"].get("llm_configs", []):
        deployment = llm["deployment_config"]
        assert 0 < deployment["autoscaling_config"]["target_ongoing_requests"] <= deployment["max_ongoing_requests"]
        assert deployment["max_queued_requests"] > 0
        assert deployment["backpressure_config"]["status_code"] == 429
        assert deployment["backpressure_config"]["retry_after_s"] > 0
        router = deployment["request_router_config"]
        assert router["request_router_class"].endswith(".PrefixCacheAffinityRouter")
        assert router["request_router_kwargs"] == {
            "imbalanced_threshold": 10,
            "match_rate_threshold": 0.1,
            "do_eviction": True,
        }
        ingress = config.whole["applications"][0]["args"]["ingress_deployment_config"]
        assert ingress["max_ongoing_requests"] > deployment["max_ongoing_requests"] + deployment["max_queued_requests"]
        assert ingress["autoscaling_config"]["target_ongoing_requests"] <= ingress["max_ongoing_requests"]


@pytest.mark.parametrize("name", SHIPPED)
def test_what_a_replica_lets_in_fits_the_gpus_that_it_asks_for(name: str) -> None:
    nodes = [Node(8, ("H100",), 16e9)]
    for hosted in config_of(name).models:
        model = catalogue()[hosted.model_id]
        assert shortage(hosted.need(model, model.weight_bytes, None, 8192), nodes) == ""
        assert (hosted.longest or 0) <= model.context
        if hosted.tensor:
            assert hosted.mistral
            assert model.gpus["H100"] == hosted.tensor * hosted.pipeline


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", SHIPPED)
def test_serves_own_schema_takes_them(name: str) -> None:
    from ray.serve.schema import ServeDeploySchema

    config = config_of(name)
    made = config.application(["/models/x"], DIGEST, offline=True)
    found = ServeDeploySchema.model_validate({**config.whole, "applications": [made]})
    assert found.applications[0].args["key_digest"] == DIGEST


def test_what_is_added_before_it_is_deployed(tmp_path: Path) -> None:
    config = config_of(written(tmp_path, LLM))
    before = yaml.safe_dump(config.whole)
    made = config.application(["/models/mine"], DIGEST, offline=True)
    assert made["import_path"] == GUARDED
    assert made["args"]["key_digest"] == DIGEST
    (llm,) = made["args"]["llm_configs"]
    assert llm["model_loading_config"] == {"model_id": "mine", "model_source": "/models/mine"}
    assert llm["runtime_env"]["env_vars"] == QUIET | OFFLINE
    online = config.application(["owner/mine"], DIGEST, offline=False)["args"]["llm_configs"][0]
    assert "HF_HUB_OFFLINE" not in online["runtime_env"]["env_vars"]
    assert yaml.safe_dump(config.whole) == before


def test_replicas_take_as_many_requests_as_the_arithmetic_was_asked_about() -> None:
    made = config_of("devstral-small-2").application(["/models/x"], DIGEST, offline=True, requests=8)
    deployment = made["args"]["llm_configs"][0]["deployment_config"]
    assert deployment["max_ongoing_requests"] == 8
    assert deployment["autoscaling_config"]["target_ongoing_requests"] == 6


def test_the_transformers_engine_is_hosted_likewise(tmp_path: Path) -> None:
    config = config_of(written(tmp_path, TRANSFORMERS))
    (hosted,) = config.models
    assert (hosted.requests, hosted.longest, hosted.tensor, hosted.mistral) == (4, 1024, 0, False)
    need = hosted.need(catalogue()["umbau-asserts"], 7_000_000, None, 8192)
    assert (need.weight_bytes, need.kv_bytes) == (14_000_000, 4 * 1024 * 8192)
    made = config.application(["/models/mine"], DIGEST, offline=True)
    assert made["args"] == {
        **config.whole["applications"][0]["args"],
        "key_digest": DIGEST,
        "model_source": "/models/mine",
    }


def test_the_transformers_engine_reserves_the_whole_context_for_each_request(tmp_path: Path) -> None:
    text = TRANSFORMERS.replace("max_batch_size: 4, max_model_len: 1024", "max_batch_size: 32, max_model_len: 65536")
    (hosted,) = config_of(written(tmp_path, text)).models
    model = catalogue()["devstral-small-2"]
    need = hosted.need(model, 7_000_000, None, 8192)
    assert need.kv_bytes == 2_097_152 * need.kv_bytes_per_token
    assert "687.2 for keys and values" in shortage(need, [Node(0, (), 16e9)])
    assert hosted.need(model, 7_000_000, 2, 8192).kv_bytes == 131_072 * need.kv_bytes_per_token


@pytest.mark.parametrize(
    ("addition", "tensor", "kv_bytes"),
    [
        ("", 1, 8 * 8192 * 4096),
        ("      engine_kwargs: {tensor_parallel_size: 2}\n", 2, 8 * 8192 * 4096),
        ("      engine_kwargs: {kv_cache_dtype: fp8}\n", 1, 8 * 8192 * 2048),
        ("      engine_kwargs: {dtype: float32}\n", 1, 8 * 8192 * 8192),
        ("      placement_group_config: {bundles: [{CPU: 2}]}\n", 0, 8 * 8192 * 4096),
        ("      placement_group_config: {bundle_per_worker: {CPU: 1, GPU: 1}}\n", 1, 8 * 8192 * 4096),
    ],
)
def test_what_a_replica_takes(addition: str, tensor: int, kv_bytes: int, tmp_path: Path) -> None:
    (hosted,) = config_of(written(tmp_path, LLM + addition)).models
    model = catalogue()["umbau-asserts"].model_copy(update={"context": 65536})
    need = hosted.need(model, model.weight_bytes, None, 8192)
    assert (need.tensor, need.kv_bytes) == (tensor, kv_bytes)


# The text, where it is wrong, and what is said of it.
BAD = {
    "empty": ("", "", "Serve's configuration needs applications"),
    "a list": ("- a\n", ":1:1", "keys and values: proxy_location"),
    "no application": ("applications: []\n", ":1:15", "at least one entry is needed here"),
    "other code": (LLM.replace("ray.serve.llm:build_openai_app", "my.module:app"), ":2:3", "'my.module:app'"),
    "no limit": (LLM.replace("max_ongoing_requests: 8", ""), ":9:26", "`max_ongoing_requests` is missing"),
    "no end of it": (LLM.replace("8}", "1000000000}"), ":9:49", "100000 or less is needed here"),
    "no models": (
        LLM[: LLM.index("    - model")].replace("llm_configs:", "llm_configs: []"),
        ":6:18",
        "at least one entry",
    ),
    "no name of it": (LLM.replace("model_id: mine, ", ""), ":7:29", "`model_id` is missing"),
    "name": (LLM.replace("name: mine", "name: ../mine"), ":2:9", "lower-case letters, digits"),
    "route": (LLM.replace("/mine", "mine"), ":3:17", "should match pattern"),
    "two": (LLM + LLM.removeprefix("applications:\n"), ":10:3", "one application each: put this into its own file"),
    "GPUs": (LLM + "      engine_kwargs: {tensor_parallel_size: two}\n", ":10:45", "a whole number is needed here"),
    "no replicas": (LLM.replace("8}", "8, num_replicas: 0}"), ":9:66", "1 or more is needed here, or auto"),
    "fewer than none": (LLM.replace("8}", "8, num_replicas: -1}"), ":9:66", "1 or more is needed here, or auto"),
    "no environment": (LLM + "      runtime_env:\n", ":10:19", "keys and values are needed here"),
    "no variables": (LLM + "      runtime_env:\n        env_vars:\n", ":11:18", "keys and values are needed here"),
    "a number": (LLM + "      runtime_env: {env_vars: {A: 1}}\n", ":10:35", 'write "1" in quotes'),
    "no bundles": (LLM + "      placement_group_config: {bundles: }\n", ":10:40", "a list is needed here"),
    "bundles": (LLM + "      placement_group_config: {bundles: [GPU]}\n", ":10:42", "keys and values are needed here"),
    "target": (
        LLM.replace("8}", "8, autoscaling_config: {target_ongoing_requests: '4'}}"),
        ":9:98",
        "a number is needed here",
    ),
    "YAML": (LLM + "   x: [\n", ":10:4", "not YAML"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_told_by_line(case: str, tmp_path: Path) -> None:
    text, place, words = BAD[case]
    with pytest.raises(BadJob) as caught:
        config_of(written(tmp_path, text))
    assert str(caught.value).startswith(f"{tmp_path}/serve.yaml{place}: ")
    assert words in str(caught.value)


def test_a_name_that_is_none() -> None:
    with pytest.raises(Refused, match="neither a file nor one of devstral-2, devstral-small-2, embedded-cpu"):
        config_of("devstral-3")
