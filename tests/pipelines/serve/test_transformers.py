"""The Transformers engine on a Ray that is started here, asked over real HTTP.

The checkpoint is the one that UMBAU_TEST_CHECKPOINT names, or the shipped one, or one of drawn weights.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from operators.data import Away
from operators.model import Endpoint
from pipelines.cluster import OBJECT_STORE, RAY_ENV
from pipelines.console import Watch
from pipelines.driver import Driver
from pipelines.forges.local import LocalForge
from pipelines.jobfile import parse
from pipelines.lanes import InProcess
from pipelines.recipe import recipe
from pipelines.serve.key import digest_of
from pipelines.store import Store
from tests.conftest import Checkout
from tests.operators.checkpoint import checkpoint

pytestmark = pytest.mark.slow
SHIPPED = Path(__file__).parents[3] / "operators" / "checkpoint"
TRAINED = os.environ.get("UMBAU_TEST_CHECKPOINT") or (str(SHIPPED) if SHIPPED.is_dir() else "")
KEY = "a-key-that-is-long-enough"
LONG = 480  # tokens


@dataclass
class Served:
    """A model that is up: `narrow` answers one request at a time and lets one wait."""

    folder: Path
    url: str

    def client(self, route: str = "wide", key: str = KEY) -> httpx.Client:
        return httpx.Client(
            base_url=f"{self.url}/{route}", headers={"authorization": f"Bearer {key}"} if key else {}, timeout=60
        )

    def ask(self, text: str, route: str = "wide", **more: Any) -> httpx.Response:
        with self.client(route) as client:
            return client.post("/v1/chat/completions", json=asked(text, **more))


def asked(text: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": "tiny", "messages": messages, "temperature": 0, "max_tokens": 24, **more}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    for needed in ("torch", "transformers"):
        pytest.importorskip(needed, reason="install umbau[transformers]")
    os.environ.update({name: value for name, value in RAY_ENV.items() if name not in os.environ})
    import ray
    from ray import serve

    from pipelines.serve.transformers import app

    drawn = checkpoint(tmp_path_factory.mktemp("serve") / "checkpoint")
    folder = Path(TRAINED or drawn)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here: dict[str, Any] = {"address": "local", "num_cpus": 2, "include_dashboard": False}
    ray.init(object_store_memory=OBJECT_STORE, log_to_driver=False, logging_level=logging.ERROR, **here)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    own = {"model_id": "tiny", "key_digest": digest_of(KEY), "dtype": "float32"}
    narrow = {"max_batch_size": 1, "max_ongoing_requests": 1, "max_queued_requests": 1}
    serve.run(app({**own, "model_source": str(folder)}), name="wide", route_prefix="/wide")
    serve.run(
        app({**own, "model_source": str(drawn), **narrow}),
        name="narrow",
        route_prefix="/narrow",
    )
    yield Served(folder, f"http://127.0.0.1:{port}")
    serve.shutdown()
    ray.shutdown()


def statements(many: int) -> list[str]:
    return [f"self.assertEqual(self.parser_{n}.name, 'word {n}')" for n in range(many)]


def said(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    text: str = response.json()["choices"][0]["message"]["content"]
    return text


def events(response: httpx.Response) -> list[Any]:
    """Return the events of a stream; the last one must say that it is the last."""
    assert response.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in response.text.split("\n") if line]
    assert lines.pop() == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def test_answers_are_those_of_the_model_itself(served: Served) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(served.folder)
    model = AutoModelForCausalLM.from_pretrained(served.folder, dtype="float32")
    for code in statements(4):
        response = served.ask(code)
        messages = [{"role": "user", "content": code}]
        prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        ids = torch.tensor([prompt])
        whole = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=24, do_sample=False)
        tokens = whole[0, len(prompt) :].tolist()
        assert said(response) == tokenizer.decode(tokens, skip_special_tokens=True)
        ended = tokens[-1] == model.config.eos_token_id
        assert response.json()["choices"][0]["finish_reason"] == ("stop" if ended else "length")
        assert response.json()["usage"] == {
            "prompt_tokens": len(prompt),
            "completion_tokens": len(tokens),
            "total_tokens": len(prompt) + len(tokens),
        }


def test_who_asks_at_the_same_time_makes_no_difference(served: Served) -> None:
    asking = [*((code, {}) for code in statements(16)), *(("x", {"temperature": 1.0, "seed": n}) for n in range(16))]
    alone = [said(served.ask(code, **more)) for code, more in asking]
    with ThreadPoolExecutor(32) as pool:
        together = list(pool.map(lambda one: said(served.ask(one[0], **one[1])), asking))
    assert together == alone
    assert len(set(together[16:])) > 1


def test_a_stream_adds_up_to_the_answer(served: Served) -> None:
    (code,) = statements(1)
    whole = served.ask(code)
    *rest, usage = events(served.ask(code, stream=True, stream_options={"include_usage": True}))
    choices = [one["choices"][0] for one in rest]
    assert "".join(one["delta"].get("content", "") for one in choices) == said(whole)
    assert len(choices) > 4, "it came token by token"
    assert choices[-1]["finish_reason"] == whole.json()["choices"][0]["finish_reason"]
    assert (usage["choices"], usage["usage"]) == ([], whole.json()["usage"])
    assert "usage" not in events(served.ask(code, stream=True))[-1]


def test_a_stop_string_is_not_told(served: Served) -> None:
    (code,) = statements(1)
    whole = said(served.ask(code))
    stop = whole[2]
    short = served.ask(code, stop=stop)
    assert said(short) == whole[: whole.index(stop)]
    assert short.json()["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("more", "status", "code", "words"),
    [
        ({"model": "other"}, 404, "model_not_found", "The model `other` does not exist."),
        ({"n": 2}, 400, "invalid_value", "`n` is not supported here"),
        ({"messages": []}, 400, "invalid_value", "messages: "),
        ({"temperature": 3}, 400, "invalid_value", "temperature: "),
        ({"messages": [{"role": "user", "content": "x y" * 3_000}]}, 400, "context_length_exceeded", "maximum context"),
        (
            {"messages": [{"role": "user", "content": "x y" * 3_000}], "stream": True},
            400,
            "context_length_exceeded",
            "",
        ),
    ],
)
def test_what_is_refused(served: Served, more: dict[str, Any], status: int, code: str, words: str) -> None:
    response = served.ask("x", **more)
    error = response.json()["error"]
    assert (response.status_code, error["type"], error["code"]) == (status, "invalid_request_error", code)
    assert words in error["message"]


def test_a_body_that_is_no_json_is_refused(served: Served) -> None:
    with served.client() as client:
        response = client.post("/v1/chat/completions", content="{", headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")


@pytest.mark.parametrize("key", ["", "another-key-that-is-long"])
@pytest.mark.parametrize("route", ["/v1/models", "/v1/chat/completions", "/health"])
def test_without_the_key_nothing_is_told(served: Served, key: str, route: str) -> None:
    with served.client(key=key) as client:
        response = client.get(route)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")


def test_it_says_which_models_it_has(served: Served) -> None:
    with served.client() as client:
        assert [one["id"] for one in client.get("/v1/models").json()["data"]] == ["tiny"]
        assert client.get("/v1/models/tiny").json()["object"] == "model"
        assert client.get("/v1/models/a/b").status_code == 404
        assert client.get("/health").json() == {"status": "ok", "running": 0}


def test_when_too_many_wait_the_next_is_told_to_come_back(served: Served) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: served.ask("hello", "narrow", max_tokens=LONG), range(8)))
    refused = [one for one in found if one.status_code == 429]
    assert 1 <= len(refused) <= 6, "one runs and one waits"
    assert len(refused) + sum(one.status_code == 200 for one in found) == 8
    assert all(int(one.headers["retry-after"]) > 0 for one in refused)
    assert refused[0].json()["error"]["code"] == "rate_limit_exceeded"


def running(served: Served) -> int:
    with served.client("narrow") as client:
        found: int = client.get("/health").json()["running"]
    return found


def hang_up_in_a_stream(served: Served) -> None:
    with (
        served.client("narrow") as client,
        client.stream("POST", "/v1/chat/completions", json=asked("hello", max_tokens=LONG, stream=True)) as response,
    ):
        next(response.iter_lines())


def hang_up_while_waiting(served: Served) -> None:
    with pytest.raises(httpx.ReadTimeout), served.client("narrow") as client:
        client.post("/v1/chat/completions", json=asked("hello", max_tokens=LONG), timeout=0.2)


@pytest.mark.parametrize("hang_up", [hang_up_in_a_stream, hang_up_while_waiting])
def test_for_who_hangs_up_nothing_is_generated(served: Served, hang_up: Callable[[Served], None]) -> None:
    start = time.monotonic()
    assert served.ask("hello", "narrow", max_tokens=LONG).json()["usage"]["completion_tokens"] == LONG
    whole = time.monotonic() - start
    start = time.monotonic()
    hang_up(served)
    while running(served) and time.monotonic() - start < whole:
        time.sleep(0.02)
    assert time.monotonic() - start < 0.9 * whole, "it goes on for as long as for somebody who waits"


def test_the_openai_client_is_content(served: Served) -> None:
    openai = pytest.importorskip("openai", reason="install openai")
    (code,) = statements(1)
    client = openai.OpenAI(base_url=f"{served.url}/wide/v1", api_key=KEY, max_retries=0)
    given = asked(code)
    whole = client.chat.completions.create(**given)
    assert whole.choices[0].message.content == said(served.ask(code))
    streamed = client.chat.completions.create(**given, stream=True, stream_options={"include_usage": True})
    chunks = list(streamed)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert (text, chunks[-1].usage) == (whole.choices[0].message.content, whole.usage)
    assert [one.id for one in client.models.list()] == ["tiny"]
    with pytest.raises(openai.BadRequestError, match="maximum context length is"):
        client.chat.completions.create(**asked("x y" * 3_000))
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(**asked(code, model="other"))
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{served.url}/wide/v1", api_key="wrong").models.list()


def test_our_own_client_is_content(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_MODEL_KEY", KEY)
    model = Endpoint(f"{served.url}/wide/v1", "tiny", max_tokens=24)
    messages = [{"role": "user", "content": statements(1)[0]}]
    first = model.complete(messages, shard="s", attempt=0)
    assert first.text == said(served.ask(statements(1)[0]))
    assert first.tokens_out > 0
    assert model.complete(messages, shard="s", attempt=1) == model.complete(messages, shard="s", attempt=1)
    monkeypatch.setenv("UMBAU_MODEL_KEY", "wrong")
    with pytest.raises(Away, match="401"):
        model.complete(messages, shard="s", attempt=0)


JOB = r"""
name: asserts
repos: [{{git: {repo}}}]
select: {{contains: 'self\.assert'}}
shard: {{by: symbol, max_lines: 6}}
steps:
  - rewrite:
      prompt: Use plain asserts.
      reply: piece
      model: {{url: {url}/wide/v1, name: tiny, bare: true, temperature: 0.4, max_tokens: 256}}
