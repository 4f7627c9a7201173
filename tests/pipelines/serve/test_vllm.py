"""The embedded model by real vLLM under real Ray Serve, brought up and taken down by `umbau model`.

It runs where UMBAU_VLLM names an environment with vLLM for the CPU, as `.ci/vllm` makes one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipelines.catalogue import DEPLOY
from tests.pipelines.serve.cluster import Cluster, free_port, ray_head

VLLM = Path(os.environ.get("UMBAU_VLLM", "")).resolve()
QUESTION = "self.assertEqual(a.b(1), 3)"
JOB = """\
name: asserts
repos: [{git: code}]
select: {contains: 'self\\.assert'}
shard: {by: symbol}
steps: [{rewrite: {prompt: "Use plain asserts.", reply: piece, model: {bare: true, max_tokens: 256}}}]
checks: [inside, parses]
"""
TESTS = """\
import unittest


class TestSums(unittest.TestCase):
    def test_sum(self):
        self.assertEqual(sum([1, 2]), 3)
"""

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(not os.environ.get("UMBAU_VLLM"), reason="UMBAU_VLLM names no environment with vLLM: .ci/vllm"),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ray_head(VLLM / "bin", tmp_path_factory.mktemp("cluster")) as started:
        yield started


@dataclass(frozen=True)
class Served:
    """Where the model answers, and with which key."""

    cluster: Cluster
    url: str
    key: str

    def ask(self, content: str, *, key: str | None = "", **options: Any) -> httpx.Response:
        body = {"model": "umbau-asserts", "messages": [{"role": "user", "content": content}], "temperature": 0}
        sent = self.key if key == "" else key
        headers = {"Authorization": f"Bearer {sent}"} if sent else {}
        return httpx.post(f"{self.url}/chat/completions", json=body | options, headers=headers, timeout=120)

    def details(self) -> str:
        """What Serve says of itself on the dashboard."""
        token = (self.cluster.folder / ".ray" / "auth_token").read_text().strip()
        address = f"{self.cluster.dashboard}/api/serve/applications/"
        return httpx.get(address, headers={"Authorization": f"Bearer {token}"}).text


@pytest.fixture(scope="module")
def served(cluster: Cluster) -> Iterator[Served]:
    """`umbau model up`, with the shipped configuration but for its port."""
    port = free_port()
    text = (DEPLOY / "serve" / "embedded-cpu.yaml").read_text()
    assert "port: 8000" in text
    (cluster.folder / "serve.yaml").write_text(text.replace("port: 8000", f"port: {port}"))
    refused = cluster.umbau("model", "up", "serve.yaml", "--concurrency", "100000")
    assert "It would fit with --concurrency 128" in refused.stderr, refused.stdout + refused.stderr
    done = cluster.umbau("model", "up", "serve.yaml", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["url"] == f"http://127.0.0.1:{port}/embedded-cpu/v1"
    key = Path(told["key_file"]).read_text()
    yield Served(cluster, told["url"], key)
    down = cluster.umbau("model", "down", "embedded-cpu")
    assert down.returncode == 0, down.stdout + down.stderr
    assert not Path(told["key_file"]).exists()
    assert cluster.umbau("model", "status").stdout.startswith("Serve has no model")


def test_ray_serve_llm_takes_the_shipped_configurations(cluster: Cluster) -> None:
    code = """\
import sys, yaml
from ray.serve.llm import LLMServingArgs
for file in sys.argv[1:]:
    args = yaml.safe_load(open(file))["applications"][0]["args"]
    for config in LLMServingArgs.model_validate(args).llm_configs:
        print(config.model_id, len(config.get_engine_config().placement_bundles))
