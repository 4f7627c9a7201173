"""What a cluster without vLLM says, and how what it did not bring up goes away again."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipelines.catalogue import DEPLOY
from tests.pipelines.serve.cluster import free_port, ray_head
from tests.pipelines.serve.folders import devstral, small

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(find_spec("vllm")), reason="vLLM is installed here")]


def test_a_cluster_without_vllm(tmp_path: Path) -> None:
    small(tmp_path / "weights")
    text, place = (DEPLOY / "serve" / "embedded-cpu.yaml").read_text(), f"127.0.0.2:{free_port()}"
    (tmp_path / "one.yaml").write_text(text)
    (tmp_path / "two.yaml").write_text(text.replace("embedded-cpu", "two"))
    with ray_head(Path(sys.executable).parent, tmp_path) as cluster:
        for file, name in (("one.yaml", "embedded-cpu"), ("two.yaml", "two")):
            up = cluster.umbau("model", "up", file, "--dir", "weights", "--listen", place)
            assert up.returncode == 2
            assert "vLLM is not installed where Ray runs" in up.stderr
            assert f"to take it away: umbau model down {name}" in up.stderr
        states = json.loads(cluster.umbau("model", "status", "--json").stdout)
        assert {(state["app"]["name"], state["app"]["status"]) for state in states} == {
            ("embedded-cpu", "DEPLOY_FAILED"),
            ("two", "DEPLOY_FAILED"),
        }
        assert all(state["app"]["url"].startswith(f"http://{place}/") for state in states)
        assert cluster.umbau("model", "down", "embedded-cpu").returncode == 0
        assert "two  DEPLOY" in cluster.umbau("model", "status").stdout
        assert cluster.umbau("model", "down", "two").returncode == 0
        assert cluster.umbau("model", "status").stdout.startswith("Serve has no model")

        config = cluster.umbau("model", "up", "devstral-small-2", "--dir", str(devstral(tmp_path / "devstral")))
        assert "needs 1 times 1 H100 on one machine" in config.stderr
        assert "none with a GPU" in config.stderr
        stranger = cluster.umbau("model", "status", RAY_AUTH_TOKEN="0" * 64)
        assert stranger.returncode == 2
        assert "does not let us in: Authentication failed" in stranger.stderr