checks: [inside, parses]
"""
CASE = """\
import unittest


class TestPrices(unittest.TestCase):
    def test_sum(self):
        self.assertEqual(total([1, 2]), 3)
        self.assertTrue(total([]) == 0)

    def test_names(self):
        self.assertIn("a", names)
        self.assertIsNone(names.get("b"))
        self.assertEqual(names["a"],
                         "first")
"""


@pytest.mark.skipif(not TRAINED, reason="set UMBAU_TEST_CHECKPOINT to a folder with a trained checkpoint")
def test_a_job_runs_on_it(
    served: Served, tmp_path: Path, checkout: Callable[..., Checkout], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMBAU_MODEL_KEY", KEY)
    made = checkout({"tests/test_prices.py": CASE})
    file = tmp_path / "job.yaml"
    job = parse(JOB.format(repo=made.folder, url=served.url).encode(), "job.yaml")
    with closing(Store(tmp_path / "store.db")) as store:
        forge = LocalForge(tmp_path / "forge")
        driver = Driver(job, recipe(job, file), tmp_path, tmp_path, store, forge, Watch(quiet=True))
        plan = driver.plan()
        driver.run(plan, InProcess())
        found = store.statuses([one.shard.key for one in plan.planned])
    outcomes = {one.shard.spans[0].symbol: found[one.shard.key] for one in plan.planned}
    assert outcomes == {"TestPrices.test_sum": "accepted", "TestPrices.test_names": "accepted"}


MANY = "import unittest\n\n\nclass TestPrices(unittest.TestCase):\n" + "".join(
    f"    def test_{n}(self):\n        self.assertEqual(total({n}), {n + 2})\n        self.assertTrue({n} in found)\n\n"
    for n in range(24)
)


def replicas() -> list[int]:
    """Return the processes in which Serve runs the model that `wide` hosts."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if b"ServeReplica:wide:" in file.read_bytes():
                found.append(int(file.parent.name))
    return found


