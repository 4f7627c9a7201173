"""deploy/prometheus.yml and deploy/grafana.json: what they ask for is what Ray really tells."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from pipelines.metrics import METRICS
from tests.deploy.machines import machines

DEPLOY = Path(__file__).parents[2] / "deploy"
BOARD: dict[str, Any] = json.loads((DEPLOY / "grafana.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
GPU = re.compile(r"ray_vllm_|ray_node_gpus_")  # not there without a GPU
OURS = re.compile(r"ray_(?:umbau|gen_ai)_")  # what Umbau's driver tells
FILE = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())["scrape_configs"][0]["file_sd_configs"][0]["files"][0]
PROGRAM = """
import json, sys, time, urllib.request
import numpy, ray
from ray import serve

ray.init(address="auto", log_to_driver=False)
held = [ray.put(numpy.zeros(30 << 20, dtype="uint8")) for _ in range(8)]    # more than there is room for
ray.get([ray.remote(lambda: 1).remote() for _ in range(5)])

@serve.deployment(
    autoscaling_config={"min_replicas": 1, "max_replicas": 1}, ray_actor_options={"num_cpus": 0.1}
)
class Hello:
    def __call__(self, request):
        return "hello"

serve.run(Hello.bind(), name="app")
wanted, named = set(sys.argv[2:]), set()
for _ in range(60):
    urllib.request.urlopen("http://127.0.0.1:8000/").read()
    for target in (target for group in json.load(open(sys.argv[1])) for target in group["targets"]):
        text = urllib.request.urlopen(f"http://{target}/metrics").read().decode()
        named |= {line.partition("{")[0].partition(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    if wanted <= named:
        break
    time.sleep(1)
print("missing:", sorted(wanted - named))
"""
REPLICA = """
import sys, grpc
from ray.serve.generated import serve_pb2, serve_pb2_grpc

there = serve_pb2_grpc.ASGIServiceStub(grpc.insecure_channel(f"10.0.0.10:{sys.argv[1]}"))
try:
    there.HandleRequest(serve_pb2.ASGIRequest(), timeout=20)
except grpc.RpcError as error:
    print(error.code().name)
"""


def asked() -> Iterator[str]:
    for panel in PANELS:
        yield from (target["expr"] for target in panel["targets"])


def names() -> set[str]:
    return {name for expression in asked() for name in re.findall(r"\b(?:ray|autoscaler)_\w+", expression)}


@pytest.mark.parametrize("expression", sorted(set(asked())))
def test_expressions_can_be_read(expression: str) -> None:
    promql_parser.parse(expression.replace("$__rate_interval", "1m"))


def test_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    taken = [
        (x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(taken) == len(set(taken)) and max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(places)


def test_rays_own_panels_ask_for_what_needs_a_gpu() -> None:
    import ray

    folder = Path(ray.__file__).parent / "dashboard" / "modules" / "metrics" / "dashboards"
    known = set(re.findall(r"ray_\w+", " ".join(file.read_text() for file in folder.glob("*.py"))))
    assert {name for name in names() if GPU.match(name)} <= known


def test_the_row_of_umbau_asks_for_each_of_its_metrics_and_for_no_other() -> None:
    ending = {"counter": ["_total"], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}
    told = {f"ray_{metric.name}": [f"ray_{metric.name}{end}" for end in ending[metric.kind]] for metric in METRICS}
    asked_for = {name for name in names() if OURS.match(name)}
    assert asked_for <= {name for series in told.values() for name in series}
    assert not [name for name, series in told.items() if not asked_for & {*series}]


def test_the_row_of_umbau_can_be_narrowed_to_a_job() -> None:
    for expression in asked():
        assert expression.count('umbau_job=~"$job"') == len(OURS.findall(expression)), expression


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not there: Debian has it in `prometheus`")
def test_prometheus_takes_its_file() -> None:
    said = subprocess.run(
        ["promtool", "check", "config", DEPLOY / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr


@pytest.mark.slow
def test_ray_on_one_machine_listens_on_the_loopback_and_tells_what_is_asked(tmp_path: Path) -> None:
    """Started by the very command of compose.yaml."""
    command = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]["ray"]["command"]
    command = command.replace(" --block", "").replace("=/spill", "=/srv/spill")
    with machines(tmp_path, ["10.0.0.10"]) as (box,):
        (box.home / ".ray").mkdir()
        (box.home / ".ray" / "auth_token").write_text("0123456789abcdef" * 4)
        start = f"export PATH={Path(sys.executable).parent}:$PATH RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0"
        box.run(f"{start}; {command} --num-cpus=2 --object-store-memory=$((100 << 20))")
        assert {at for at in box.listening() if at[0] != "127.0.0.1"} == {("*", 8265)}, "of the container alone"
        (box.home / "program.py").write_text(PROGRAM)
        wanted = sorted(name for name in names() if not GPU.match(name) and not OURS.match(name))
        said = box.run(f"{start}; python program.py {FILE} {' '.join(wanted)} 2>&1", timeout=180)
        assert said.splitlines()[-1] == "missing: []", said
        (replica,) = {port for address, port in box.listening() if address != "127.0.0.1"} - {8265}
        (box.home / "program.py").write_text(REPLICA)
        said = box.run(f"{start}; python program.py {replica} 2>&1")
        assert said.splitlines()[-1] == "UNAUTHENTICATED", "it would unpickle what anybody sends"
