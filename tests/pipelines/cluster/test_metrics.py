"""What a Prometheus finds at a real cluster's nodes of a real job, command by command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from pipelines.metrics import METRICS
from tests.conftest import GIT, Checkout
from tests.endpoint import Endpoint
from tests.pipelines.cluster.setting import Nodes
from tests.pipelines.test_metrics import GOOD

FILES = {"a/x.py": "x = 1\n", "a/y.py": "y = 1\n", "b/z.py": "z = 1\n"}
SAMPLE = re.compile(r"(ray_(?:umbau|gen_ai)_\w+)\{(.*)\} (\S+)")


class Prometheus:
    """Scrapes again and again, as a real one does; keeps the last value of each series."""

    def __init__(self, ports: list[int]) -> None:
        self._ports, self._over, self._read = ports, Event(), Event()
        self.series: dict[tuple[str, str], float] = {}
        self._thread = Thread(target=self._scrape, daemon=True)

    def _scrape(self) -> None:
        while not self._over.is_set():
            for port in self._ports:
                with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                    for line in answer.read().decode().splitlines():
                        if found := SAMPLE.fullmatch(line):
                            self.series[found[1], found[2]] = float(found[3])
            self._over.wait(0.5)

    def total(self, name: str, *labels: str) -> float:
        """Add up what all drivers told of it."""
        return sum(
            value
            for (found, said), value in self.series.items()
            if found == name and all(one in said for one in labels)
        )

    def __enter__(self) -> Prometheus:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    made = Nodes()
    try:
        made.add("one", num_cpus=2)
        yield made
    finally:
        made.close()


@pytest.mark.slow
def test_each_metric_is_told_by_a_real_job_and_counts_what_it_should(
    nodes: Nodes, home: Path, tmp_path: Path, checkout: Callable[..., Checkout], endpoint: Endpoint
) -> None:
    def script(request: dict[str, Any]) -> str:
        path = next(path for path in FILES if path in request["messages"][1]["content"])
        return GOOD.format(path=path, name=path[2])

    endpoint.script = script
    checkout(FILES)
    model = {"url": endpoint.url, "name": "devstral", "gpus": 1}
    job = {
        "name": "count",
        "repos": [{"git": "billing"}],
        "select": {"contains": "= 1$"},
        "steps": [{"rewrite": {"prompt": "One more.", "model": model}}],
        "checks": ["inside", {"command": "sleep 2; grep -q '= 2' {paths}"}],
        "merge_request": {"merge": "approved"},
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))

    def umbau(*command: str, ends: int = 0) -> str:
        argv = [sys.executable, "-c", "from pipelines.cli import main; main()", *command]
        env = {**os.environ, **GIT, "RAY_ADDRESS": nodes.address, "PYTHONPATH": str(Path(__file__).parents[3])}
        done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=180)
        assert done.returncode == ends, done.stdout + done.stderr
        return done.stdout

    with Prometheus([node.metrics_export_port for node in nodes._nodes.values()]) as scraped:
        umbau("run", "job.yaml")
        (home / "store.db").unlink()
        umbau("run", "job.yaml")  # replies are known by now
        umbau("review", "billing/1", "--approve")
        for _ in range(3):
            umbau("tend", "job.yaml")
    told = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name, _ in scraped.series}
    assert told == {f"ray_{one.name}" + ("_total" if one.kind == "counter" else "") for one in METRICS}
    assert scraped.total("ray_umbau_shards_ended_total", 'status="accepted"', 'umbau_job="count"') == 6
    assert scraped.total("ray_umbau_cached_replies_total") == len(endpoint.requests) == 3
    asked = scraped.total("ray_gen_ai_client_operation_duration_seconds_count", 'gen_ai_request_model="devstral"')
    assert asked == 3
    assert scraped.total("ray_umbau_time_to_merge_seconds_count") == 1, "once, however many ticks saw it"
    labels = {label for _, said in scraped.series for label in re.findall(r"(\w+)=", said)}
    assert not [label for label in labels if re.search("shard|branch|repo|path", label)]
