"""deploy/kuberay: what Kubernetes' own schemas say of it, and what it promises to keep closed. The schemas of KubeRay's
own kinds are in no package; deploy/kubernetes.md tells which the files were held against."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from pipelines.jobfile import parse

DEPLOY = Path(__file__).parents[2] / "deploy"
OLDEST = "1.33"  # of Kubernetes: the first with user namespaces for pods unless told otherwise
KINDS = [
    (file.name, one)
    for file in sorted((DEPLOY / "kuberay").glob("*.yaml"))
    for one in yaml.safe_load_all(file.read_text())
]
CLUSTER, MODELS = (one["spec"] for _, one in KINDS if one["kind"] in {"RayCluster", "RayService"})
IDS = [f"{file}-{one['kind']}" for file, one in KINDS]


def groups() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all groups of Ray's nodes, with a name."""
    for name, spec in (("umbau", CLUSTER), ("devstral", MODELS["rayClusterConfig"])):
        yield f"{name}-head", spec["headGroupSpec"]
        yield from ((f"{name}-{group['groupName']}", group) for group in spec["workerGroupSpecs"])


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from ((name, group["template"]["spec"]) for name, group in groups())
    yield from (
        (file, one["spec"]["jobTemplate"]["spec"]["template"]["spec"])
        for file, one in KINDS
        if one["kind"] == "CronJob"
    )


@pytest.mark.parametrize("one", [one for _, one in KINDS], ids=IDS)
def test_kubernetes_takes_it(one: dict[str, Any]) -> None:
    if one["apiVersion"] != "ray.io/v1":
        kubernetes_validate.validate(one, OLDEST, strict=True)
    assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "umbau"


@pytest.mark.parametrize(("name", "pod"), [*pods()])
def test_pods_are_closed(name: str, pod: dict[str, Any]) -> None:
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod}
    kubernetes_validate.validate(whole, OLDEST, strict=True)
    head = name.endswith("-head")
    assert pod["automountServiceAccountToken"] is head, "the autoscaler is the only one that asks Kubernetes"
    for container in pod["containers"]:
        closed = {**pod.get("securityContext", {}), **container["securityContext"]}
        assert closed["runAsNonRoot"] and closed["runAsUser"] == 1000
        assert not closed["allowPrivilegeEscalation"] and closed["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]
        sandboxed = name == "umbau-working"
        assert (closed["seccompProfile"]["type"] == "Unconfined") is sandboxed is (pod.get("hostUsers") is False)
        secrets = {source["secretRef"]["name"] for source in container.get("envFrom", [])}
        assert "umbau-drivers" not in secrets or name == "umbau-head", "what is the driver's reaches no worker"
        literal = {variable["name"] for variable in container.get("env", []) if "value" in variable}
        assert literal <= {"UMBAU_STORE", "UMBAU_SITE"}


@pytest.mark.parametrize("spec", [CLUSTER, MODELS["rayClusterConfig"]])
def test_rays_clusters_ask_for_a_token_and_run_the_locked_version(spec: dict[str, Any]) -> None:
    import ray

    assert spec["authOptions"] == {"mode": "token", "secretName": "umbau-ray-token"}
    assert spec["rayVersion"] == ray.__version__
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


@pytest.mark.parametrize(("name", "group"), [*groups()])
def test_ray_knows_what_its_nodes_are_started_with(name: str, group: dict[str, Any]) -> None:
    from ray.scripts.scripts import start

    known = {option.removeprefix("--") for parameter in start.params for option in parameter.opts}
    assert group["rayStartParams"].keys() <= known
    assert (group.get("labels") == {"umbau.dev/lane": "working"}) is (name == "umbau-working")


def test_the_service_hosts_what_umbau_model_up_would() -> None:
    ours = yaml.safe_load((DEPLOY / "serve" / "devstral-small-2.yaml").read_text())
    theirs = yaml.safe_load(MODELS["serveConfigV2"])
    assert theirs["http_options"].pop("host") == "0.0.0.0", "of a pod, which the policy closes"
    assert ours["http_options"].pop("host") == "127.0.0.1"
    for application in theirs["applications"]:
        assert application["args"].pop("key_digest") == "CHANGE-ME", "no key of ours"
    assert theirs == ours
    (group,) = MODELS["rayClusterConfig"]["workerGroupSpecs"]
    scaling = ours["applications"][0]["args"]["llm_configs"][0]["deployment_config"]["autoscaling_config"]
    assert (group["minReplicas"], group["maxReplicas"]) == (scaling["min_replicas"], scaling["max_replicas"])


def test_nothing_is_open_but_what_is_named() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for _, one in KINDS if one["kind"] == "NetworkPolicy"}
    assert policies.pop("nothing-else") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    outside = {
        name: spec for name, spec in policies.items() if any("ipBlock" in str(rule) for rule in spec.get("egress", []))
    }
    chosen = {name: spec["podSelector"]["matchLabels"] for name, spec in outside.items()}
    assert chosen == {"drivers": {"ray.io/node-type": "head"}, "package-index": {"umbau.dev/lane": "working"}}
    for spec in policies.values():
        for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
            assert rule.get("from") or rule.get("to"), "an empty list means everybody"
            for peer in rule.get("to", []):
                assert "/0" not in peer.get("ipBlock", {}).get("cidr", "")


def test_jobs_that_are_named_are_there() -> None:
    files = next(one["data"] for _, one in KINDS if one["metadata"]["name"] == "umbau-jobs")
    for name, text in files.items():
        parse(text.encode(), name)
    migration = next(one["spec"] for _, one in KINDS if one["kind"] == "RayJob")
    assert migration["entrypoint"].removeprefix("umbau run /jobs/") in files
    assert migration["clusterSelector"] == {"ray.io/cluster": "umbau"}
    tend = next(one["spec"] for _, one in KINDS if one["kind"] == "CronJob")["jobTemplate"]["spec"]["template"]["spec"]
    assert tend["containers"][0]["command"][-1].removeprefix("/jobs/") in files
