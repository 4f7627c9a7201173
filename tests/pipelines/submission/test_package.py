"""What travels with a job, what does not, and what starts its driver."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from operators import outward
from operators.hosts import pattern
from operators.outward import Allowed, Policy
from pipelines.errors import Refused
from pipelines.jobfile import load
from pipelines.submission.client import AGENTLESS, Cluster
from pipelines.submission.package import DRIVER, MOST, SITE, Package, packed

JOB = """\
name: greet
repos: [{git: "https://git.example.eu/a/b.git"}, {list: lists/repos.txt}]
steps:
  - codemod: mine.kit.Mod
  - rewrite: {prompt: x, examples: shown}
checks: [parses, {use: {path: judge.Mine}}]
final: [{use: {path: last.Mine}}]
"""
FILES = {
    "job.yaml": JOB,
    "lists/repos.txt": "https://git.example.eu/c/d.git  # one\ngit@git.example.eu:e/f.git\n",
    "mine/__init__.py": "",
    "mine/kit.py": "import json, pipelines\nfrom mine.deep import x\nfrom . import beside\n",
    "mine/deep.py": "x = 1\n",
    "mine/beside.py": "",
    "mine/unused.py": "",
    "shown.py": "EXAMPLES = []\n",
    "judge.py": "",
    "last.py": "",
    "json.py": "what nobody imports\n",
    "pipelines.py": "likewise\n",
    "secret.env": "TOKEN=x\n",
    ".git/config": "",
}
TRAVELS = {
    *("job.yaml", "lists/repos.txt", "mine/__init__.py", "mine/kit.py", "mine/deep.py", "mine/beside.py"),
    *("shown.py", "judge.py", "last.py"),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path, FILES)
    monkeypatch.chdir(tmp_path)  # where there is no umbau.yaml
    may = Allowed("forges", pattern("git.example.eu"), "umbau.yaml:1")
    monkeypatch.setattr(outward, "_policy", Policy((may,)))
    return tmp_path


def write(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def package(folder: Path) -> Package:
    return packed(load(folder / "job.yaml"), folder / "job.yaml")


def test_what_the_job_refers_to_travels_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    found = package(folder)
    assert set(found.files) == TRAVELS
    there = tmp_path / "there"
    there.mkdir()
    found.write(there)
    assert {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()} == {*TRAVELS, DRIVER}
    assert (there / "mine/kit.py").read_text() == FILES["mine/kit.py"]


def test_the_sites_file_travels_as_well(folder: Path) -> None:
    first = package(folder).revision("1")
    write(folder, {"umbau.yaml": "hosts: {forges: [git.example.eu]}\n"})
    assert package(folder).files[SITE] == b"hosts: {forges: [git.example.eu]}\n"
    assert package(folder).revision("1") != first


@pytest.mark.parametrize(("here", "used"), [("", "{there}/.umbau/site.yaml"), ("/etc/umbau.yaml", "/etc/umbau.yaml")])
def test_the_sites_file_counts_where_a_cluster_has_none(folder: Path, tmp_path: Path, here: str, used: str) -> None:
    write(folder, {"umbau.yaml": "hosts: {forges: [git.example.eu]}\n"})
    there = tmp_path / "there"
    there.mkdir()
    package(folder).write(there)
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\ncase $1 in -c) echo 1;; *) echo "$UMBAU_SITE";; esac\n')
    fake.chmod(0o755)
    env = {"UMBAU_PYTHON": str(fake), "HOME": str(tmp_path), "PATH": os.defpath, "UMBAU_SITE": here}
    ran = subprocess.run(["sh", DRIVER, "1", "job.yaml"], cwd=there, env=env, capture_output=True, check=True)
    assert ran.stdout.decode().strip() == used.format(there=there)


def test_what_may_not_be_talked_to_is_told_before_it_travels(folder: Path) -> None:
    write(folder, {"lists/repos.txt": "https://git.example.eu/c/d.git\nhttps://elsewhere.eu/c\n"})
    with pytest.raises(Refused, match=r"lists/repos.txt:2:1: elsewhere.eu is not among the hosts") as caught:
        package(folder)
    assert caught.value.code == 64


def test_the_revision_is_that_of_all_that_travels_and_of_umbau(folder: Path, tmp_path: Path) -> None:
    first = package(folder).revision("1")
    write(folder, {"mine/unused.py": "y = 1", "secret.env": "TOKEN=y\n"})
    assert package(folder).revision("1") == first and len(first) == 12
    assert package(folder).revision("2") != first
    elsewhere = tmp_path / "copy"
    write(elsewhere, FILES)
    assert package(elsewhere).revision("1") == first
    write(folder, {"mine/deep.py": "x = 2\n"})
    assert package(folder).revision("1") != first


def test_a_job_by_link_is_that_of_the_folder_it_lies_in(folder: Path, tmp_path: Path) -> None:
    (link := tmp_path / "elsewhere.yaml").symlink_to(folder / "job.yaml")
    assert packed(load(link), link) == package(folder)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("repos: [{git: ../billing}]", "job.yaml:2:15: ../billing is a path on this machine, and repositories do not"),
        ("repos: [{git: /srv/billing}]", "write the URL by which the cluster gets to it"),
        ('repos: [{git: "https://me@git.example.eu/a.git"}]', "must not hold a user name or password"),
        ('repos: [{git: "https://me:pw@git.example.eu/a.git"}]', "a URL with a password in it would travel"),
        ('repos: [{git: "http://git.example.eu/a.git"}]', "cannot be used"),
        ("repos: [{list: ../repos.txt}]", "does not lie below the job file's folder, of which nothing else travels"),
        ("repos: [{list: /etc/repos.txt}]", "/etc/repos.txt does not lie below the job file's folder"),
        ("repos: [{list: nowhere.txt}]", "nowhere.txt cannot be read: No such file or directory"),
        ("repos: [{list: local.txt}]", "local.txt:3: ../billing is a path on this machine"),
        ("repos: [{list: secret.txt}]", "secret.txt:1: https://tok@git.example.eu/a.git cannot be used"),
    ],
)
def test_what_cannot_travel_is_told_with_its_place(folder: Path, line: str, words: str) -> None:
    write(folder, {"local.txt": "# mine\n\n../billing\n", "secret.txt": "https://tok@git.example.eu/a.git\n"})
    write(folder, {"job.yaml": JOB.replace(JOB.splitlines()[1], line)})
    with pytest.raises(Refused) as caught:
        package(folder)
    assert words in str(caught.value)


def test_weights_do_not_travel(folder: Path) -> None:
    rewrite = "- rewrite: {prompt: x, model: {checkpoint: %s}}"
    write(folder, {"job.yaml": JOB.replace("- rewrite: {prompt: x, examples: shown}", rewrite % "weights")})
    with pytest.raises(Refused, match="weights do not travel: put the folder on each node"):
        package(folder)
    write(folder, {"job.yaml": JOB.replace("- rewrite: {prompt: x, examples: shown}", rewrite % "/models/weights")})
    assert "job.yaml" in package(folder).files


def test_too_much_is_refused(folder: Path) -> None:
    write(folder, {"lists/repos.txt": "#" * (MOST // 2), "shown.py": "#" * (MOST // 2)})
    with pytest.raises(
        Refused, match=r"32 MiB would travel, and 32 MiB may: (lists/repos.txt|shown.py) is the largest"
    ):
        package(folder)


@pytest.mark.parametrize(
    ("python", "wanted", "words"),
    [
        ("/nowhere/python", "0.1.0", "It cannot be told which Python runs Ray here: name it in UMBAU_PYTHON"),
        ("", "0.1.0", "It cannot be told which Python runs Ray here: name it in UMBAU_PYTHON"),
        (
            "/bin/false",
            "0.1.0",
            "Umbau is not installed for /bin/false, which runs Ray here: install umbau[cluster]==0.1.0",
        ),
        (sys.executable, "9.9", f"Umbau 9.9 has submitted this, and Umbau {version('umbau')} is installed for"),
    ],
)
def test_a_driver_that_cannot_be_started_says_why(folder: Path, python: str, wanted: str, words: str) -> None:
    done = started(folder, python, wanted)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_driver_has_the_exit_code_of_its_run(folder: Path) -> None:
    write(folder, {"job file's.yaml": "name: 7\n"})
    package = Package("greet", "job file's.yaml", {"job file's.yaml": b"name: 7\n"})
    package.write(folder)
    done = subprocess.run(
        package.entrypoint(version("umbau")),
        shell=True,
        cwd=folder,
        env={"UMBAU_PYTHON": sys.executable, "HOME": str(folder), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 64, done.stderr
    assert f"{folder}/job file's.yaml:1:7: text is needed here" in done.stderr


def started(folder: Path, python: str, wanted: str) -> subprocess.CompletedProcess[str]:
    package(folder).write(folder)
    env = {"UMBAU_PYTHON": python, "HOME": str(folder), "PATH": "/usr/bin:/bin"}
    argv = ["sh", DRIVER, wanted, "job.yaml"]
    return subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("times", [2, AGENTLESS])
def test_a_head_that_has_just_begun_is_asked_again(times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client is a double: when Ray's agent comes up cannot be chosen."""
    answers = [RuntimeError("No available agent to submit job, please try again later.")] * times + [None]
    asked: list[str] = []

    class Client:
        def submit_job(self, *, submission_id: str, **_: Any) -> None:
            asked.append(submission_id)
            if error := answers[len(asked) - 1]:
                raise error

    cluster = Cluster.__new__(Cluster)
    monkeypatch.setattr(cluster, "url", "http://head:8265", raising=False)
    monkeypatch.setattr(cluster, "_client", Client(), raising=False)
    (tmp_path / "job.yaml").write_text("name: greet\nrepos: [{git: 'http://127.0.0.1:1/b.git'}]\nsteps: [{shell: x}]\n")
    package = packed(load(tmp_path / "job.yaml"), tmp_path / "job.yaml")
    if times < AGENTLESS:
        assert cluster.submit("umbau-greet-1", package, "0.1.0", {})
        assert len(asked) == times + 1
        return
    with pytest.raises(Refused, match="No available agent"):
        cluster.submit("umbau-greet-1", package, "0.1.0", {})
    assert len(asked) == AGENTLESS
