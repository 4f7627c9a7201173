"""What a change depends on, as it is stated."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from operators import embedded
from pipelines.asking import models
from pipelines.data import Repo
from pipelines.evidence import materials
from pipelines.evidence.notary import job_of, spec_of
from pipelines.evidence.statement import said
from pipelines.jobfile import load
from pipelines.recipe import recipe
from pipelines.session import JOBS
from pipelines.session import job_of as named

REPO = Repo("billing", "/mirrors/billing.git", "c0ffee", "main", "https://ada:hush@git.example.eu/billing.git")


def dependencies(name: str) -> dict[str, materials.Descriptor]:
    file = JOBS / f"{name}.yaml"
    job = load(file)
    return {one["name"]: one for one in materials.dependencies(job, recipe(job, file), REPO, str(file.parent), {})}


def test_weights_that_lie_here_are_hashed_file_by_file() -> None:
    found = dependencies("plain-asserts")
    assert found["model"]["annotations"]["files"] == embedded.weights(str(embedded.SHIPPED_IN))
    assert len(found["model"]["digest"]["sha256"]) == 64
    assert found["billing"] == {
        "name": "billing",
        "uri": "git+https://git.example.eu/billing.git",
        "digest": {"gitCommit": "c0ffee"},
    }


def test_codemods_are_stated_by_their_sources() -> None:
    found = dependencies("modernise-typing")
    assert len(found["modernise_typing"]["digest"]["sha256"]) == 64
    assert found["umbau"]["uri"].startswith("pkg:pypi/umbau@")


def test_what_an_endpoint_says_of_itself_is_stated_and_what_it_does_not_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allow: Callable[..., None]
) -> None:
    allow(models=["model.example.eu"])
    monkeypatch.setenv("UMBAU_MODEL_URL", "https://model.example.eu/v1")
    monkeypatch.setenv("UMBAU_MODEL", "devstral")
    file = tmp_path / "job.yaml"
    file.write_text("name: x\nrepos: [{git: .}]\nsteps: [{rewrite: {prompt: Do it.}}]\n")
    job = load(file)
    built = recipe(job, file)
    (model,) = models(built)
    for served, told in ((set(), "unknown"), ({"devstral fp_1"}, ["devstral fp_1"])):
        one = materials.dependencies(job, built, REPO, str(tmp_path), {model.revision: served})[1]
        assert one == {
            "name": "devstral",
            "uri": "https://model.example.eu/v1",
            "annotations": {"revision": "devstral 0.15 8192", "weights": "unknown", "served": told},
        }


@pytest.mark.parametrize("file", sorted(JOBS.glob("*.yaml")), ids=lambda file: file.stem)
def test_jobs_are_kept_so_that_they_come_back_as_they_were(file: Path) -> None:
    for repos in (None, ["billing", "six==1.17"]):
        job, _ = named(str(file), repos)
        kept, where = job_of(json.loads(json.dumps(spec_of(job, file))))
        assert (said(kept), kept, where) == (said(job), job, file.absolute())
