"""deploy/: whatever it starts tells nobody of itself, and hosts stand in a site's file."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from operators.hosts import pattern
from operators.outward import QUIET
from pipelines.jobfile import settings
from pipelines.site import Site

DEPLOY = Path(__file__).parents[2] / "deploy"
CONFIGS = [*sorted((DEPLOY / "serve").glob("*.yaml")), DEPLOY / "kuberay" / "models.yaml"]
STARTS = [path for path in sorted(DEPLOY.rglob("*")) if path.is_file() and b"RAY_USAGE_STATS" in path.read_bytes()]


def test_ray_is_started_by_these_files_alone() -> None:
    assert {path.name for path in STARTS} == {"Dockerfile", "cluster.md", "gpu-box.md", "on-prem.yaml"}
    by_hand = [path for path in sorted(DEPLOY.rglob("*.md")) if re.search(r"^ray start", path.read_text(), re.M)]
    assert {path.name for path in by_hand} <= {path.name for path in STARTS}


@pytest.mark.parametrize("path", STARTS, ids=lambda path: path.name)
def test_nodes_tell_nobody_of_themselves(path: Path) -> None:
    text = path.read_text()
    places = len(re.findall(r"RAY_USAGE_STATS_ENABLED", text))
    for name, value in QUIET.items():
        assert len(re.findall(rf"\b{name}={value}\b", text)) == places, name


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_replicas_tell_nobody_of_themselves(path: Path) -> None:
    for environment in re.findall(r"env_vars: (\{.*\})", path.read_text()):
        assert yaml.safe_load(environment).items() >= {k: v for k, v in QUIET.items() if k[:3] != "RAY"}.items()
    if "llm_configs" in path.read_text():
        assert path.read_text().count("env_vars") == path.read_text().count("model_loading_config")


def sites() -> list[tuple[str, str]]:
    """Return the site's files that are within others."""
    cluster = next(yaml.safe_load_all((DEPLOY / "kuberay" / "cluster.yaml").read_text()))
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    (page,) = re.findall(r"cat > umbau.yaml <<END\n(.*?)END", (DEPLOY / "cluster.md").read_text(), re.S)
    return [
        ("kuberay", cluster["data"]["umbau.yaml"]),
        ("compose", compose["configs"]["site"]["content"]),
        ("cluster.md", page),
    ]


@pytest.mark.parametrize(("where", "text"), sites())
def test_hosts_stand_in_a_sites_file(where: str, text: str) -> None:
    found = settings(text.encode(), where, Site, "", "")
    assert found.hosts and found.hosts.forges == ["gitlab.example.eu"]
    database = {"kuberay": "db.example.eu", "compose": "database", "cluster.md": "10.0.0.10"}[where]
    assert [pattern(text).text for text in found.hosts.store] == [database]