@pytest.mark.skipif(not TRAINED, reason="set UMBAU_TEST_CHECKPOINT to a folder with a trained checkpoint")
def test_a_replica_that_is_killed_costs_no_shard(
    served: Served, tmp_path: Path, checkout: Callable[..., Checkout]
) -> None:
    made = checkout({"tests/test_prices.py": MANY})
    file = tmp_path / "job.yaml"
    file.write_text(JOB.format(repo=made.folder, url=served.url))
    argv = [sys.executable, "-c", "from pipelines.cli import main; main()", "run", str(file), "--json"]

    def run(name: str, kill: int) -> tuple[int, dict[str, int]]:
        env = {**os.environ, "UMBAU_HOME": str(tmp_path / name), "UMBAU_MODEL_KEY": KEY}
        driver = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True)
        replies = tmp_path / name / "responses"
        for least in (5, 15)[:kill]:
            while len(list(replies.glob("*/*"))) < least:
                assert driver.poll() is None
                time.sleep(0.05)
            before = replicas()
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            assert before, "there was one"
            end = time.monotonic() + 120
            while not set(replicas()) - set(before) and time.monotonic() < end:
                time.sleep(0.5)
        out, _ = driver.communicate(timeout=400)
        counts: dict[str, int] = json.loads(out)["counts"]
        return driver.returncode, counts

    undisturbed = run("calm", 0)
    assert undisturbed[1].get("accepted", 0) > 12
    assert run("killed", 2) == undisturbed, "what was lost with it was asked again"
