"""What runs a guard: hooks and pipelines, by the schemas of those that read them and by the real pre-commit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.data import Repo
from pipelines.guard.detector import script, settings
from pipelines.guard.events import Awkward
from pipelines.guard.wiring import GITLAB, PRE_COMMIT, Wiring, job_of_gitlab, wired, workflow
from pipelines.job import Job
from tests.conftest import GIT, Checkout

BIN = Path(sys.executable).parent
JOB_FILE = ".gitlab/umbau-guard-j.yml"
WORKFLOW = ".github/workflows/umbau-guard-j.yml"


def job(**said: Any) -> Job:
    given = {"name": "j", "repos": [{"git": "."}], "steps": [{"shell": "true"}], "select": {"contains": "old"}}
    return Job.model_validate({**given, **said})


def wire(files: Mapping[str, str], wanted: Job, branch: str = "main") -> Wiring:
    repo = Repo("r", "", "", branch)
    return wired(wanted, repo, files.get, lambda folder: any(path.startswith(f"{folder}/") for path in files))


@pytest.mark.parametrize(
    ("forge", "there", "gets"),
    [
        ("local", {PRE_COMMIT: "repos: []\n"}, {PRE_COMMIT}),
        ("local", {GITLAB: "a: {script: b}\n"}, {GITLAB, JOB_FILE}),
        ("local", {".github/workflows/ci.yml": ""}, {WORKFLOW}),
        ("local", {PRE_COMMIT: "repos: []\n", GITLAB: "a: {script: b}\n"}, {PRE_COMMIT, GITLAB, JOB_FILE}),
        ("gitlab", {}, {GITLAB, JOB_FILE}),
        ("gitlab", {".github/workflows/ci.yml": "", PRE_COMMIT: "repos: []\n"}, {GITLAB, JOB_FILE, PRE_COMMIT}),
        ("github", {GITLAB: "a: {script: b}\n"}, {WORKFLOW}),
    ],
)
def test_who_runs_it(forge: str, there: dict[str, str], gets: set[str]) -> None:
    assert set(wire(there, job(forge=forge)).files) == gets
    after = {**there, **wire(there, job(forge=forge)).files}
    assert wire(after, job(forge=forge)).files == {}, "it is there already"


def test_a_hook_for_who_has_none_when_the_job_says_so() -> None:
    found = wire({}, job(forge="github", guard={"pre_commit": True}))
    assert set(found.files) == {PRE_COMMIT, WORKFLOW}
    assert yaml.safe_load(found.files[PRE_COMMIT])["repos"][0]["hooks"][0]["entry"] == "python3 .umbau-guard/j/check"


def test_what_cannot_be_added_is_told_and_the_rest_is_done() -> None:
    found = wire({PRE_COMMIT: "repos: [a, ]\n"}, job(forge="github"))
    assert set(found.files) == {WORKFLOW} and "add {'id': 'umbau-guard-j'" in found.notes[0]
    with pytest.raises(Awkward, match=r"left as it is, because it has several documents: include \.gitlab/umbau"):
        wire({GITLAB: "spec: {}\n---\na: 1\n"}, job(forge="gitlab"))


def test_a_project_without_pipelines_is_told_that_they_begin() -> None:
    assert "Auto DevOps" in wire({}, job(forge="gitlab")).notes[0]


@pytest.mark.parametrize(
    ("text", "stage", "by_request"),
    [
        ("", "test", False),
        ("a: {script: b}\n", "test", False),
        ("stages: [build, test]\n", "test", False),
        ("stages: [build, deploy]\n", "build", False),
        ("stages: !reference [x, y]\n", ".pre", False),
        ("include: all.yml\n", ".pre", False),
        ("include: all.yml\nstages: [a]\n", "a", False),
        ("workflow: {rules: [{if: '$CI_PIPELINE_SOURCE == \"merge_request_event\"'}]}\n", "test", True),
        ("include: [{template: Workflows/MergeRequest-Pipelines.gitlab-ci.yml}]\n", ".pre", True),
    ],
)
def test_a_job_that_fits_into_the_pipelines_that_there_are(text: str, stage: str, by_request: bool) -> None:
    made: Any = job_of_gitlab(job(), text)["umbau-guard-j"]
    assert (made["stage"], "rules" in made) == (stage, by_request)


def test_gitlab_s_schema_holds(tmp_path: Path) -> None:
    files: list[Path] = []
    for guard in ({}, {"tags": ["docker", "a: b"], "image": "r.example.eu:5000/p@sha256:0"}):
        for text in ("", "stages: ['a: b', \"#c\"]\n", "x: {script: y, rules: [{if: $CI_MERGE_REQUEST_IID}]}\n"):
            found = wire({GITLAB: text} if text else {}, job(forge="gitlab", guard=guard))
            files += [tmp_path / f"{len(files)}.yml", tmp_path / f"{len(files) + 1}.yml"]
            files[-2].write_text(found.files[GITLAB])
            files[-1].write_text(found.files[JOB_FILE])
    assert schema("gitlab-ci", *files) == 0
    files[-1].write_text(files[-1].read_text().replace("needs: []", "needs: 1"))
    assert schema("gitlab-ci", files[-1]) == 1


BRANCHES = ["main", "release/1.0", "a'b\"c", "a+b!]", "${{ github.token }}", "#x: y", "ä"]


def test_github_s_schema_holds(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.yml" for number, _ in enumerate(BRANCHES)]
    for file, branch in zip(files, BRANCHES, strict=True):
        file.write_text(workflow(job(), branch))
    assert schema("github-workflows", *files) == 0
    files[0].write_text(files[0].read_text().replace("runs-on", "runs_on"))
    assert schema("github-workflows", files[0]) == 1


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_workflow_that_can_only_read(branch: str) -> None:
    made = yaml.load(workflow(job(), branch), Loader=yaml.BaseLoader)
    guard = made["jobs"]["guard"]
    assert made["permissions"] == {"contents": "read"} and guard.keys().isdisjoint({"permissions", "env"})
    assert [one.replace("\\", "") for one in made["on"]["push"]["branches"]] == [branch]
    uses = [step["uses"] for step in guard["steps"] if "uses" in step]
    assert all(len(one.partition("@")[2]) == 40 for one in uses), "pinned to a commit"
    assert [step["run"] for step in guard["steps"] if "run" in step] == ["python3 .umbau-guard/j/check"]


def schema(kind: str, *files: Path) -> int:
    argv = [str(BIN / "check-jsonschema"), "--builtin-schema", f"vendor.{kind}", *map(str, files)]
    return subprocess.run(argv, capture_output=True, check=False).returncode


CONFIG = (
    "# ours\nrepos:\n  - repo: local\n    hooks:\n      - {id: mine, name: y, entry: 'true', language: system}  # y\n"
)


@pytest.mark.skipif(not (BIN / "pre-commit").exists(), reason="pre-commit is not there")
@pytest.mark.parametrize("config", [CONFIG, ""])
def test_the_real_pre_commit_runs_it(config: str, checkout: Callable[..., Checkout], tmp_path: Path) -> None:
    made = checkout({"a.py": "new()\n", "kept.py": "old()\n", "b.txt": "old()\n"})
    wanted = job(guard={"pre_commit": True}, description="Write new().")
    found = wire({PRE_COMMIT: config} if config else {}, job(guard={"pre_commit": True}))
    own = {".umbau-guard/j/check": script(settings(wanted, "")), ".umbau-guard/j/allowed.json": '{"kept.py": 1}\n'}
    made.commit({**found.files, **own})

    def run(*args: str) -> tuple[int, str]:
        env = {**os.environ, **GIT, "PRE_COMMIT_HOME": str(tmp_path / "cache"), "PATH": f"{BIN}:{os.environ['PATH']}"}
        env["PIP_NO_INDEX"] = "1"
        argv = [str(BIN / "pre-commit"), "run", "--color=never", *args]
        done = subprocess.run(argv, cwd=made.folder, env=env, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    code, said = run("--all-files")
    assert (code, "Passed" in said) == (0, True), said
    (made.folder / "a.py").write_text("new()\nold()\n")
    made.git("add", "a.py")
    code, said = run()
    assert (code, "a.py:2: old code" in said, "Write new()." in said, "kept.py" in said) == (1, True, True, False), said
    (made.folder / "a.py").write_text("new()\nold()  # umbau: allow j\n")
    made.git("add", "a.py")
    assert run()[0] == 0
    made.commit({"kept.py": "old()\nold()\n"})
    assert run("--all-files")[0] == 1
