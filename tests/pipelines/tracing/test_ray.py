"""Traces of shards whose parts run in other processes: a lane that waits for the model, and cores elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from operators.data import Edit, Shard, Verdict
from operators.workspace import Workspace
from tests.collector import Collector
from tests.conftest import GIT, Checkout
from tests.endpoint import Endpoint
from tests.pipelines.test_metrics import GOOD

FILES = {"a/x.py": "x = 1\n", "a/y.py": "y = 1\n", "b/z.py": "z = 1\n", "test_all.py": "def test_one(): pass\n"}
SECRET = "s3cr3t-of-the-collector"


@dataclass(frozen=True, slots=True)
class Notes:
    """Changes nothing; notes what the process that it runs in knows."""

    marks: str
    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        with (Path(self.marks) / "seen").open("a") as marks:
            marks.write(json.dumps([os.getpid(), dict(os.environ)]) + "\n")
        return None


@pytest.mark.slow
def test_a_trace_is_whole_and_workers_know_no_secret(
    home: Path, tmp_path: Path, checkout: Callable[..., Checkout], endpoint: Endpoint
) -> None:
    def script(request: dict[str, Any]) -> str:
        path = next(path for path in FILES if path in request["messages"][1]["content"])
        return GOOD.format(path=path, name=path[2])

    endpoint.script = script
    checkout(FILES)
    notes = {"path": "tests.pipelines.tracing.test_ray.Notes", "settings": {"marks": str(tmp_path)}}
    model = {"url": endpoint.url, "name": "devstral"}
    job = {
        "name": "count",
        "repos": [{"git": "billing"}],
        "select": {"contains": "= 1$"},
        "steps": [{"use": notes}, {"rewrite": {"prompt": "One more.", "model": model}}],
        "checks": ["inside", {"tests": f"{sys.executable} -m pytest -q"}, {"command": "grep -q '= 2' {paths}"}],
    }
    (tmp_path / "job.yaml").write_text(yaml.safe_dump(job))
    with Collector() as collector:
        given = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={SECRET}"}
        env = {**os.environ, **GIT, **given, "PYTHONPATH": str(Path(__file__).parents[3])}
        argv = [sys.executable, "-c", "from pipelines.cli import main; main()", "run", "job.yaml"]
        done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    roots = collector.named("shard")
    assert len(roots) == 3 and {len(trace) for trace in collector.traces().values()} == {1}
    for root in roots:
        (attempt,) = root.within
        judges = [f"check {name}" for name in ("secrets", "inside", "tests", "command")]
        assert [one.name for one in attempt.within] == ["chat devstral", *judges]
        assert all(root.start - 0.05 <= one.start <= one.end <= root.end + 0.05 for one in (attempt, *attempt.within))
    seen = [json.loads(line) for line in (tmp_path / "seen").read_text().splitlines()]
    assert len(seen) == 3 and SECRET not in str(seen)
    assert {one["x-key"] for one in collector.headers} == {SECRET}
