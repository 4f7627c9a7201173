"""deploy/cluster: Ray's launcher takes the file, and its commands make the cluster that the page promises."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.machines import Machine, machines

CLUSTER = Path(__file__).parents[2] / "deploy" / "cluster"
READ: dict[str, Any] = yaml.safe_load((CLUSTER / "on-prem.yaml").read_text())
OUTSIDE = "10.0.0.99"
ASKS = """
import json, urllib.request, urllib.error, sys
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=5).status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError:
    print("unreachable")
"""
WORKS = """
import ray

ray.init(address="auto", log_to_driver=False, logging_level="error")
for node in ray.nodes():
    if node["Alive"]:
        print(node["NodeManagerAddress"], node["Resources"].get("CPU", 0), node["Labels"].get("umbau.dev/lane"))
where = ray.remote(num_cpus=0.01)(lambda: ray.util.get_node_ip_address())
print("worked at", *sorted(set(ray.get([where.remote() for _ in range(20)]))))
"""
SERVES = """
import sys
import ray
from ray import serve
from ray.serve.config import ProxyLocation

ray.init(address="auto", log_to_driver=False, logging_level="error")
serve.start(proxy_location=ProxyLocation.HeadOnly, http_options={"host": sys.argv[1], "port": 8000})

@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Hello:
    def __call__(self, request):
        return "hello"

serve.run(Hello.bind())
"""


def test_the_launcher_takes_the_file() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(READ)
    validate_config(prepared)
    nodes = prepared["available_node_types"]["local.cluster.node"]
    assert nodes["min_workers"] == nodes["max_workers"] == len(READ["provider"]["worker_ips"])


def test_replicas_get_the_locked_ray() -> None:
    import ray

    assert re.findall(r"ray\[llm\]==([\d.]+)", str(READ["setup_commands"])) == [ray.__version__]


def test_addresses_agree() -> None:
    provider = READ["provider"]
    head = [
        found
        for command in READ["head_start_ray_commands"]
        for found in re.findall(r"--node-ip-address=(\S+)", command)
    ]
    assert head == [provider["head_ip"]]
    (first, last) = re.findall(r"elements = \{ (\S+)-(\S+) \}", (CLUSTER / "nftables.conf").read_text())[0]
    assert (first, last) == (provider["head_ip"], provider["worker_ips"][-1])


@pytest.mark.slow
def test_its_commands_make_a_cluster_that_outlives_its_head(tmp_path: Path) -> None:
    worker = READ["provider"]["worker_ips"][0]
    with machines(tmp_path, [READ["provider"]["head_ip"], worker, OUTSIDE]) as (head, other, outside):
        for machine in (head, other):
            _prepare(machine)
        _start(head, READ["head_start_ray_commands"])
        _start(other, [f"export RAY_HEAD_IP={head.address}; {line}" for line in READ["worker_start_ray_commands"]])
        said = _python(head, WORKS, RAY_AUTH_MODE="token")
        assert f"{head.address} 0 None" in said and re.search(rf"{re.escape(worker)} [\d.]+ working", said), said
        assert f"worked at {worker}\n" in said, "the head gets no work"

        assert _python(head, ASKS, "http://127.0.0.1:8265/api/jobs/") == "401\n"
        assert _python(outside, ASKS, f"http://{head.address}:8265/api/jobs/") == "unreachable\n"
        with pytest.raises(AssertionError, match=r"(?i)authentication|token"):
            _python(head, WORKS, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="another" * 8)
        assert {address for address, _ in head.listening()} <= {"*", "127.0.0.1", head.address}
        _python(head, SERVES, head.address, RAY_AUTH_MODE="token")
        assert _python(other, ASKS, f"http://{head.address}:8000/") == "200\n"
        assert _python(head, ASKS, "http://127.0.0.1:8000/") == "unreachable\n", "not on all addresses"
        if nft := shutil.which("nft", path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
            _only_the_cluster_gets_in(nft, head, other, outside)

        head.run("pkill -KILL gcs_server")
        _start(head, READ["head_start_ray_commands"])
        said = _python(head, WORKS, RAY_AUTH_MODE="token")
        assert f"worked at {worker}\n" in said, "the worker is still there"


def _only_the_cluster_gets_in(nft: str, head: Machine, other: Machine, outside: Machine) -> None:
    reach = f"timeout 3 bash -c 'exec 3<>/dev/tcp/{head.address}/6379' && echo reached || echo not"
    assert outside.run(reach) == "reached\n", "Ray itself listens on all addresses"
    head.run(f"{nft} -f {CLUSTER / 'nftables.conf'}")
    assert (outside.run(reach).splitlines()[-1], other.run(reach)) == ("not", "reached\n")


def _prepare(machine: Machine) -> None:
    """Do what setup_commands and file_mounts do, but that the package and its requirements are those of the tests."""
    from ray.autoscaler._private.util import prepare_config

    (machine.home / "umbau").symlink_to(sys.prefix)
    (machine.home / ".ray").mkdir(mode=0o700)
    (machine.home / ".ray" / "auth_token").write_text("0123456789abcdef" * 4)
    (machine.home / "umbau.env").write_text("UMBAU_MODEL=devstral-small-2\n")
    (machine.home / "ray_bootstrap_config.yaml").write_text(yaml.safe_dump(prepare_config(READ)))


def _start(machine: Machine, commands: list[str]) -> None:
    for command in commands:
        machine.run(f"source ~/.bashrc 2>/dev/null; export OMP_NUM_THREADS=1 && ({command})")


def _python(machine: Machine, program: str, *arguments: str, **env: str) -> str:
    (machine.home / "program.py").write_text(program)
    names = " ".join(f"{name}={value}" for name, value in env.items())
    return machine.run(f"{names} {sys.executable} program.py {' '.join(arguments)} 2>&1")
