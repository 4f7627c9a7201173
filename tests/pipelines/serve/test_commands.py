"""`umbau model` as a person meets it, up to where a cluster is needed."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.catalogue import Licence, catalogue
from pipelines.errors import Refused
from pipelines.serve.commands import kept, key_of, model
from pipelines.serve.dashboard import Running, node_of, said
from pipelines.serve.memory import Node
from pipelines.serve.placed import licensed
from pipelines.site import Site
from tests.pipelines.serve.folders import devstral, small
from tests.test_cli import umbau

NOBODY = "127.0.0.1:1"  # where no cluster is


@pytest.fixture(autouse=True)
def here(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", NOBODY)
    monkeypatch.delenv("UMBAU_SITE", raising=False)
    return tmp_path


def refused(*args: str) -> str:
    done = umbau("model", *args)
    assert done.returncode in {2, 64}, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_licence_with_a_condition_is_refused_until_the_site_says_that_it_is_met(here: Path) -> None:
    weights = str(devstral(here / "weights", "Ministral3ForCausalLM"))
    first = refused("up", "devstral-2", "--dir", weights)
    assert "exceeds USD 20 million" in first
    assert f"add the line\n\n    licences_met: [devstral-2]\n\nin {here}/umbau.yaml." in first
    (here / "umbau.yaml").write_text("licences_met: [devstral-small-2]\n")
    assert "change its line to\n\n    licences_met: [devstral-small-2, devstral-2]" in refused("up", "devstral-2")
    (here / "umbau.yaml").write_text("licences_met: [devstral-small-2, devstral-2]\n")
    assert "no Ray cluster answers at http://127.0.0.1:1" in refused("up", "devstral-2", "--dir", weights)


@pytest.mark.parametrize(
    ("listen", "why"),
    [
        ("10.0.0.10", "such as 10.0.0.10:8000"),
        (":8000", "such as 10.0.0.10:8000"),
        ("head:http", "such as 10.0.0.10:8000"),
        ("head:70000", "such as 10.0.0.10:8000"),
        ("0.0.0.0:8000", "name the one address"),
        ("[::]:8000", "name the one address"),
    ],
)
def test_where_serve_listens_is_one_address(here: Path, listen: str, why: str) -> None:
    assert why in refused("up", "embedded-cpu", "--listen", listen)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "devstral-2",
            "\nRead it at https://huggingface.co/mistralai/Devstral-2-123B-Instruct-2512. If it is met, add",
        ),
        ("umbau-asserts", "\nIf it is met, add the line"),
    ],
)
def test_a_licence_is_read_where_the_model_has_its_repository(name: str, words: str) -> None:
    licence = Licence(name="theirs", condition="you are small")
    with pytest.raises(Refused) as caught:
        licensed(name, catalogue()[name].model_copy(update={"licence": licence}), Site())
    assert f"(theirs): you are small.{words}" in str(caught.value)


def test_weights_are_looked_at_before_a_cluster_is(here: Path) -> None:
    assert "/models/Devstral-Small-2-24B-Instruct-2512 is not a folder" in refused("up", "devstral-small-2")
    weights = small(here / "weights")
    assert "Mistral's own format" in refused("up", "devstral-small-2", "--dir", str(weights))
    whole = (weights / "model.safetensors").read_bytes()
    (weights / "model.safetensors").write_bytes(whole[:-1])
    assert "is truncated" in refused("up", "embedded-cpu", "--dir", "weights")
    (weights / "model.safetensors").write_bytes(whole)
    told = refused("up", "embedded-cpu", "--dir", "weights")
    assert "no Ray cluster answers at http://127.0.0.1:1" in told
    assert "ray start --head" in told
    assert not (here / "home" / "keys").exists()


def test_a_download_needs_the_sites_leave(here: Path) -> None:
    shipped = Path(__file__).parents[3] / "deploy" / "serve" / "devstral-small-2.yaml"
    text = shipped.read_text().replace("/models/Dev", "mistralai/Dev")
    (here / "mine.yaml").write_text(text)
    assert "would be downloaded, and the site does not allow that" in refused("up", "mine.yaml")
    (here / "umbau.yaml").write_text("downloads: true\n")
    assert "no Ray cluster answers" in refused("up", "mine.yaml")


def test_models_of_which_nothing_is_known(here: Path) -> None:
    shipped = Path(__file__).parents[3] / "deploy" / "serve" / "embedded-cpu.yaml"
    (here / "mine.yaml").write_text(shipped.read_text().replace("umbau-asserts", "mine"))
    assert "of which nothing is known: add it to `models` in the site's" in refused("up", "mine.yaml")
    (here / "mine.yaml").write_text(shipped.read_text().replace("max_model_len: 1024", "max_model_len: 4096"))
    assert "max_model_len is 4096, and umbau-asserts sees 1024" in refused("up", "mine.yaml")


@pytest.mark.parametrize("command", [["status"], ["down", "embedded-cpu"]])
def test_no_cluster(command: list[str]) -> None:
    assert "no Ray cluster answers at http://127.0.0.1:1. Name the dashboard of yours with --address" in refused(
        *command
    )


def test_a_key_is_made_once_for_its_owner_alone(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, file = key_of("small")
    assert file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert key_of("small") == (key, file)
    assert key_of("other")[0] != key
    monkeypatch.setenv("UMBAU_MODEL_KEY", "the-company's-own-key-of-these-days")
    assert key_of("small") == ("the-company's-own-key-of-these-days", None)


class Cluster:
    """In place of Ray's dashboard: one machine, where what is deployed is up at once."""

    def __init__(self, refusal: str = "") -> None:
        self.refusal = refusal

    def nodes(self) -> list[Node]:
        return [Node(0, (), 16e9)]

    def deploy(self, *args: Any) -> None:
        if self.refusal:
            raise Refused(self.refusal)

    def running(self) -> list[Running]:
        return [Running("embedded-cpu", "RUNNING", "", "http://127.0.0.1:8000/v1", ("umbau-asserts",), {}, "")]


