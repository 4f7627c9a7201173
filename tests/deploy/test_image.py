"""deploy/Dockerfile and deploy/compose.yaml: no engine builds or runs them here. What can be said without one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.serve.config import config_of

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
BIN = Path(sys.executable).parent


def runs(command: list[str], **given: Any) -> str:
    done = subprocess.run(command, stdout=-1, stderr=subprocess.STDOUT, text=True, check=False, **given)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}"
    return done.stdout


@pytest.mark.skipif(not shutil.which("hadolint", path=BIN), reason="hadolint is not there")
def test_hadolint_finds_nothing() -> None:
    runs([str(BIN / "hadolint"), str(DOCKERFILE)])


def test_compose_files_schema_holds() -> None:
    runs(
        [
            str(BIN / "check-jsonschema"),
            "--builtin-schema",
            "vendor.compose-spec",
            str(ROOT / "deploy" / "compose.yaml"),
        ]
    )


def test_one_port_is_published_on_the_loopback_and_secrets_are_files() -> None:
    services = COMPOSE["services"]
    assert {name: service["ports"] for name, service in services.items() if "ports" in service} == {
        "ray": ["127.0.0.1:8265:8265"]
    }
    assert "--node-ip-address=127.0.0.1" in services["ray"]["command"]
    for service in services.values():
        assert service.get("network_mode", "service:ray") == "service:ray" and not service.get("privileged")
        for key, value in service["environment"].items():
            assert not re.search(r"(PASSWORD|TOKEN|KEY|SECRET)$", key), f"{key}={value}"
        assert set(service["secrets"]) <= COMPOSE["secrets"].keys()
    assert all(secret.keys() == {"file"} for secret in COMPOSE["secrets"].values())
    forge = {name for name, service in services.items() if {"driver.env", "pgpass"} & set(service["secrets"])}
    assert forge == {"bot"}, "what is the driver's is in no container that hosts workers"
    told = services["bot"]["environment"]
    assert config_of(told["UMBAU_MODEL"]).route in told["UMBAU_MODEL_URL"]


def test_what_umbau_is_told_by_the_shell_of_a_container(tmp_path: Path) -> None:
    """The entry point reads secrets from their files and runs what it is given."""
    entry = COMPOSE["services"]["ray"]["entrypoint"]
    (tmp_path / "model.env").write_text("UMBAU_MODEL_KEY=a-long-key\n")
    script = entry[2].replace("$$", "$").replace("/run/secrets", str(tmp_path))
    said = runs(
        [entry[0], entry[1], script, entry[3], sys.executable, "-c", "import os; print(os.environ['UMBAU_MODEL_KEY'])"]
    )
    assert said == "a-long-key\n"


@pytest.mark.slow
def test_the_images_own_commands_install_umbau(tmp_path: Path) -> None:
    """Each COPY and `uv sync` of the first image, in its order, with what .dockerignore lets in."""
    context, image = tmp_path / "context", tmp_path / "image"
    context.mkdir()
    image.mkdir()
    packed = subprocess.run(["git", "-C", str(ROOT), "archive", "HEAD"], capture_output=True, check=True).stdout
    (tmp_path / "all.tar").write_bytes(packed)
    with tarfile.open(tmp_path / "all.tar") as tar:
        tar.extractall(tmp_path / "all", filter="data")
    for kept in re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE):
        source, target = tmp_path / "all" / kept, context / kept
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
    stage = DOCKERFILE.read_text().split("AS umbau")[1].split("FROM")[0]
    lines = [
        line
        for line in stage.replace("\\\n", " ").splitlines()
        if line.startswith(("COPY pyproject", "COPY .", "RUN uv"))
    ]
    assert len(lines) == 4
    env = {name: os.environ[name] for name in os.environ if name.startswith(("UV_", "PIP_", "SSL_"))}
    env |= {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": os.environ["HOME"], "UV_LINK_MODE": "copy"}
    env |= {"UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never"}
    for line in lines:
        kind, *words = shlex.split(line)
        if kind == "RUN":
            runs(words, cwd=image, env=env)
        elif words == [".", "."]:
            shutil.copytree(context, image, dirs_exist_ok=True)
        else:
            for name in words[:-1]:
                shutil.copy2(context / name, image / name)
    installed = image / ".venv" / "bin"
    shutil.rmtree(image / "pipelines")  # it is installed, and not linked to
    runs([str(installed / "umbau"), "--help"], cwd=tmp_path)
    runs(
        [
            str(installed / "python"),
            "-c",
            "import ray.serve, ray.dashboard, operators, pipelines.catalogue as c; c.catalogue()",
        ],
        cwd=tmp_path,
    )
