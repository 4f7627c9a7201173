"""What the README promises, on a machine that has none of it: a fresh clone, a fresh environment, public packages."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("UMBAU_", "VIRTUAL_ENV", "PYTHON"))}

pytestmark = pytest.mark.slow
REJECTED = 1


def command(name: str) -> str:
    """Return the shell command below the mark `<!-- name -->`."""
    found = re.search(rf"<!-- {name} -->\n```sh\n(.*?)```", README, re.S)
    assert found
    return found[1]


def sh(script: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=cwd, env=ENV, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone in which the first command has been run."""
    folder = tmp_path_factory.mktemp("new") / "umbau"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    done = sh(command("try"), folder)
    assert done.returncode == REJECTED, done.stdout + done.stderr
    found = re.search(r"^shards +(\d+) accepted, (\d+) rejected$", done.stdout, re.M)
    assert found, done.stdout
    accepted, rejected = map(int, found.groups())
    assert accepted + rejected == 101
    assert accepted >= 90, done.stdout  # what is drawn at later attempts is drawn anew each time
    yield folder


def requests(clone: Path, repo: str) -> list[dict[str, str]]:
    return [json.loads(file.read_text()) for file in sorted((clone / ".umbau" / "forge" / repo).glob("*.json"))]


def test_the_branches_of_the_first_command_pass_the_packages_own_tests(clone: Path, tmp_path: Path) -> None:
    opened = requests(clone, "python-slugify")
    assert {request["state"] for request in opened} == {"open"}
    (python,) = (clone / ".umbau" / "environments").glob("*/bin/python")
    for number, request in enumerate(opened):
        branch, tree = request["branch"], tmp_path / str(number)
        forge = clone / ".umbau" / "forge" / "python-slugify" / "repo.git"
        subprocess.run(["git", "clone", "--quiet", "--branch", branch, str(forge), str(tree)], check=True)
        text = (tree / request["title"].rpartition(" ")[2]).read_text()
        assert len(re.findall(r"^ +assert ", text, re.M)) > 3 * text.count("self.assertEqual")
        tested = sh(f"PYTHONPATH={tree} {python} -m pytest -q -p no:cacheprovider", tree)
        assert tested.returncode == 0, tested.stdout
        assert " passed" in tested.stdout


def test_reviewing_as_the_readme_says(clone: Path) -> None:
    done = sh(command("review"), clone)
    assert done.returncode == REJECTED, done.stdout + done.stderr
    assert "merged: approved (1)" in done.stdout
    assert [request["state"] for request in requests(clone, "python-slugify")].count("merged") == 1


@pytest.mark.parametrize(
    ("job", "repo"),
    [("unittest-to-pytest", "python-slugify"), ("format-to-fstring", "django"), ("modernise-typing", "tenacity")],
)
def test_the_other_jobs_that_come_with_umbau(job: str, repo: str, clone: Path) -> None:
    file = clone / "pipelines" / "jobs" / f"{job}.yaml"
    done = sh(f".venv/bin/umbau run {file}", clone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert requests(clone, repo)
    again = sh(f".venv/bin/umbau run {file}", clone)
    assert "push" not in again.stdout