@pytest.mark.parametrize(
    ("key", "refusal", "words"),
    [
        ("short", "", "UMBAU_MODEL_KEY holds no usable key"),
        ("the-company's-own-key-of-these-days", "Serve has gone", "Serve has gone"),
        ("the-company's-own-key-of-these-days", "", ""),
    ],
)
def test_the_kept_key_of_a_running_model_goes_once_another_is_deployed(
    key: str, refusal: str, words: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small(here / "weights")
    before, file = key_of("embedded-cpu")
    assert file
    monkeypatch.setenv("UMBAU_MODEL_KEY", key)
    monkeypatch.setattr("pipelines.serve.dashboard.Dashboard", lambda address: Cluster(refusal))
    done = CliRunner().invoke(model, ["up", "embedded-cpu", "--dir", "weights"])
    assert (done.exit_code != 0) == bool(words)
    assert words in done.stderr
    assert (file.exists() and file.read_text() == before) == bool(words)


@pytest.mark.parametrize("name", ["..", "../../a", "a/b", "."])
def test_no_name_leads_out_of_the_folder_of_keys(name: str, here: Path) -> None:
    assert kept(name).resolve().parent == here / "home" / "keys"


@pytest.mark.parametrize(
    ("resources", "node"),
    [
        ({"CPU": 2.0, "memory": 15943527220.0, "node:192.0.2.2": 1.0}, Node(0, (), 15943527220.0)),
        ({"GPU": 8.0, "accelerator_type:H100": 1.0, "memory": 1e12}, Node(8, ("H100",), 1e12)),
        (
            {"GPU": 1.0, "accelerator_type:A100": 1.0, "accelerator_type:A100-80G": 1.0},
            Node(1, ("A100", "A100-80G"), 0),
        ),
    ],
)
def test_what_ray_says_of_a_machine(resources: dict[str, float], node: Node) -> None:
    assert node_of(resources) == node


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("", "no reason given"),
        ("Deployment is waiting.\nMore of it.", "Deployment is waiting."),
        ("Traceback:\n  File x\nImportError: no vllm\n\nThe above:\nRuntimeError: failed\n.", "RuntimeError: failed"),
        ("  File x\nValidationError: 1 fault\nargs.a\n  unknown\n", "ValidationError: 1 fault args.a unknown"),
    ],
)
def test_what_is_shown_of_serves_messages(message: str, words: str) -> None:
    assert said(message) == words
