"""What of a report is filed: compliance, the ML-BOM, and what commits and requests say of models."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from markdown_it import MarkdownIt
from typer.testing import CliRunner

from operators.data import Passage, called
from operators.embedded import SHIPPED, SHIPPED_IN, Embedded
from pipelines.catalogue import catalogue
from pipelines.cli import app
from pipelines.forge import Request
from pipelines.job import Job
from pipelines.report.asked import Asked
from pipelines.report.bom import Made, as_json
from pipelines.report.compliance import Ground, as_markdown, region_of, sections
from pipelines.report.totals import Totals
from pipelines.retention.due import Kept
from pipelines.retention.purging import DAY, Ages
from pipelines.site import Retention, Site
from pipelines.store.log import Event
from tests.pipelines.report.conftest import Ran, reading

RUN = CliRunner()
SITE = """\
regions: {127.0.0.0/8: eu}
mask: {staff numbers: 'S[0-9]{6}'}
retention: {prompts: 30}
models:
  scripted:
    about: A double.
    repository: acme/scripted
    revision: 1fc9c7b
    licence: {name: modified MIT, condition: no more than 20 employees}
    architectures: [MistralForCausalLM]
    context: 4000
    weight_bytes: 1
    kv_bytes_per_token: 1
    sampling: {temperature: 0}
    reply: blocks
