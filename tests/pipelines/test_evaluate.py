"""`umbau eval` on a case of our own: a real repository, a real environment, real test runs; the model's words alone are
given. The cases of the benchmark need repositories from elsewhere: `python -m tests.models`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.cases import read
from pipelines.evaluate import NotRun, Ready, held_against, ready
from pipelines.recipe import recipe
from pipelines.session import job_of
from tests.endpoint import Endpoint, Says
from tests.models.__main__ import answered
from tests.models.adversary import CHEATS
from tests.models.known import Answers, Known, oracle
from tests.models.miniature import CODE, PYTEST, RIGHT, Miniature, offline, patch
from tests.test_cli import umbau

JOB = Path(__file__).parents[1] / "models" / "migration.yaml"


@pytest.fixture
def mini(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Miniature:
    offline(tmp_path, monkeypatch)
    return Miniature(tmp_path)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Ready:
    folder = tmp_path_factory.mktemp("mini")
    with pytest.MonkeyPatch.context() as patched:
        offline(folder, patched)
        return made(Miniature(folder), folder)


def made(mini: Miniature, folder: Path, job: Path = JOB, **other: Any) -> Ready:
    spec, file = job_of(str(job), None)
    (case,) = read(mini.rows(other))
    return ready(case, recipe(spec, file), "", mini.repos, folder / "home")


def test_the_oracle_is_accepted(one: Ready) -> None:
    outcome = answered(one, Answers("oracle", oracle, Known.of(one)))
    assert outcome.status == "accepted"
    assert outcome.edit and outcome.edit.files == {"welcome.py": RIGHT}
    assert not held_against(one, outcome.edit)


@pytest.mark.parametrize("name", CHEATS)
def test_no_cheat_is_accepted(name: str, one: Ready) -> None:
    assert answered(one, Answers(name, CHEATS[name], Known.of(one))).status != "accepted"


def test_the_model_is_told_what_moved_and_which_tests_fail(mini: Miniature, home: Path, endpoint: Endpoint) -> None:
    endpoint.say("NO CHANGE NEEDED")
    done = asked(mini, endpoint)
    system, user = (message["content"] for message in endpoint.requests[0]["messages"])
    assert "hello has moved from 1.0 to 2.0." in system
    assert "2 newly failing: tests.test_welcome.TestWelcome.test_each" in user
    assert "missing 1 required positional argument" in user
    assert "test_welcome" not in system, "what tests say gives no orders"
    assert done["outcome"]["verdicts"][0]["edit"]["said"] == "NO CHANGE NEEDED"


def asked(mini: Miniature, endpoint: Endpoint, *args: str, job: Path = JOB) -> Any:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("UMBAU_MODEL_URL", endpoint.url)
        patched.setenv("UMBAU_MODEL", "scripted")
        done = umbau("eval", str(job), str(mini.file), "--repos", str(mini.repos), "--json", *args)
    (score,) = json.loads(done.stdout)
    return score | {"code": done.returncode}


def test_eval_prints_what_it_counts(
    mini: Miniature, home: Path, endpoint: Endpoint, one: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UMBAU_MODEL_URL", endpoint.url)
    monkeypatch.setenv("UMBAU_MODEL", "scripted")
    endpoint.say(oracle(Known.of(one)))
    file = mini.rows({}, {"repo_name": "ada/gone"})
    done = umbau("eval", str(JOB), str(file), "--repos", str(mini.repos))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("ada/welcome  accepted   1 attempt, ")
    assert lines[1].startswith("ada/gone     not run    there is no folder ")
    assert [line.split("  ")[0] for line in lines[3:]] == [
        *("cases", "accepted", "wrongly accepted", "wrongly rejected", "attempts", "tokens", "seconds")
    ]
    assert lines[3].endswith("1 run, 1 not run")
    assert [line.split()[-1] for line in lines[4:8]] == ["1", "0", "0", "1"]


def job(tmp_path: Path, checks: str) -> Path:
    file = tmp_path / "job.yaml"
    file.write_text(
        f"name: lax\nrepos: [{{git: .}}]\nsteps: [{{rewrite: {{prompt: Mend it.}}}}]\nattempts: 1\nchecks: {checks}\n"
    )
    return file


def test_an_edit_that_only_the_job_finds_no_fault_with_is_wrongly_accepted(
    mini: Miniature, tmp_path: Path, endpoint: Endpoint, one: Ready
) -> None:
    endpoint.say(CHEATS["comment"](Known.of(one)))
    found = asked(mini, endpoint, job=job(tmp_path, "[parses]"))
    assert found["outcome"]["verdicts"][0]["findings"] == []
    assert "2 newly failing" in found["wrongly_accepted"]
    assert found["code"] == 1


def test_checks_that_refuse_the_gold_edit_are_wrong(
    mini: Miniature, tmp_path: Path, endpoint: Endpoint, one: Ready
) -> None:
    endpoint.say("NO CHANGE NEEDED")
    found = asked(mini, endpoint, job=job(tmp_path, "[parses, keeps]"))
    assert found["wrongly_rejected"].startswith("keeps: Not as before: ")
    assert found["code"] == 1


def test_a_report_that_is_forged_does_not_help_outside(one: Ready) -> None:
    outcome = answered(one, Answers("forger", CHEATS["report written"], Known.of(one)))
    edit = outcome.verdicts[-1].edit
    (found,) = held_against(one, edit)
    assert found.judge == "command"


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"gold_patch": patch("welcome.py", CODE, CODE + "\n\n# the end\n")}, "with the gold edit 1 test of 3 pass"),
        ({"test_count": 4}, "with the gold edit 3 tests of 4 pass"),
        ({"dependency_versions": "hello==1.0"}, "with the gold edit 1 test of 3 pass"),
        ({"dependency_versions": "hello==3.0"}, "`uv pip install` ended with exit code 1"),
        ({"test_patch": "nothing"}, "`test_patch` does not apply"),
        ({"test_files": "tests/test_none.py"}, "the tests do not run with the gold edit"),
        ({"migration_target_version": "3.1"}, "`uv venv` ended with exit code 2"),
    ],
)
def test_why_a_case_is_not_run(other: dict[str, Any], why: str, mini: Miniature, tmp_path: Path) -> None:
    with pytest.raises(NotRun) as error:
        made(mini, tmp_path, **other)
    assert str(error.value).startswith(why)


def test_a_case_that_is_green_before_is_not_run(mini: Miniature, tmp_path: Path) -> None:
    mended = patch("welcome.py", CODE, RIGHT)
    gold = patch("welcome.py", RIGHT, RIGHT + "\n\n# the end\n")
    with pytest.raises(NotRun, match="no test fails without the gold edit"):
        made(mini, tmp_path, test_patch=mended, gold_patch=gold)


def test_that_no_case_can_be_run_is_no_success(mini: Miniature, tmp_path: Path) -> None:
    done = umbau("eval", str(JOB), str(mini.file), "--repos", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "0 run, 1 not run" in done.stdout


def test_bad_rows_and_names_end_with_a_message(mini: Miniature) -> None:
    mini.file.write_text("{}")
    done = umbau("eval", str(JOB), str(mini.file))
    assert (done.returncode, done.stdout) == (64, "")
    assert f"{mini.file}:1: `gold_patch` is missing" in done.stderr
    mini.rows()
    done = umbau("eval", str(JOB), str(mini.file), "--case", "ada/none")
    assert done.returncode == 2
    assert "no case is called ada/none" in done.stderr


def test_a_model_that_is_gone_ends_it(mini: Miniature, home: Path, endpoint: Endpoint) -> None:
    endpoint.say(Says(status=401))
    mini.rows({}, {})
    found = asked(mini, endpoint)
    assert "answered 401" in found["outcome"]["error"]
    assert found["outcome"]["away"]
    assert found["code"] == 2


@pytest.mark.slow
def test_pytest_rows_are_judged_by_pytest(tmp_path: Path, home: Path) -> None:
    """With pytest itself from the package index, beside a package that comes with the row's repository."""
    before, after = "def join(a, b):\n    return a.removesuffix(b)\n", "def join(a, b):\n    return a + b\n"
    mini = Miniature(tmp_path)
    mini.commit = mini.checkout.commit({"joined.py": before, "tests/test_joined.py": PYTESTS, "setup.cfg": "x\n"})
    found = made(
        mini,
        tmp_path,
        patch="",
        gold_patch=patch("joined.py", before, after),
        dependency_versions="\n".join(PYTEST),
        test_type="pytest",
        test_files="tests/test_joined.py",
        test_count=3,
    )
    assert answered(found, Answers("oracle", oracle, Known.of(found))).status == "accepted"
    for name in CHEATS:
        assert answered(found, Answers(name, CHEATS[name], Known.of(found))).status != "accepted", name


PYTESTS = """\
import pytest
from joined import join


@pytest.mark.parametrize("letter", ["a", "b"])
def test_join(letter):
    assert join("x", letter) == "x" + letter


def test_nothing():
    assert join("x", "") == "x"
"""
