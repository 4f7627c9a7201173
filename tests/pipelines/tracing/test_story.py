"""A job whose work is seen in a trace viewer: the real exporter sends it, by OTLP over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.credentials import withheld
from pipelines.tracing.export import asked
from pipelines.tracing.stretches import trace_of
from tests.collector import Collector, Told
from tests.conftest import Checkout
from tests.endpoint import Endpoint
from tests.pipelines.test_driver import FILES, SHARDS, Lanes, Tick, World

SECRET = "s3cr3t-of-the-collector"
WORDS = "Confidential words"
GOOD = "```python\n{path}\n<<<<<<< SEARCH\n{name} = 1\n=======\n{name} = 2\n>>>>>>> REPLACE\n```\n"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    with Collector() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-key={SECRET}")
        yield found


@dataclass
class Traced(World):
    """Each tick sends what it did."""

    def tick(self, lanes: Any = None) -> Tick:
        with asked() as self.traces, withheld(None):
            return super().tick(lanes)

    def driver(self) -> Any:
        driver = super().driver()
        driver.observed.traces = getattr(self, "traces", None)
        return driver


@pytest.fixture
def world(home: Path, tmp_path: Path, checkout: Callable[..., Checkout], endpoint: Endpoint) -> Iterator[Traced]:
    found = Traced(checkout(FILES), home, tmp_path)

    def script(request: dict[str, Any]) -> str:
        asked = request["messages"][1]["content"]
        path, name = next((path, path[2]) for path in SHARDS if path in asked)
        first = len(request["messages"]) == 2
        return f"{WORDS}\n{GOOD.format(path=path, name=name)}" if path != "a/y.py" or not first else "No idea."

    endpoint.script = script
    found.settings = {
        "steps": [{"rewrite": {"prompt": f"{WORDS}: one more.", "model": {"url": endpoint.url, "name": "devstral"}}}],
        "checks": ["inside", {"command": "grep -q '= 2' {paths}"}],
        "final": [{"command": "true"}],
    }
    yield found
    for store in found.stores:
        store.close()


def test_each_shard_is_one_trace(world: Traced, collector: Collector) -> None:
    tick = world.tick()
    shards = {one.tells["umbau.shard.name"]: one for one in collector.named("shard")}
    assert {name: one.tells["umbau.status"] for name, one in shards.items()} == tick.statuses
    keys = {one.shard.name: one.shard.key for one in tick.plan.planned}
    traces = collector.traces()
    for name, root in shards.items():
        assert traces[trace_of(keys[name], 0)] == [root], "nothing of it is anywhere else, and nothing else is in it"
        assert not root.parent and root.tells["umbau.job"] == "count" and root.tells["umbau.repo"] == "billing"
        for attempt in root.within:
            _inside(root, attempt)
            for part in attempt.within:
                _inside(attempt, part)
    assert len(traces) == len(SHARDS) + 2 + 2, "two sums, two pushes"


def _inside(whole: Told, part: Told) -> None:
    """Times are measured, each on its own, to the microsecond."""
    assert whole.start - 0.001 <= part.start <= part.end <= whole.end + 0.001, (whole.name, part.name)


def test_a_trace_tells_attempts_questions_and_verdicts(world: Traced, collector: Collector, endpoint: Endpoint) -> None:
    tick = world.tick()
    (root,) = [one for one in collector.named("shard") if one.tells["umbau.shard.name"] == "a/y.py"]
    outcome = tick.outcomes["a/y.py"]
    assert [one.tells["umbau.attempt"] for one in root.named("attempt")] == [1, 2]
    first, second = root.named("attempt")
    assert first.tells["umbau.judges"] == ["reply"] and not first.tells["umbau.passed"] and second.tells["umbau.passed"]
    (call,) = second.named("chat devstral")
    host, port = endpoint.url.split("/")[2].split(":")
    assert call.tells == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai_compatible",
        "gen_ai.request.model": "devstral",
        "gen_ai.usage.input_tokens": outcome.verdicts[1].edit.tokens_in,
        "gen_ai.usage.output_tokens": outcome.verdicts[1].edit.tokens_out,
        "gen_ai.response.finish_reasons": ["stop"],
        "server.address": host,
        "server.port": int(port),
    }
    assert call.kind == 3, "CLIENT"
    assert [one.name for one in second.within] == ["chat devstral", "check secrets", "check inside", "check command"]
    assert all(one.tells["umbau.passed"] for one in second.within[1:])
    assert (root.tells["gen_ai.usage.input_tokens"], root.tells["gen_ai.usage.output_tokens"]) == outcome.tokens


def test_merge_requests_have_traces_of_their_own(world: Traced, collector: Collector) -> None:
    world.tick()
    sums = {one.tells["umbau.branch"]: [part.name for part in one.within] for one in collector.named("gather")}
    assert sums == dict.fromkeys(["umbau/count/a", "umbau/count/b"], ["check command"] * 2), "the job's check, and last"
    acts = {one.tells["umbau.branch"]: one.tells["umbau.action"] for one in collector.named("tend")}
    assert acts == {"umbau/count/a": "push", "umbau/count/b": "push"}
    collector.bodies.clear()
    world.tick()
    assert collector.bodies == [], "nothing was done"


def test_another_go_is_another_trace(world: Traced, collector: Collector) -> None:
    first = world.tick()
    driver = world.driver()
    driver.retry(driver.latest(), ["a/x.py"])
    collector.bodies.clear()
    world.tick()
    (root,) = collector.named("shard")
    key = next(one.shard.key for one in first.plan.planned if one.shard.name == "a/x.py")
    assert collector.traces()[trace_of(key, 1)] == [root] and root.tells["umbau.shard.go"] == 1


def test_neither_prompts_nor_replies_nor_secrets_are_told(world: Traced, collector: Collector) -> None:
    with_secret: list[bool] = []

    class Looks(Lanes):
        def run(self, kit: Any, tasks: Any, *more: Any) -> Any:
            with_secret.append(SECRET in str(os.environ))
            yield from super().run(kit, tasks, *more)

    world.tick(Looks())
    told = b"".join(collector.bodies)
    assert b"umbau.shard.name" in told
    for word in (WORDS, "SEARCH", "No idea", "x = 1", SECRET):
        assert word.encode() not in told, word
    assert with_secret and not any(with_secret), "what a collector is entered with never reaches a worker"
    assert {one.get("x-key") for one in collector.headers} == {SECRET}, "the collector gets it"
    assert collector.resources()["service.name"] == "umbau"


def test_what_failed_says_no_more_than_that(world: Traced, collector: Collector, endpoint: Endpoint) -> None:
    world.settings["steps"] = [{"shell": "./no-such-tool"}]
    world.settings["sandbox"] = "none"
    world.tick()
    roots = collector.named("shard")
    assert len(roots) == 3 and all(one.failed and one.tells["umbau.status"] == "failed" for one in roots)
    assert b"no-such-tool" not in b"".join(collector.bodies)


@pytest.mark.parametrize(
    ("set_to", "why"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, None),
        ({"OTEL_TRACES_EXPORTER": "jaeger"}, "OTEL_TRACES_EXPORTER is 'jaeger', Umbau knows otlp and none"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', Umbau speaks http/protobuf: a collector does at port 4318",
        ),
    ],
)
def test_nobody_asked(set_to: dict[str, str], why: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    told: list[str] = []
    assert asked(told.append) is None
    assert told == ([f"traces are not exported: {why}"] if why else [])


def test_without_the_exporter_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)  # type: ignore[arg-type]
    told: list[str] = []
    assert asked(told.append) is None
    assert told == ["traces are not exported: the exporter is not installed: pip install 'umbau[tracing]'"]


def test_a_collector_that_refuses_stops_nothing_and_is_told_of_once(
    world: Traced, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with Collector(status=401) as shut:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", shut.url)
        for _ in range(2):
            tick = world.tick()
    assert set(tick.statuses.values()) == {"accepted"} and shut.bodies
    assert capsys.readouterr().err.count("traces are not exported: ") == 1


LISTENS = """
import sys, socket
from pathlib import Path
import pipelines.cli
def refuse(*args): raise AssertionError("it connects")
socket.socket.connect = refuse
sys.argv = ["umbau", "plan", "job.yaml"]
try:
    pipelines.cli.main()
except SystemExit as end:
    assert not end.code, end.code
print("imported:", [name for name in sys.modules if name.startswith("opentelemetry")])
"""


def test_with_no_variable_set_nothing_is_imported_or_connected_to(
    home: Path, tmp_path: Path, checkout: Callable[..., Checkout]
) -> None:
    checkout(FILES)
    (tmp_path / "job.yaml").write_text(
        "name: j\nrepos: [{git: billing}]\nselect: {contains: '= 1$'}\nsteps: [{shell: 'true'}]\nchecks: [inside]\n"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", LISTENS]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "imported: []"
