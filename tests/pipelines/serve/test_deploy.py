"""What a cluster without vLLM says, and how what it did not bring up goes away again."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipelines.catalogue import DEPLOY
from tests.pipelines.serve.cluster import free_port, ray_head
from tests.pipelines.serve.folders import small

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(find_spec("vllm")), reason="vLLM is installed here")]


def test_a_cluster_without_vllm(tmp_path: Path) -> None:
    small(tmp_path / "weights")
    text = (DEPLOY / "serve" / "embedded-cpu.yaml").read_text()
    (tmp_path / "serve.yaml").write_text(text.replace("port: 8000", f"port: {free_port()}"))
    with ray_head(Path(sys.executable).parent, tmp_path) as cluster:
        up = cluster.umbau("model", "up", "serve.yaml", "--dir", "weights")
        assert up.returncode == 2
        assert "vLLM is not installed where Ray runs" in up.stderr
        assert "to take it away: umbau model down embedded-cpu" in up.stderr
        (state,) = json.loads(cluster.umbau("model", "status", "--json").stdout)
        assert state["app"]["status"] == "DEPLOY_FAILED"
        assert state["answer"] == {}
        gpus = cluster.umbau("model", "up", "devstral-small-2", "--dir", "weights")
        assert "Mistral's own format" in gpus.stderr
        assert cluster.umbau("model", "down", "embedded-cpu").returncode == 0
        assert cluster.umbau("model", "status").stdout.startswith("Serve has no model")
        stranger = cluster.umbau("model", "status", RAY_AUTH_TOKEN="0" * 64)
        assert stranger.returncode == 2
        assert "Traceback" not in stranger.stderr
        assert "token" in stranger.stderr.lower()
