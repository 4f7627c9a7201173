"""A pilot as a person meets it: what is printed, and the exit codes. Without Ray: shards are done in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines import cli
from pipelines.lanes import InProcess
from pipelines.pilot import commands
from tests.conftest import Checkout

JOB = """\
name: count
repos: [{{git: {repo}}}]
select: {{contains: '= 1$'}}
steps: [{{shell: "sed -i 's/= 1$/= 2/' {{paths}}"}}]
checks: [inside, {{gone: ['b']}}]
sandbox: none
pilot: {{shards: 4, min_accept: {bound}}}
"""


@pytest.fixture
def job(
    home: Path, tmp_path: Path, checkout: Callable[..., Checkout], monkeypatch: pytest.MonkeyPatch
) -> Callable[[float], str]:
    made = checkout({"a1.py": "a = 1\n", "a2.py": "a = 1\n", "a3.py": "a = 1\n", "b.py": "b = 1\n"})
    for module in (cli, commands):
        monkeypatch.setattr(module, "lanes_at", lambda address: InProcess())

    def write(bound: float) -> str:
        file = tmp_path / "job.yaml"
        file.write_text(JOB.format(repo=made.folder, bound=bound))
        return str(file)

    return write


def umbau(*args: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(cli.app, args)
    return done.exit_code, done.stdout, done.stderr


def test_a_missed_bound_ends_the_run_with_2_and_says_what_to_do(job: Callable[[float], str], home: Path) -> None:
    code, _, said = umbau("run", job(0.9))
    assert code == 2
    assert "The pilot missed its bound: 75 % accepted or unchanged, and `min_accept` is 90 %." in said
    assert "3 of 4 shards" in said and "such as b.py" in said and "lower `min_accept`" in said
    assert not [*home.glob("forge/*/*.html")], "no merge request was opened"
    code, told, _ = umbau("pilot", job(0.9))
    assert code == 2 and "bound    90 %: missed" in told
    code, told, _ = umbau("run", job(0.7))
    assert code == 1 and "3 accepted, 1 rejected" in told


def test_a_pilot_is_told_as_text_and_as_json(job: Callable[[float], str]) -> None:
    code, told, _ = umbau("pilot", job(0.0), "--shards", "3")
    assert code in {0, 1} and told.startswith("pilot    3 of 4 shards, from ")
    assert "time of a run" in told and "tokens" not in told, "no model is asked"
    found = json.loads(umbau("pilot", job(0.0), "--shards", "3", "--json")[1])
    assert (found["sampled"], found["shards"], found["passed"]) == (3, 4, True)
    assert found["forecast"]["accepted"].keys() == {"low", "middle", "high"}


def test_there_is_nothing_to_sample(job: Callable[[float], str]) -> None:
    file = Path(job(0.5))
    file.write_text(file.read_text().replace("= 1$'", "nowhere'"))
    assert umbau("pilot", str(file))[:2] == (0, "there are no shards: umbau plan\n")
    assert json.loads(umbau("pilot", str(file), "--json")[1]) == {"shards": 0, "trouble": {}}
