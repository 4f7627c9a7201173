from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from operators.proc import GitError
from operators.veil import Slow
from pipelines import session
from pipelines.data import Task
from pipelines.driver import Driver
from pipelines.errors import Refused
from pipelines.jobfile import BadJob, Problem
from pipelines.lanes import InProcess
from pipelines.session import driving, fail, folder_of, job_of, out, shipped, standing_of, stoppable, told
from pipelines.store import Busy
from tests.conftest import Checkout

JOB = """\
name: count
repos: [{git: billing}]
select: {contains: '= 1'}
steps: [{shell: "sed -i 's/= 1/= 2/' {paths}"}]
checks: [inside]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which commands are given."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def job(here: Path) -> Path:
    file = here / "job.yaml"
    file.write_text(JOB)
    return file


def ended(code: int, call: Callable[..., Any], *args: Any) -> None:
    with pytest.raises(typer.Exit) as exit_:
        call(*args)
    assert exit_.value.exit_code == code


def test_home_is_below_the_folder_one_is_in_and_keeps_itself_out_of_git(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UMBAU_HOME", raising=False)
    assert session.home() == here / ".umbau"
    assert (here / ".umbau" / ".gitignore").read_text() == "*\n"


def test_home_may_be_elsewhere(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMBAU_HOME", "../deep/home")
    assert session.home() == tmp_path / "deep" / "home"
    (tmp_path / "deep" / "home" / ".gitignore").write_text("mine\n")
    assert session.home() == tmp_path / "deep" / "home"
    assert (tmp_path / "deep" / "home" / ".gitignore").read_text() == "mine\n", "it is written once"


def test_home_of_a_submitted_job_is_not_in_the_folder_that_ray_throws_away(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UMBAU_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "operator"))
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    assert session.home() == tmp_path / "operator" / ".umbau"


def test_a_home_that_cannot_be_made_is_told(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "file").touch()
    monkeypatch.setenv("UMBAU_HOME", "file/home")
    ended(2, session.home)
    assert capsys.readouterr().err == f"{here}/file/home cannot be made: Not a directory. Set UMBAU_HOME to another.\n"


def test_jobs_that_come_with_umbau_are_known_by_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert job_of("format-to-fstring", None)[0].name == "format-to-fstring"
    ended(64, shipped, "format-to-fstrings")
    assert capsys.readouterr().err == (
        "there is no job format-to-fstrings: it is neither a file nor one of "
        "format-to-fstring, modernise-typing, plain-asserts, unittest-to-pytest\n"
    )


@pytest.mark.parametrize("name", ["job.yaml", "./job.yaml", "job", "format-to-fstring", "jobs/deep.yml"])
def test_a_file_goes_before_a_name(here: Path, name: str) -> None:
    (here / name).parent.mkdir(exist_ok=True)
    (here / name).write_text(JOB)
    spec, file = job_of(name, None)
    assert (spec.name, file) == ("count", Path(name))


def test_a_folder_is_no_job(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "format-to-fstring").mkdir()
    assert job_of("format-to-fstring", None)[0].name == "format-to-fstring"
    (here / "tests").mkdir()
    ended(64, job_of, "tests", None)
    assert "there is no job tests" in capsys.readouterr().err


def test_a_job_file_that_is_not_there_or_not_good_is_told(here: Path, job: Path) -> None:
    with pytest.raises(BadJob, match=r"^missing\.yaml: cannot be read: No such file or directory$"):
        job_of("missing.yaml", None)
    job.write_text(JOB.replace("steps", "stops"))
    with pytest.raises(BadJob, match=r"job\.yaml:4:1: unknown key `stops`"):
        job_of("job.yaml", None)


def test_other_repositories_may_be_named(job: Path) -> None:
    spec, _ = job_of("job.yaml", ["../web", "https://git.example.eu/shop.git", "python-slugify==9.2.0"])
    assert [(one.git, one.pypi) for one in spec.repos] == [
        ("../web", ""),
        ("https://git.example.eu/shop.git", ""),
        ("", "python-slugify==9.2.0"),
    ]
    assert job_of("job.yaml", [])[0].repos[0].git == "billing"


@pytest.mark.parametrize(
    ("repo", "why"),
    [
        ("", "one key is needed here, of git, pypi, gitlab, github, list"),
        ("slugify==", "a name and an exact version are needed, such as `python-slugify==9.2.0`"),
    ],
)
def test_what_is_no_repository_is_told(job: Path, repo: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    ended(64, job_of, "job.yaml", ["../web", repo])
    assert capsys.readouterr().err == f"--repo {repo!r}: {why}\n"


def test_paths_are_relative_to_where_they_are_written(job: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "deep").mkdir()
    monkeypatch.chdir(here / "deep")
    assert folder_of(Path("../job.yaml"), None) == here
    assert folder_of(Path("../job.yaml"), ["../web"]) == here / "deep"


FAULTS: list[tuple[BaseException, int, str]] = [
    (KeyboardInterrupt(), 130, ""),
    (Refused("count has not been planned yet"), 2, "count has not been planned yet\n"),
    (Busy("count is being run"), 2, "count is being run\n"),
    (BadJob("job.yaml", [Problem("is empty")]), 64, "job.yaml: is empty\n"),
    (GitError("remote:\tno\n\x1b]0;such\x07"), 2, "remote:\tno\n]0;such\n"),
    (Slow("mask.mail takes too long"), 2, "mask.mail takes too long\n"),
    (typer.Exit(1), 1, ""),
]


@pytest.mark.parametrize(("fault", "code", "said"), FAULTS, ids=lambda given: type(given).__name__)
def test_what_is_wrong_is_a_message_and_an_exit_code(
    fault: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as exit_, told():
        raise fault
    assert exit_.value.exit_code == code
    assert capsys.readouterr() == ("", said)


def test_a_fault_of_umbau_itself_stays_what_it_is() -> None:
    with pytest.raises(ZeroDivisionError), told():
        _ = 1 / 0


def test_without_a_fault_nothing_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with told():
        print("fine")
    assert capsys.readouterr() == ("fine\n", "")
    ended(2, fail, "no")
    ended(3, fail, "no", 3)


@pytest.mark.parametrize(
    ("value", "as_json", "printed"),
    [
        ("done", False, "done\n"),
        (["a", "b"], False, "a\nb\n"),
        ([], False, ""),
        ({"file": "ü"}, True, '{\n  "file": "ü"\n}\n'),
        (["\x1b]52;c;cm0gLXJm\x07a\tb\nc \u202ed"], False, "]52;c;cm0gLXJma\tb\nc d\n"),
    ],
)
def test_text_lines_and_json_are_printed(
    value: Any, as_json: bool, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out(value, as_json)
    assert capsys.readouterr() == (printed, "")


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        ("gitlab", "GITLAB_TOKEN is not set: it holds the token of the job's forge."),
        ("{github: {token_from: OURS}}", "OURS is not set: it holds the token of the job's forge."),
        ("{gitlab: http://git.example.eu}", "http://git.example.eu: a token goes over https alone"),
        ("{github: {app: {id: 1, installation: 2}}}", "GITHUB_APP_KEY is not set: it holds the private key"),
    ],
)
def test_what_a_forge_needs_is_said_before_anything_is_done(
    forge: str,
    said: str,
    job: Path,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    allow: Callable[..., None],
) -> None:
    allow(forges=["gitlab.com", "github.com", "api.github.com", "git.example.eu"])
    for name in ("GITLAB_TOKEN", "GITHUB_APP_KEY"):
        monkeypatch.delenv(name, raising=False)
    job.write_text(f"{JOB}forge: {forge}\n")

    def drive() -> None:
        with told(), driving("job.yaml", None, quiet=True):
            pass

    ended(64, drive)
    assert capsys.readouterr().err.startswith(said)
    assert not (home / "store.db").exists()


@pytest.fixture
def driver(job: Path, home: Path, checkout: Callable[..., Checkout]) -> Iterator[Driver]:
    checkout({"a.py": "a = 1\n", "b.py": "b = 1\n"}, "here/billing")
    with driving("job.yaml", None, quiet=True) as found:
        yield found


def test_a_driver_keeps_everything_at_home(driver: Driver, home: Path, here: Path) -> None:
    assert (driver.home, driver.folder, driver.job.name) == (home, here, "count")
    plan = driver.plan()
    driver.adopt(plan)
    assert [one.shard.name for one in plan.planned] == ["a.py", "b.py"]
    with driving("job.yaml", None, quiet=True) as again:
        assert again.latest() == plan
    assert {path.name for path in home.iterdir()} >= {"store.db", "mirrors"}


def test_a_job_that_cannot_be_driven_leaves_no_store_behind(job: Path, home: Path) -> None:
    job.write_text(JOB.replace('{shell: "', '{codemod: "no.such.Codemod').replace(""" 's/= 1/= 2/' {paths}""", ""))
    with pytest.raises(BadJob), driving("job.yaml", None, quiet=True):
        pass
    assert not (home / "store.db").exists()


def test_stopped_it_says_how_far_it_is(driver: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    plan = driver.plan()
    driver.adopt(plan)

    def stop() -> None:
        with stoppable(driver):
            for done in InProcess().run(driver._kit(plan, InProcess(), []), [Task(next(iter(plan.planned)).shard)]):
                driver.store.save([(outcome, 0) for _, outcome in done])
            raise KeyboardInterrupt

    ended(130, stop)
    said = capsys.readouterr().err
    assert said == "\nStopped: 1 of 2 shards are done and kept. The same command goes on here.\n"


@pytest.mark.parametrize("command", ["run", "pilot"])
def test_stopped_before_there_is_a_plan(job: Path, here: Path, command: str) -> None:
    job.write_text(JOB.replace("{git: billing}", "{list: repos}"))
    argv = [sys.executable, "-c", "from pipelines.cli import main; main()", command, str(job)]
    os.mkfifo(here / "repos")
    process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    recipe = _read(here / "repos", process)
    (here / "repos").unlink()
    os.mkfifo(here / "repos")
    os.close(recipe)
    plan = _read(here / "repos", process)
    process.terminate()
    _, said = process.communicate(timeout=60)
    os.close(plan)
    assert process.returncode == 130
    assert said == "\nStopped: no shard was begun yet. The same command goes on here.\n"


def _read(fifo: Path, process: subprocess.Popen[str]) -> int:
    """Wait until a process reads from a pipe, and return the end that it waits for."""
    while process.poll() is None:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            time.sleep(0.05)
    raise AssertionError(process.communicate()[1])


@pytest.mark.parametrize(
    ("text", "code", "counts"),
    [
        (JOB, 0, {"accepted": 2}),
        (JOB.replace("[inside]", '[inside, {command: "! grep b {paths}"}]'), 1, {"accepted": 1, "rejected": 1}),
        (JOB.replace("sed -i", "./b{paths}"), 2, {"failed": 2}),
    ],
    ids=["fine", "rejected", "failed"],
)
@pytest.mark.usefixtures("driver")
def test_at_its_end_a_command_says_where_the_job_stands(
    job: Path, capsys: pytest.CaptureFixture[str], text: str, code: int, counts: dict[str, int]
) -> None:
    job.write_text(text)
    with driving("job.yaml", None, quiet=True) as driver:
        plan = driver.plan()
        driver.adopt(plan)
        driver.run(plan, InProcess())
        gathered, tended = driver.tend(plan, InProcess())
        ended(code, standing_of, driver, plan, gathered, tended, False)
        said = ", ".join(f"{count} {status}" for status, count in counts.items())
        assert capsys.readouterr().out.startswith(f"shards   {said}\n")
        ended(code, standing_of, driver, plan, gathered, tended, True)
        assert json.loads(capsys.readouterr().out)["counts"] == counts
