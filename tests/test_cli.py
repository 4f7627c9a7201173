"""The command line as a person meets it: what is printed, where, and the exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import Checkout

JOB = """\
name: fstrings
description: Use f-strings.
repos: [{{git: {repo}}}]
select: {{contains: '\\.format\\('}}
steps: [{{codemod: convert_format_to_fstring.ConvertFormatStringCommand}}]
merge_request: {{group: {{by: file}}}}
"""


def umbau(*args: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", "from pipelines.cli import main; main()", *args]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300, cwd=cwd)


@pytest.fixture
def job(home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> Path:
    files = {"a.py": "x = '{}'.format(1)\n", "b.py": "print('{}'.format(1)\n", "c.py": "y = 1\n"}
    file = tmp_path / "job.yaml"
    file.write_text(JOB.format(repo=checkout(files).folder))
    return file


def test_help_is_quick() -> None:
    took = []
    for _ in range(3):
        start = time.perf_counter()
        assert "unknown" not in umbau("--help").stdout
        took.append(time.perf_counter() - start)
    heavy = ("ray", "libcst", "sqlalchemy", "pydantic", "httpx", "git", "jinja2", "rich")
    code = f"import sys, pipelines.cli; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]", f"imported at start-up, which took {min(took):.2f} s"


def test_init_writes_a_job_that_is_good_and_never_overwrites(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "mine.yaml"
    assert umbau("init", str(file)).returncode == 0
    assert umbau("validate", str(file)).returncode == 0
    file.write_text("name: mine\n")
    again = umbau("init", str(file))
    assert again.returncode == 2
    assert file.read_text() == "name: mine\n"
    assert umbau("init", str(tmp_path / "other.yaml"), "--from", "modernise-typing").returncode == 0


@pytest.mark.parametrize("name", ["format-to-fstring", "unittest-to-pytest", "modernise-typing"])
def test_shipped_jobs_are_good(name: str, home: Path) -> None:
    done = umbau("validate", name)
    assert done.returncode == 0, done.stderr


def test_validate_tells_how_the_model_is_to_answer_and_why(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "job.yaml"
    rewrite = "{prompt: p, examples: [{before: 'old(1)', after: 'new(1)'}]}"
    file.write_text(f"name: x\nrepos: [{{git: .}}]\nsteps: [{{rewrite: {rewrite}}}]\n")
    assert (
        "reply: whole (the examples change 1 of 1 lines, 100%; whole from 40%)" in umbau("validate", str(file)).stdout
    )
    told = json.loads(umbau("validate", str(file), "--json").stdout)
    assert (told["name"], told["reply"]["protocol"]) == ("x", "whole")
    assert json.loads(umbau("validate", "modernise-typing", "--json").stdout)["reply"] is None


def test_validate_says_when_edits_may_weaken_tests(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("name: x\nrepos: [{git: .}]\nsteps: [{shell: x}]\nchecks: [parses]\n")
    assert "1 checks, without `honest`: edits may weaken tests" in umbau("validate", str(file)).stdout
    assert "without" not in umbau("validate", "modernise-typing").stdout


def test_bad_job_is_told_by_line(tmp_path: Path, home: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("name: x\nrepos: [{git: .}]\nsteps:\n  - codmod: a.B\n")
    done = umbau("run", str(file))
    assert done.returncode == 64
    assert f"{file}:4:5: unknown key `codmod`; did you mean `codemod`?" in done.stderr
    assert "Traceback" not in done.stderr
    assert umbau("plan", "no-such-job").returncode == 64


@pytest.mark.parametrize(
    ("part", "place", "message"),
    [
        ("steps: [{codemod: a.B}]", "3:9", "no LibCST codemod is called a.B"),
        ("steps: [{shell: x}]\nchecks: [inside, {scope: {nodes: [Cal]}}]", "4:18", "no node Cal; did you mean Call?"),
        ("steps: [{shell: x}]\nfinal: [{use: no.Such}]", "4:9", "no.Such: ModuleNotFoundError"),
        ("steps: [{shell: x}]\nmerge_request: {title: '{{ nope }}'}", "4:16", "'nope' is undefined"),
    ],
)
def test_what_cannot_be_built_is_told_by_line(tmp_path: Path, home: Path, part: str, place: str, message: str) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(f"name: x\nrepos: [{{git: .}}]\n{part}\n")
    done = umbau("validate", str(file))
    assert done.returncode == 64
    assert f"{file}:{place}: " in done.stderr
    assert message in done.stderr


def test_a_damaged_store_is_told(tmp_path: Path, home: Path, job: Path) -> None:
    (home / "store.db").write_text("no database at all, but long enough to be looked at as one" * 20)
    done = umbau("status", str(job))
    assert done.returncode == 2
    assert f"the store {home}/store.db cannot be used: file is not a database" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_kept_is_its_owners_alone(job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new"
    monkeypatch.setenv("UMBAU_HOME", str(folder))
    assert umbau("plan", str(job)).returncode == 0
    assert (folder / "mirrors").is_dir()
    assert folder.stat().st_mode & 0o077 == 0


def test_schema_is_json(home: Path) -> None:
    schema = json.loads(umbau("schema").stdout)
    assert schema["additionalProperties"] is False
    assert {"name", "repos", "steps"} <= schema["properties"].keys()


def test_plan_try_run_status_show_retry(job: Path) -> None:
    plan = umbau("plan", str(job))
    assert plan.returncode == 0
    assert "2 shards" in plan.stdout

    tried = umbau("try", str(job), "a.py")
    assert tried.returncode == 0
    assert "+x = f'{1}'" in tried.stdout
    assert "passed   idempotent" in tried.stdout
    assert "select.contains" in umbau("try", str(job), "c.py").stderr

    assert "fstrings has not been run yet" in umbau("status", str(job)).stderr
    ran = umbau("run", str(job))
    assert ran.returncode == 0, ran.stderr
    assert "1 accepted, 1 skipped" in ran.stdout
    assert "skipped: syntax error on line 1" in ran.stdout

    status = json.loads(umbau("status", str(job), "--json").stdout)
    assert status["counts"] == {"accepted": 1, "skipped": 1}
    shown = umbau("show", "a.py")
    assert "accepted after 1 attempt" in shown.stdout
    assert [one["shard"]["paths"] for one in json.loads(umbau("show", "a.py", "--json").stdout)] == [["a.py"]]
    assert umbau("show", "nowhere.py").returncode == 2
    assert "0 shards" in umbau("retry", str(job)).stdout
    assert "no shard is called nowhere.py" in umbau("retry", str(job), "nowhere.py").stderr
    assert umbau("review", "billing/1").returncode == 64
    assert "billing/1, open: " in umbau("review", "billing/1", "--comment", "Why?").stdout
    assert "1 shard " in umbau("retry", str(job), "a.py").stdout
    assert "1 accepted, 1 skipped" in umbau("run", str(job)).stdout


def test_needs_a_model_is_a_rejection(home: Path, tmp_path: Path, checkout: Callable[..., Checkout]) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(
        f"name: m\nrepos: [{{git: {checkout({'a.py': 'x = 1', 'b.py': 'y = 1'}).folder}}}]\n"
        "select: {contains: x}\nsteps: [{rewrite: {prompt: Do it.}}]\n"
    )
    done = umbau("try", str(file), "a.py")
    assert done.returncode == 1
    assert "needs a model: set UMBAU_MODEL_URL" in done.stdout


def test_a_repository_in_trouble_does_not_stop_the_others(job: Path) -> None:
    job.write_text(job.read_text().replace("repos: [", "repos: [{git: ./missing}, "))
    ran = umbau("run", str(job))
    assert ran.returncode == 2
    assert "there is no folder" in ran.stdout
    assert "1 accepted" in ran.stdout


def test_one_run_at_a_time(job: Path, home: Path) -> None:
    from pipelines.store import opened

    with closing(opened(home)) as store, store.driving("fstrings"):
        done = umbau("run", str(job))
    assert done.returncode == 2
    assert "is being run by another process" in done.stderr
