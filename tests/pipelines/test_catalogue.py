"""What may be hosted: the models that are known, and what a site allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.catalogue import DEPLOY, Model, catalogue
from pipelines.jobfile import BadJob
from pipelines.site import Site, site

MINE = """models:
  mine:
    about: ours
    repository: acme/mine
    licence: {name: Apache-2.0}
    architectures: [MistralForCausalLM]
    context: 32768
    weight_bytes: 14500000000
    kv_bytes_per_token: 131072
    sampling: {temperature: 0.15}
    reply: blocks
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UMBAU_SITE", raising=False)
    return tmp_path


def test_the_models_that_come_with_umbau() -> None:
    known = catalogue()
    assert {name for name, model in known.items() if model.licence.condition} == {"devstral-2"}
    assert "USD 20 million" in known["devstral-2"].licence.condition
    assert known["devstral-small-2"].licence.name == "Apache-2.0"
    assert all(model.score is None or model.score.source for model in known.values())
    assert known["umbau-asserts"].reply == "piece"


def test_without_a_file_nothing_is_allowed() -> None:
    assert site() == Site(licences_met=[], downloads=False, models={})


def test_a_site_may_allow_more_and_have_models_of_its_own(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "umbau.yaml").write_text(f"licences_met: [devstral-2]\ndownloads: true\n{MINE}")
    assert site().downloads
    assert site().licences_met == ["devstral-2"]
    assert isinstance(site().models["mine"], Model)
    (here / "elsewhere.yaml").write_text("downloads: false\n")
    monkeypatch.setenv("UMBAU_SITE", "elsewhere.yaml")
    assert not site().downloads


# The text of umbau.yaml, where it is wrong, and what is said of it.
BAD = {
    "empty": ("", "umbau.yaml", "is empty: leave it out"),
    "a list": ("- devstral-2\n", "umbau.yaml:1:1", "keys and values: hosts"),
    "misspelt": ("licenses_met: [devstral-2]\n", "umbau.yaml:1:1", "did you mean `licences_met`?"),
    "unknown": (
        f"licences_met: [mine, devstrall]\n{MINE}",
        "umbau.yaml:1:22",
        "no such model is known; known are devstral-2, devstral-small-2, umbau-asserts, mine",
    ),
    "no list": ("licences_met: devstral-2\n", "umbau.yaml:1:15", "a list is needed here"),
    "a word": ("downloads: yes\n", "umbau.yaml:1:12", "true or false is needed here"),
    "misspelt further in": (MINE.replace("context", "contxt"), "umbau.yaml:7:5", "did you mean `context`?"),
    "missing": (MINE.replace("    context: 32768\n", ""), "umbau.yaml:3:5", "`context` is missing"),
    "too much": (MINE.replace("14500000000", '"14.5 GB"'), "umbau.yaml:8:19", "a whole number is needed here"),
    "reply": (MINE.replace("blocks", "block"), "umbau.yaml:11:12", "did you mean blocks?"),
    "no context": (MINE.replace("32768", "0"), "umbau.yaml:7:14", "1 or more is needed here"),
    "from nowhere": (MINE.replace("    repository: acme/mine\n", ""), "umbau.yaml:3:5", "of repository, folder"),
    "no architecture": (MINE.replace("[MistralForCausalLM]", "[]"), "umbau.yaml:6:20", "at least one entry"),
    "price": (f"{MINE}    price: {{input: -1.0, output: 2}}\n", "umbau.yaml:12:20", "0 or more is needed here"),
}


@pytest.mark.parametrize("case", BAD)
def test_mistakes_are_told_by_line(case: str, here: Path) -> None:
    text, place, words = BAD[case]
    (here / "umbau.yaml").write_text(text)
    with pytest.raises(BadJob) as caught:
        site()
    assert str(caught.value).startswith(f"{place}: ")
    assert words in str(caught.value)


def test_a_file_that_is_named_must_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_SITE", "absent.yaml")
    with pytest.raises(BadJob, match="UMBAU_SITE names it"):
        site()


def test_a_name_that_is_empty_names_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_SITE", "")
    assert site() == Site()


def test_the_example_at_the_top_of_the_catalogue_works(here: Path) -> None:
    comment = [line for line in (DEPLOY / "models.yaml").read_text().splitlines() if line.startswith("#   ")]
    (here / "umbau.yaml").write_text("\n".join(line.removeprefix("#   ") for line in comment))
    model = site().models["my-model"]
    assert model.price and model.price.output == 0.30
