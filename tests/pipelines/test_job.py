from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import pipelines
from pipelines.job import Job
from pipelines.jobfile import load

jsonschema = pytest.importorskip("jsonschema")  # which Ray brings
HOME = Path(pipelines.__file__).parent
SHIPPED = [HOME / "starter.yaml", *sorted((HOME / "jobs").glob("*.yaml"))]
GOOD: dict[str, Any] = {"name": "a", "repos": [{"git": "."}], "steps": [{"shell": "x"}]}


@pytest.fixture(scope="module")
def valid() -> Any:
    schema = Job.model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_jobs_are_good_and_the_schema_says_so(file: Path, valid: Any) -> None:
    assert load(file).steps
    assert valid(yaml.safe_load(file.read_text()))


@pytest.mark.parametrize(
    ("more", "good"),
    [
        ({}, True),
        ({"attempts": 3}, True),
        ({"atempts": 3}, False),
        ({"attempts": 0}, False),
        ({"attempts": "3"}, False),
        ({"merge_request": {"group": {"by": "file"}}}, True),
        ({"merge_request": {"group": {"by": "files"}}}, False),
        ({"merge_request": {"titel": "x"}}, False),
        ({"steps": []}, False),
        ({"steps": [{}]}, False),
        ({"steps": [{"shell": "x", "codemod": "a.B"}]}, False),
        ({"steps": [{"shell": {"run": "x", "timeout": 5}}]}, True),
        ({"steps": [{"shell": {"run": ""}}]}, False),
        ({"steps": [{"rewrite": {"prompt": "x", "examples": "mine", "model": "devstral"}}]}, True),
        ({"steps": [{"rewrite": {"prompt": "x", "examples": [{"before": "a", "after": "b"}]}}]}, True),
        ({"steps": [{"rewrite": {"prompt": "x", "examples": [{"before": "a"}]}}]}, False),
        ({"checks": ["inside", "parses", {"command": "ruff check"}]}, True),
        ({"checks": ["command"]}, False),
        ({"checks": ["honest", "api", {"api": {"allow": ["x"]}}, {"gone": ["x"]}, {"gone": {"pattern": "x"}}]}, True),
        (
            {"checks": [{"rule": "ruff:UP031"}, {"complaints": "mypy ."}, {"complaints": {"run": "x", "timeout": 5}}]},
            True,
        ),
        ({"checks": [{"rule": "flake8:E501"}]}, False),
        ({"checks": [{"gone": []}]}, False),
        ({"checks": [{"inside": {}, "parses": {}}]}, False),
        ({"checks": [{"tests": {"run": "x", "covered": 0.8, "characterise": {}}}]}, True),
        ({"checks": [{"tests": {"run": "x", "covered": 0.8, "characterise": "devstral"}}]}, True),
        ({"checks": [{"tests": {"run": "x", "covered": 0.8, "characterise": {"attempts": 0}}}]}, False),
        ({"environment": {"python": "3.12", "install": ["."]}}, True),
        ({"environment": {"python": "2.7"}}, False),
        ({"environment": None}, True),
    ],
)
def test_schema_and_job_agree(more: dict[str, Any], good: bool, valid: Any) -> None:
    assert valid({**GOOD, **more}) == good
    if good:
        assert Job.model_validate({**GOOD, **more})
    else:
        with pytest.raises(ValueError, match="1 validation error"):
            Job.model_validate({**GOOD, **more})


def test_what_is_left_out_has_its_default() -> None:
    job = Job.model_validate(GOOD)
    assert job.select.files == ["**/*.py"]
    assert [next(iter(check.model_fields_set)) for check in job.checks] == [
        "inside",
        "parses",
        "honest",
        "api",
        "idempotent",
    ]
    assert (job.attempts, job.merge_request.merge, job.merge_request.group.by) == (4, "never", "directory")


def test_a_job_is_not_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Job.model_validate(GOOD).name = "b"


def test_no_key_can_stand_in_a_job() -> None:
    step = {"rewrite": {"prompt": "x", "model": {"key_from": "sk-0123456789"}}}
    with pytest.raises(ValueError, match="key_from"):
        Job.model_validate({**GOOD, "steps": [step]})


@pytest.mark.parametrize("forge", [{}, {"forge": "github"}])
def test_only_the_jobs_own_forge_is_asked_for_repositories(forge: dict[str, str]) -> None:
    said = {**GOOD, "repos": [{"gitlab": {"group": "a"}}]}
    with pytest.raises(ValueError, match="`repos` asks gitlab for repositories: that needs `forge: gitlab`"):
        Job.model_validate({**said, **forge})
    assert Job.model_validate({**said, "forge": "gitlab"})