"""
    files = sorted(str(file) for file in (DEPLOY / "serve").glob("*.yaml") if "llm_configs" in file.read_text())
    argv = [str(VLLM / "bin" / "python"), "-c", code, *files]
    done = subprocess.run(argv, env=cluster.env, capture_output=True, text=True, check=False)
    told = [line for line in done.stdout.splitlines() if not line.startswith("{")]
    assert told == ["devstral-2 4", "devstral-small-2 1", "umbau-asserts 1"], done.stderr


def test_the_first_question_may_be_short(served: Served) -> None:
    assert served.ask("x", max_tokens=1).status_code == 200


def test_it_does_its_one_task(served: Served) -> None:
    answer = served.ask(QUESTION, max_tokens=64).json()
    assert answer["choices"][0]["message"]["content"] == "assert a.b(1) == 3"
    assert answer["usage"]["prompt_tokens"] > answer["usage"]["completion_tokens"] > 0


def test_the_port_asks_for_the_key(served: Served) -> None:
    for key in (None, "wrong", served.key[:-1]):
        refused = served.ask(QUESTION, key=key)
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "invalid_api_key"
    for path in ("models", "completions", "embeddings", "../docs", "../openapi.json", "../tokenize"):
        assert httpx.get(f"{served.url}/{path}").status_code == 401
    models = httpx.get(f"{served.url}/models", headers={"Authorization": f"Bearer {served.key}"}).json()
    assert [model["id"] for model in models["data"]] == ["umbau-asserts"]


def test_the_key_is_in_no_log_and_not_in_serves_configuration(served: Served) -> None:
    served.ask(QUESTION)
    assert httpx.get(f"{served.cluster.dashboard}/api/serve/applications/").status_code == 401
    details = served.details()
    assert "key_digest" in details
    assert served.key not in details
    logs = served.cluster.logs()
    assert "umbau-asserts" in logs
    assert served.key not in logs


def test_a_stream(served: Served) -> None:
    text = ""
    for line in served.ask(QUESTION, stream=True).text.splitlines():
        if line.startswith("data: {"):
            text += json.loads(line.removeprefix("data: "))["choices"][0]["delta"].get("content") or ""
    assert text == "assert a.b(1) == 3"


@pytest.mark.parametrize(
    ("content", "options", "status"),
    [
        ("self.assertTrue(x) " * 1000, {}, 400),
        (QUESTION, {"model": "another"}, 404),
        (QUESTION, {"max_tokens": -1}, 400),
    ],
)
def test_bad_questions_are_the_askers_fault(served: Served, content: str, options: Any, status: int) -> None:
    assert served.ask(content, **options).status_code == status
    assert served.ask(QUESTION, max_tokens=64).status_code == 200


def test_who_comes_when_the_queue_is_full_is_told_to_come_back(served: Served) -> None:
    headers, limits = {"Authorization": f"Bearer {served.key}"}, httpx.Limits(max_connections=None)
    with httpx.Client(base_url=served.url, headers=headers, limits=limits, timeout=600) as client:

        def one(number: int) -> tuple[int, str | None]:
            messages = [{"role": "user", "content": f"self.assertEqual(x, {number})"}]
            body = {"model": "umbau-asserts", "messages": messages, "max_tokens": 800, "ignore_eos": True}
            answer = client.post("chat/completions", json=body)
            return answer.status_code, answer.headers.get("retry-after")

        with ThreadPoolExecutor(100) as pool:
            counts = Counter(pool.map(one, range(100)))
    assert set(counts) == {(200, None), (429, "2")}
    assert counts[200, None] >= 80  # what is worked on, and what may wait


def test_status_asks_it_for_real(served: Served) -> None:
    done = served.cluster.umbau("model", "status")
    assert done.returncode == 0
    assert f"embedded-cpu  RUNNING  {served.url}" in done.stdout
    assert "1 RUNNING  (LLMServer:umbau-asserts)" in done.stdout
    assert " ms  (umbau-asserts)" in done.stdout


def test_another_model_comes_and_goes_without_touching_it(served: Served) -> None:
    def actors() -> list[str]:
        deployments = json.loads(served.details())["applications"]["embedded-cpu"]["deployments"]
        return sorted(replica["actor_id"] for found in deployments.values() for replica in found["replicas"])

    before, folder = actors(), served.cluster.folder
    text = (folder / "serve.yaml").read_text().replace("embedded-cpu", "two")
    (folder / "two.yaml").write_text(
        text.replace("placement_group_config", "nonsense: 1\n      placement_group_config")
    )
    up = served.cluster.umbau("model", "up", "two.yaml")
    assert up.returncode == 2
    assert "two cannot be brought up: " in up.stderr
    assert "nonsense" in up.stderr
    assert served.cluster.umbau("model", "down", "two").returncode == 0
    assert served.ask(QUESTION, max_tokens=64).status_code == 200
    assert len(before) == 2
    assert actors() == before


def test_a_job_runs_against_it(served: Served) -> None:
    folder = served.cluster.folder
    code = folder / "code"
    code.mkdir()
    (code / "test_sums.py").write_text(TESTS)
    git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.eu"]
    subprocess.run([*git, "init", "-q"], cwd=code, check=True)
    subprocess.run([*git, "add", "."], cwd=code, check=True)
    subprocess.run([*git, "commit", "-qm", "start"], cwd=code, check=True)
    (folder / "job.yaml").write_text(JOB)
    reach = {"UMBAU_MODEL_URL": served.url, "UMBAU_MODEL": "umbau-asserts", "UMBAU_MODEL_KEY": served.key}
    done = served.cluster.umbau("try", "job.yaml", "test_sums.py", "--json", **reach)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "assert sum([1, 2]) == 3" in done.stdout
    shutil.rmtree(code)
    wrong = served.cluster.umbau("model", "down", "another")
    assert "It has: embedded-cpu" in wrong.stderr