licences_met: [scripted]
"""


@pytest.fixture
def here(ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ran:
    (tmp_path / "umbau.yaml").write_text(SITE)
    monkeypatch.setenv("UMBAU_HOME", str(ran.home))
    monkeypatch.chdir(tmp_path)
    return ran


def written(ran: Ran, option: str) -> str:
    done = RUN.invoke(app, ["report", str(ran.job), option, "out"])
    assert done.exit_code == 0 and done.stdout == "out is written\n", done.output
    return Path("out").read_text()


def told(**more: Any) -> dict[str, str]:
    """Return what is told of a job about which next to nothing is known."""
    job = Job.model_validate({"name": "greet", "repos": [{"git": "."}], "steps": [{"codemod": "a.B"}]})
    ground = Ground(job, Site(), Totals(), Asked(), (), 0.0)
    return {what: said for section in sections(replace(ground, **more)) for what, said in section.lines}


def test_what_can_be_filed(here: Ran) -> None:
    text = written(here, "--compliance")
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# plainly: what a model did, and where",
        "## Marking of what a model wrote (AI Act, Article 50)",
        "## Models and their licences",
        "## Record of processing (GDPR, Article 30(1))",
        "## Human oversight",
    ]
    server = f"127.0.0.1:{here.job.read_text().partition('127.0.0.1:')[2].partition('/')[0]}"
    for said in (
        *("15; models wrote parts: `scripted` of 15", "the label `ai-generated`", "It is no legal advice"),
        *(
            "licence `modified MIT`, with a condition that the site states to be met: no more than 20",
            "`https://huggingface.co/acme/scripted` at `1fc9c7b`, as the site states",
        ),
        *(f"models: `{server}`", f"`{server}`: eu", "secrets: `staff numbers`", "prompts and replies: 30 days"),
        *("edits, findings, output of tests: until somebody purges it", "protection officer**: not known to Umbau"),
        *(
            "by Umbau, what people approved",
            "15 accepted, 1 rejected",
            "4 opened, 1 merged, 0 closed by people or Umbau",
        ),
        "**Signed evidence (`umbau verify REQUEST`)**: stated of 0 branches; nothing of 4 requests: ",
        *("in no sandbox" not in text and "a sandbox without network", "resumed by `ada`: 1"),
    ):
        assert said in text, said
    html = MarkdownIt("commonmark").render(text)
    assert "<b>" not in html and "<script" not in html, "the job's description has some"


def test_what_is_not_known_is_said_not_to_be_known() -> None:
    totals = Totals()
    totals.asked = Counter({("mine", "10.0.0.1:80"): 3, ("", ""): 1})
    found = told(totals=totals)
    assert found["Model mine"] == (
        "3 replies; licence not known to Umbau: the site's file has no such entry in `models`"
    )
    assert found["Model without a name"].startswith("1 replies; licence not known")
    assert "`10.0.0.1:80`: region not known to Umbau" in found["(e) Places of processing"]
    assert found["(e) Places of processing"].startswith("the machines that Umbau ran on; ")
    nothing = told()
    assert (nothing["Models"], nothing["(e) Places of processing"]) == ("none was asked", "no model was asked")
    assert nothing["Kept out of prompts"].endswith("no pattern of the site")


@pytest.mark.parametrize(("prompts", "code", "days"), [(None, 30, 30), (90, 30, 30), (7, None, 7)])
def test_prompts_are_kept_no_longer_than_code(prompts: float | None, code: float | None, days: float) -> None:
    site = Site(retention=Retention(prompts=prompts, code=code))
    assert told(site=site)["(f) Kept for"].startswith(f"prompts and replies: {days} days; ")
    assert next(Kept(site.retention, 0.0, 0).lines).endswith(f": {days} days")
    assert Ages.of(prompts, code, now=1e9).words == 1e9 - days * DAY, "when they are purged"


def test_requests_without_evidence_are_named() -> None:
    requests = [Request("shop", f"umbau/{number}", "", "open", "") for number in range(22)]
    stated = {("shop", "umbau/0"): ("5f", "a1")}
    said = told(asked=Asked(requests), stated=stated)["Signed evidence (`umbau verify REQUEST`)"]
    assert said.startswith("stated of 1 branches; nothing of 21 requests: `shop@umbau/1`, ") and said.endswith(" ...")


def test_a_condition_that_nobody_states_to_be_met() -> None:
    totals = Totals()
    totals.asked = Counter({("devstral-2", "gpu:8000"): 1})
    assert "the site does not state to be met: no rights are granted if" in told(totals=totals)["Model devstral-2"]
    stated = told(totals=totals, site=Site(licences_met=["devstral-2"]))
    assert "the site states to be met: no rights" in stated["Model devstral-2"]


def test_passages_and_people_are_named() -> None:
    totals = Totals()
    totals.foreign = [("shop", "a.py", Passage("a.py", 3, 20))]
    found = told(totals=totals)
    assert "`a.py`: lines 3 to 20 stand in nothing" in found["Long passages that stand in nothing the model was shown"]
    unlooked = told(site=Site(foreign_lines=0))
    assert unlooked["Long passages that stand in nothing the model was shown"] == "not looked for"
    event = Event(1, 0.0, "greet", "paused", "", {"who": "ada\n# x <b>", "why": "", "kind": "person"})
    assert told(events=(event,))["Stopped by people"].startswith("paused by `ada")
    job = Job.model_validate({"name": "greet", "repos": [{"git": "."}], "steps": [{"codemod": "a.B"}]})
    text = as_markdown(Ground(job, Site(), Totals(), Asked(), (event,), 0.0))
    assert "\n# x" not in text


@pytest.mark.parametrize(
    ("server", "region"),
    [
        *(("a.example.eu:8000", "eu"), ("a.example.eu", "eu"), ("example.eu", ""), ("x:1", "")),
        *(
            ("10.1.2.3:80", "lab"),
            ("11.1.2.3:80", ""),
            ("[fd00::1]:80", "six"),
            ("b.other:8", "port"),
            ("b.other:9", ""),
        ),
    ],
)
def test_where_a_host_is_the_site_says(server: str, region: str) -> None:
    regions = {"*.example.eu": "eu", "10.0.0.0/8": "lab", "fd00::/8": "six", "b.other:8": "port"}
    assert region_of(server, Site(regions=regions)) == region


def valid(text: str) -> dict[str, Any]:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_bom_of_a_run(here: Ran) -> None:
    found = valid(written(here, "--bom"))
    assert found["metadata"]["component"]["name"] == "plainly"
    kinds = {one["bom-ref"]: one for one in found["components"]}
    model = kinds["model:scripted"]
    assert model["type"] == "machine-learning-model"
    assert model["licenses"] == [{"license": {"name": "modified MIT"}}]
    assert model["externalReferences"] == [{"type": "model-card", "url": "https://huggingface.co/acme/scripted"}]
    assert model["modelCard"]["modelParameters"]["modelArchitecture"] == "MistralForCausalLM"
    names = {one["name"] for one in found["components"]}
    assert {"umbau", "libcst", "ray", "httpx", "certifi"} <= names, "what it needs, and what that needs"
    assert {"psycopg", "psycopg-binary", "aiohttp"} <= names, "what extras need: its own, and those of what it needs"
    assert "pytest" not in names, "what tests need"
    libcst = next(one for one in found["components"] if one["name"] == "libcst")
    assert libcst["purl"] == f"pkg:pypi/libcst@{libcst['version']}"
    links = {one["ref"]: one["dependsOn"] for one in found["dependencies"]}
    assert "model:scripted" in links["job"] and libcst["purl"] in links[links["job"][0]]
    assert valid(written(here, "--bom"))["serialNumber"] == found["serialNumber"]


def test_the_bom_of_a_model_whose_weights_are_here(tmp_path: Path) -> None:
    model, totals = Embedded(str(SHIPPED_IN)), Totals()
    totals.wrote, totals.asked = Counter([called(model)]), Counter({(SHIPPED, ""): 2, ("other", "gpu:1"): 1})
    step = {"codemod": "libcst.codemod.commands.convert_type_comments.ConvertTypeComments"}
    job = Job.model_validate({"name": "greet", "repos": [{"git": "."}], "steps": [step, step]})
    found = valid(as_json(Made(job, str(tmp_path), totals, [model], catalogue()), 0.0))
    own, other = (one for one in found["components"] if one["type"] == "machine-learning-model")
    assert (own["name"], other["name"]) == (SHIPPED, "other")
    assert called(model) == f"{SHIPPED}@{own['version']}"
    (weights,) = own["components"]
    content = hashlib.sha256((SHIPPED_IN / "model.safetensors").read_bytes()).hexdigest()
    assert weights["hashes"] == [{"alg": "SHA-256", "content": content}]
    assert own["licenses"] == [{"expression": "Apache-2.0"}] and "licenses" not in other
    assert {"umbau:replies from the process itself", "umbau:accepted edits with parts of it"} == {
        one["name"] for one in own["properties"]
    }
    (codemod,) = (one for one in found["components"] if one["bom-ref"].startswith("codemod:"))
    assert codemod["name"].endswith("ConvertTypeComments")


def test_commits_name_the_model(ran: Ran) -> None:
    """On real commits, as git reads them."""
    bare = ran.home / "forge" / "billing" / "repo.git"
    git = ["git", f"--git-dir={bare}", "log", "-1", "--format=%B", "umbau/plainly/b"]
    message = subprocess.run(git, capture_output=True, text=True, check=True).stdout
    parsed = subprocess.run(
        ["git", "interpret-trailers", "--parse"], input=message, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [line.partition(":")[0] for line in parsed] == ["Umbau-Job", "Umbau-Change", "Generated-by", "Assisted-by"]
    assert parsed[-1] == "Assisted-by: Umbau:scripted"
    (record,) = (
        one
        for one in ran.driver().forge.requests("umbau/plainly/", reading(ran).plan.repos)
        if one.branch.endswith("/b")
    )
    assert record.title
