"""After a purge, nothing of code, prompts, replies, output of tests and comments is left in any byte that was kept."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from operators.data import Outcome
from operators.folders import private
from pipelines.lanes import InProcess
from pipelines.retention.purging import Ages, Gone, purge
from pipelines.session import driving
from pipelines.steering import pause, resume
from pipelines.store import opened
from pipelines.tend import Tended
from tests.conftest import GIT, Checkout
from tests.endpoint import Endpoint
from tests.pipelines.retention.searching import found, rows, streams
from tests.pipelines.store.conftest import Place, place, server
from tests.pipelines.store.server import Server

__all__ = ["place", "server"]
JOB = """\
name: count
repos: [{{git: {repo}}}]
select: {{files: ["x.py", "y.py"], contains: "^x = [123]$"}}
steps: [{{rewrite: {{model: {{url: "{url}", name: scripted, timeout: 20}}, prompt: "Count. {prompt}"}}}}]
checks: [inside, {{command: python check.py}}]
sandbox: none
attempts: 3
merge_request: {{group: {{by: file}}, merge: approved}}
"""
WORDS = "# This file counts, and nobody knows any more what it is that it counts, nor for whom it does it.\n"
CHECK = """\
import sys
text = open("x.py").read() + open("y.py").read()
if "bad" in text:
    print("OUT" + "PUT-{output}")
    sys.exit(1)
