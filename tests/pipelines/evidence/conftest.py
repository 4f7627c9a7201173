"""Small jobs that were really run on the local forge, with all that is stated of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from operators.data import Outcome
from pipelines.cli import app
from pipelines.evidence.envelope import Envelope, read
from pipelines.forges.local import LocalForge
from pipelines.forges.record import Record
from pipelines.lanes import InProcess
from pipelines.session import driving
from pipelines.store import Store
from pipelines.store.evidence import Stated
from tests.conftest import Checkout
from tests.endpoint import Endpoint

CODEMOD = """\
name: fstrings
description: Use f-strings.
repos: [{{git: {repo}}}]
select: {{contains: '\\.format\\('}}
shard: {{by: file}}
steps: [{{codemod: convert_format_to_fstring.ConvertFormatStringCommand}}]
merge_request: {{group: {{by: directory}}, merge: approved, trailers: ["Refs: OPS-17"]}}
"""
MODEL = """\
name: plainly
description: Assertions say what they mean.
repos: [{{git: {repo}}}]
select: {{files: ["**/test_*.py"], contains: 'self\\.assert'}}
shard: {{by: file}}
steps:
  - rewrite:
      model: {{url: "{url}", name: scripted}}
      prompt: Turn unittest assertions into plain ones.
      reply: blocks
checks: [inside, parses, {{gone: {{pattern: 'self\\.assert'}}}}, {{tests: {{run: python -m umbau_unittest}}}}]
attempts: 3
merge_request: {{group: {{by: directory}}, merge: approved}}
"""
FILES: dict[str, str | bytes | None] = {
    "app/a.py": "x = '{}'.format(1)\n",
    "app/b.py": "y = '{} {}'.format(1, 2)\n",
    "app/c.py": "z = 1\n",
}
TESTS: dict[str, str | bytes | None] = {
    "test_a.py": "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_it(self):\n"
    "        self.assertEqual(1 + 1, 2)\n"
}


@dataclass
class Ran:
    """A job, and what was said of it."""

    job: Path
    home: Path
    repo: Checkout

    def run(self) -> None:
        with driving(str(self.job), None, quiet=True) as driver, driver.driving():
            plan = driver.plan()
            driver.adopt(plan)
            driver.run(plan, InProcess())
            driver.tend(plan, InProcess())

    def stated(self) -> list[Stated]:
        with closing(self.store()) as store:
            return store.evidence.all()[0]

    def store(self) -> Store:
        return Store(self.home / "store.db")

    def record(self) -> Record:
        return LocalForge(self.home / "forge").records()[0]

    def approve(self) -> None:
        name = self.record().name
        LocalForge(self.home / "forge").review(name, "ada", text="", path="", line=0, approve=True, close=False)

    @property
    def forge(self) -> Path:
        """The bare repository that the branches are in."""
        return self.home / "forge" / self.record().repo / "repo.git"

    def verify(self, *args: str, code: int | None = None) -> dict[str, str]:
        """Return what is said of each thing; as `umbau verify` prints it."""
        done = CliRunner().invoke(app, ["verify", *args, "--json"])
        assert code is None or done.exit_code == code, done.output
        if done.exit_code not in {0, 2} or not done.stdout.startswith("{"):
            return {"": done.output}
        rows = json.loads(done.stdout)["rows"]
        return {one["what"]: f"{one['state']}: {one['why']}" for one in rows}

    def place(self) -> str:
        record = self.record()
        return f"{record.repo}@{record.branch}"

    def strip(self, change: Callable[[Outcome], Outcome]) -> None:
        """Write other outcomes in the place of those that are kept."""
        from sqlalchemy import select, update

        from pipelines.store.packing import OUTCOME, packed, unpacked
        from pipelines.store.tables import OUTCOMES

        with closing(self.store()) as store:
            database = store._database
            rows = database.read(lambda connection: connection.execute(select(OUTCOMES.c.id, OUTCOMES.c.body)).all())
            for number, body in rows:
                other = packed(OUTCOME, change(unpacked(OUTCOME, body)))
                put = update(OUTCOMES).where(OUTCOMES.c.id == number).values(body=other)
                database.write(lambda connection, put=put: connection.execute(put))

    def rewrite(self, stated: Stated, change: Callable[[Envelope], Envelope], **more: str) -> None:
        """Tamper with what is kept, as whoever can write to the database can."""
        from sqlalchemy import update

        from pipelines.store.packing import ANY, packed
        from pipelines.store.tables import EVIDENCE

        body = packed(ANY, change(read(stated.envelope)).json())
        with closing(self.store()) as store:
            told = update(EVIDENCE).where(EVIDENCE.c.digest == stated.digest).values(body=body, **more)
            store._database.write(lambda connection: connection.execute(told))


@dataclass
class Kept:
    """A job after its first run, as each test finds it: at the same place, which is in what is kept of it."""

    folder: Path
    copy: Path

    @classmethod
    def made(cls, folder: Path, text: str, files: dict[str, Any], **more: str) -> Kept:
        top = folder / "place"
        repo = Checkout(top / "billing")
        repo.commit(files, "start")
        (top / "home").mkdir()
        (top / "job.yaml").write_text(text.format(repo=repo.folder, **more))
        kept = cls(top, folder / "copy")
        with pytest.MonkeyPatch.context() as monkeypatch:
            kept.ran(monkeypatch).run()
        shutil.copytree(top, kept.copy, symlinks=True)
        return kept

    def again(self, monkeypatch: pytest.MonkeyPatch) -> Ran:
        shutil.rmtree(self.folder)
        shutil.copytree(self.copy, self.folder, symlinks=True)
        return self.ran(monkeypatch)

    def ran(self, monkeypatch: pytest.MonkeyPatch) -> Ran:
        monkeypatch.chdir(self.folder)  # no site file of somebody else
        monkeypatch.setenv("UMBAU_HOME", str(self.folder / "home"))
        for name in ("UMBAU_MODEL_URL", "UMBAU_MODEL", "UMBAU_EVIDENCE_KEY", "UMBAU_SITE"):
            monkeypatch.delenv(name, raising=False)
        repo = Checkout.__new__(Checkout)
        repo.folder = self.folder / "billing"
        return Ran(self.folder / "job.yaml", self.folder / "home", repo)


@pytest.fixture(scope="session")
def codemod(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept.made(tmp_path_factory.mktemp("codemod"), CODEMOD, FILES)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kept, Endpoint]]:
    wrong = "assert 1 + 1 == 3"  # at first
    with Endpoint(reply("self.assertEqual(1 + 1, 2)", wrong), reply(wrong, "assert 1 + 1 == 2")) as endpoint:
        yield Kept.made(tmp_path_factory.mktemp("model"), MODEL, TESTS, url=endpoint.url), endpoint


@pytest.fixture
def ran(codemod: Kept, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """A codemod job after its first run."""
    return codemod.again(monkeypatch)


@pytest.fixture
def asked(model: tuple[Kept, Endpoint], monkeypatch: pytest.MonkeyPatch) -> tuple[Ran, Endpoint]:
    """A model's job after its first run: the first reply was no good."""
    return model[0].again(monkeypatch), model[1]


def reply(old: str, new: str) -> str:
    return f"test_a.py\n<<<<<<< SEARCH\n        {old}\n=======\n        {new}\n>>>>>>> REPLACE\n"