"""


class World:
    """A job on two files of a repository, on the local forge, with all that it leaves behind."""

    def __init__(self, home: Path, tmp_path: Path, checkout: Callable[..., Checkout], endpoint: Endpoint) -> None:
        names = ("code", "prompt", "reply", "edit", "bad", "output", "comment", "open", "why")
        self.secret = {name: f"{name.upper()}-{token_hex(12)}" for name in names} | {"token": f"ghp_{token_hex(20)}"}
        self.home, self.endpoint = home, endpoint
        output = self.secret["output"].partition("-")[2]
        files = {
            "x.py": f"# {self.secret['code']}\n{WORDS}x = 1\nTOKEN = '{self.secret['token']}'\n",
            "y.py": "y = 0\n",
            "check.py": CHECK.format(output=output),
        }
        self.repo = checkout(files)
        self.job = tmp_path / "job.yaml"
        self.job.write_text(JOB.format(repo=self.repo.folder, url=endpoint.url, prompt=self.secret["prompt"]))
        endpoint.script = self.says

    @property
    def wanted(self) -> dict[str, bytes]:
        return {name: text.encode() for name, text in self.secret.items()}

    def says(self, request: dict[str, Any]) -> str:
        said = [message["content"] for message in request["messages"]]
        path = re.findall(r"^([xy]\.py)$", said[1], re.M)[0]
        if path == "y.py":
            return f"y.py\n<<<<<<< SEARCH\nx = 3\n=======\nx = 4  # {self.secret['open']}\n>>>>>>> REPLACE\n"
        last = re.findall(r"^x = .*$", "\n".join(said), re.M)[-1]
        if self.secret["comment"] in said[-1]:
            new = f"x = 20  # {self.secret['edit']}"
        elif self.secret["output"] in said[-1]:
            new = f"x = 2  # {self.secret['edit']}"
        else:
            new = f"x = 2  # bad {self.secret['bad']}"
        return f"{self.secret['reply']}\nx.py\n<<<<<<< SEARCH\n{last}\n=======\n{new}\n>>>>>>> REPLACE\n"

    def run(self) -> list[Tended]:
        with driving(str(self.job), None, quiet=True) as driver, driver.driving():
            plan = driver.plan()
            driver.adopt(plan)
            driver.run(plan, InProcess())
            return driver.tend(plan, InProcess())[1]

    def tend(self) -> list[str]:
        with driving(str(self.job), None, quiet=True) as driver, driver.driving():
            return [f"{one.action.verb}: {one.action.why}" for one in driver.tend(driver.look(), InProcess())[1]]

    def review(self, **what: Any) -> None:
        from pipelines.forges.local import LocalForge

        given = {"text": "", "path": "", "line": 0, "approve": False, "close": False, **what}
        LocalForge(self.home / "forge").review("billing/1", "ada", **given)

    def purge(self, *, do: bool = True) -> Gone:
        import time

        with closing(opened(self.home)) as store:
            return purge(store, self.home, Ages.of(0, 0, time.time() + 1), "ada@host", do=do)

    def pause(self, why: str) -> None:
        with closing(opened(self.home)) as store:
            pause(store, "count", "ada", why)
            resume(store, "count", "ada")

    def kept(self) -> dict[str, str]:
        """Return the names of the byte strings that are in rows of the store, with the last table, unpacked."""
        with closing(opened(self.home)) as store:
            held = [*rows(store)]
        assert {"audit", "evidence", "events", "facts", "memories", "reopened", "outcomes"} <= {one for one, _ in held}
        assert any(b"slsa.dev" in data for table, data in held if table == "evidence"), "what is signed is looked into"
        return {name: table for table, data in held for name, text in self.wanted.items() if text in data}

    def outcomes(self) -> dict[str, Outcome]:
        with closing(opened(self.home)) as store:
            plan = store.plan("count")
            assert plan
            keys = [one.shard.key for one in plan.planned]
            return {known[-1].shard.name: known[-1] for known in store.outcomes(keys).values()}


@pytest.fixture
def world(
    home: Path, tmp_path: Path, checkout: Callable[..., Checkout], endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> World:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))  # as workers on this machine have theirs there
    return World(home, tmp_path, checkout, endpoint)


def test_the_search_finds_what_is_compressed_and_cut() -> None:
    held = b"#" * 99 + zlib.compress(b"a needle in a haystack " * 9, 1) + b"#"
    assert any(b"needle" in one for one in streams(held))
    assert any(b"needle" in one for one in streams(held[:-20]))
    assert not any(b"needle" in one for one in streams(held[110:]))


def test_no_byte_is_left(
    place: Place, world: World, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders, left_out = [world.home, Path(tempfile.gettempdir())], ("pg_wal", "trees")
    killed = private() / "trees" / "w-1-killed"
    killed.mkdir(parents=True)
    (killed / "x.py").write_text(world.secret["edit"])
    if isinstance(place, str):
        monkeypatch.setenv("UMBAU_STORE", place)
        used: Server = request.getfixturevalue("server")
        folders.append(used._data)
    world.pause(f"it is {world.secret['why']}")
    assert [one.action.verb for one in world.run()] == ["push"]
    world.review(text=f"Make it twenty. {world.secret['comment']}", path="x.py", line=2)
    assert "push: the change is another now" in world.tend()
    world.review(approve=True)
    assert "merge: approved" in world.tend()
    assert (accepted := world.outcomes()["x.py"]).status == "accepted"
    source, forge = world.repo, world.home / "forge" / "billing" / "repo.git"

    if isinstance(place, str):
        used.ask("checkpoint")  # what is in the WAL alone is not in the tables' files yet
    before = found(folders, world.wanted, left_out)
    for name in ("bad", "comment", "edit", "output"):
        assert any(file.startswith(("store.db", "base/")) for file in before[name]), "in the database as well"
    assert set(before) == {*world.wanted} - {"open"}, "the search finds what there is"
    assert not [file for file in before["token"] if file.startswith(("store.db", "base/", "responses"))]
    assert {*before} - {*world.kept()} == {"token"}, "which is hidden there"

    kept = world.purge()
    assert any("fetch it from there first" in line for line in kept.told), kept.told
    subprocess.run(
        ["git", "pull", "-q", str(forge), "main"], cwd=source.folder, check=True, env={"PATH": "/usr/bin:/bin", **GIT}
    )
    world.tend()
    if isinstance(place, str):
        used.ask("checkpoint")
    gone = world.purge()
    assert gone.counts, gone
    assert found(folders, world.wanted, left_out) == {}
    assert not killed.exists()
    assert world.kept() == {}
    assert (world.home / "keys" / "evidence").exists()

    with closing(opened(world.home)) as store:
        noted = [row for row in store.audit.rows() if row.what == "purged"]
        assert noted[-1].facts["list"] == gone.digest
        assert noted[-1].facts["removed"] == dict(gone.counts)
        assert not store.audit.verify().wrong
    assert world.purge().counts == {}, "twice is once"
    world.review(text=f"One more thing. {world.secret['comment']}")
    assert found(folders, world.wanted, left_out).keys() == {"comment"}
    world.purge()
    assert found(folders, world.wanted, left_out) == {}, "what was said after a purge as well"
    assert accepted.verdicts[-1].edit.files


def test_what_is_open_keeps_its_code_and_loses_its_words(world: World) -> None:
    world.run()
    gone = world.purge()
    assert gone.kept == {"count": 1}
    left = found([world.home], world.wanted)
    assert "reply" not in left
    assert "bad" not in left, "what was tried before is what a model said"
    assert {"code", "edit"} <= left.keys()
    before = len(world.endpoint.requests)
    world.review(text=f"Make it twenty. {world.secret['comment']}", path="x.py", line=2)
    world.tend()
    assert len(world.endpoint.requests) == before + 1
    assert "purged on" not in json.dumps(world.endpoint.requests[-1]), "a model is not told of it"
    assert world.outcomes()["x.py"].edit
    world.review(approve=True)
    assert "merge: approved" in world.tend()


def test_all_goes_on_afterwards(
    world: World, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from pipelines.cli import app

    world.run()
    world.review(close=True)
    world.tend()
    preview = world.purge(do=False)
    assert found([world.home], world.wanted).keys() >= {"reply", "edit"}
    assert world.purge().counts.keys() >= preview.counts.keys()
    assert found([world.home], world.wanted) == {}

    asked = len(world.endpoint.requests)
    purged = world.outcomes()["x.py"]
    assert (purged.status, purged.edit, bool(purged.codeless)) == ("accepted", None, True)
    assert purged.tokens[0] > 0
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["status", str(world.job)])
    assert "1 accepted" in said.output
    assert "closed" in said.output
    assert "purged on" in CliRunner().invoke(app, ["show", "x.py"]).output
    written = CliRunner().invoke(app, ["report", str(world.job), "--out", "r.html", "--jsonl", "r.jsonl"])
    assert written.exit_code == 0, written.output
    assert "purged on" in (tmp_path / "r.html").read_text()
    assert json.loads((tmp_path / "r.jsonl").read_text())["status"] == "accepted"
    world.run()
    world.tend()
    assert len(world.endpoint.requests) == asked, "what was done is not done again"
    assert world.outcomes()["x.py"].status == "accepted"
    assert "purged" in CliRunner().invoke(app, ["audit"]).output
