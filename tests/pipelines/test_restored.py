"""Edits that were hidden come back to the letter, however they got to where they are committed; else none is."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from operators.spot import MARK, MASKED
from pipelines.bulk.acts import reverting
from pipelines.cli import app
from pipelines.forges.local import LocalForge
from pipelines.lanes import InProcess
from pipelines.session import driving
from pipelines.store import Store
from pipelines.store.packing import OUTCOME, packed, unpacked
from pipelines.store.tables import OUTCOMES
from pipelines.tend import Tended
from tests.conftest import Checkout
from tests.endpoint import Endpoint

GITHUB = "ghp_" + "q7Wx2Zk9Lp4Vt8Rb3Ny6" * 2
SLACK = "xoxb-17Wx2Zk9Lp4Vt8Rb3Ny6"
AWS = "AKIAQWERTYUIOPASDFGH"
WEAK = "geheim-77-wort"
CONTEXT = "glpat-27Wx2Zk9Lp4Vt8Rb3Ny6"
JOB = """\
name: louder
repos: [{{git: {repo}}}]
select: {{files: ["app/*.py"], contains: "hello"}}
shard: {{by: {by}}}
steps:
  - rewrite:
      model: {{url: "{url}", name: scripted, timeout: 20}}
      prompt: Shout.
      context: [docs.py]
      reply: blocks
      learn: {learn}
checks: [inside, parses, {{gone: {{pattern: 'hello\\('}}}}]
attempts: 3
merge_request: {{group: {{by: repository}}, merge: approved, tend: {{rebase: behind}}}}
"""
ONE = f"""\
# UMBAU_SECRET_1 is what others see, or UMBAU_MASKED
weak_password = "{WEAK}"


def first():
    return hello("{GITHUB}", "{WEAK}")


def second():
    token = "{SLACK}"
    return hello(token, "{SLACK}", 1)


def plain(names):
    names = sorted(names)
    for name in names:
        print(name)
    return names


def third():
    return hello("UMBAU_SECRET_3", "{AWS}")
"""
TWO = ONE.replace(GITHUB, AWS).replace("second", "fourth")
DOCS = f"# {CONTEXT}\n"
FILES: dict[str, str | bytes | None] = {"app/one.py": ONE, "app/two.py": TWO, "docs.py": DOCS}


def louder(request: dict[str, Any]) -> str:
    """Rewrites each line that calls hello, of the code that is to be changed, as it was shown."""
    found, path = [], ""
    for line in request["messages"][1]["content"].split("\n"):
        path = line if line.startswith("app/") and line.endswith(".py") else path
        if path and "return hello(" in line:
            new = line.replace("hello(", "HELLO(")
            found.append(f"{path}\n<<<<<<< SEARCH\n{line}\n=======\n{new}\n>>>>>>> REPLACE\n")
    return "\n".join(dict.fromkeys(found))


@dataclass
class World:
    folder: Path
    home: Path
    repo: Checkout
    endpoint: Endpoint
    settings: dict[str, Any] = field(default_factory=lambda: {"by": "file", "learn": 0})

    @property
    def job(self) -> Path:
        job = self.folder / "job.yaml"
        job.write_text(JOB.format(repo=self.repo.folder, url=self.endpoint.url, **self.settings))
        return job

    def run(self) -> list[Tended]:
        with driving(str(self.job), None, quiet=True) as driver, driver.driving():
            plan = driver.plan()
            driver.adopt(plan)
            driver.run(plan, InProcess())
            return driver.tend(plan, InProcess())[1]

    def tend(self) -> list[Tended]:
        with driving(str(self.job), None, quiet=True) as driver, driver.driving():
            return driver.tend(driver.look(), InProcess())[1]

    def text(self, path: str, branch: str = "umbau/louder/billing") -> str:
        bare = self.home / "forge" / "billing" / "repo.git"
        return self.repo.git(f"--git-dir={bare}", "show", f"{branch}:{path}") + "\n"

    def review(self, **what: Any) -> None:
        given = {"text": "", "path": "", "line": 0, "approve": False, "close": False, **what}
        LocalForge(self.home / "forge").review("billing/1", "ada", **given)

    def change(self, of: Callable[[str], str]) -> None:
        """Write other outcomes in the place of those that are kept."""
        with closing(Store(self.home / "store.db")) as store, store._database.engine.begin() as connection:
            for number, body in connection.execute(OUTCOMES.select().with_only_columns(OUTCOMES.c.id, OUTCOMES.c.body)):
                text = of(OUTCOME.dump_json(unpacked(OUTCOME, body)).decode())
                changed = packed(OUTCOME, OUTCOME.validate_json(text))
                connection.execute(OUTCOMES.update().where(OUTCOMES.c.id == number).values(body=changed))


@pytest.fixture
def world(
    home: Path, tmp_path: Path, checkout: Callable[..., Checkout], endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> World:
    monkeypatch.chdir(tmp_path)
    endpoint.script = louder
    return World(tmp_path, home, checkout(FILES), endpoint)


def done(text: str) -> str:
    return text.replace("hello(", "HELLO(")


@pytest.mark.parametrize(("by", "learn"), [("file", 0), ("directory", 0), ("symbol", 0), ("symbol", 1)])
def test_whatever_a_shard_is_its_secrets_come_back(world: World, by: str, learn: int) -> None:
    world.settings = {"by": by, "learn": learn}
    assert [(one.action.verb, one.trouble) for one in world.run()] == [("push", "")]
    assert {path: world.text(path) for path in ("app/one.py", "app/two.py")} == {
        "app/one.py": done(ONE),
        "app/two.py": done(TWO),
    }
    prompts = json.dumps(world.endpoint.requests)
    assert not [one for one in (GITHUB, SLACK, AWS, WEAK, CONTEXT) if one in prompts]
    verified = json.loads(CliRunner().invoke(app, ["verify", "billing/1", "--json"]).stdout)
    assert {one["state"] for one in verified["rows"]} == {"holds"}, verified


def test_a_base_that_moves_so_that_numbers_change(world: World) -> None:
    world.run()
    asked = len(world.endpoint.requests)
    world.repo.commit({"docs.py": f"# {SLACK} {AWS}\n{DOCS}", "else.py": f"TOKEN = '{AWS}'\n"})
    assert not [one.trouble for one in world.tend() if one.trouble]
    assert len(world.endpoint.requests) > asked, "what they are shown is another"
    assert world.text("app/one.py") == done(ONE)
    moved = f"TOKEN = '{CONTEXT}'\n{ONE}"
    world.repo.commit({"app/one.py": moved})
    world.tend()
    assert world.text("app/one.py") == done(moved)
    assert world.text("app/two.py") == done(TWO)


def test_what_is_merged_can_be_taken_back(world: World) -> None:
    world.run()
    world.review(approve=True)
    assert [one.action.verb for one in world.tend()] == ["merge"]
    assert world.text("app/one.py", "main") == done(ONE)
    world.repo.git("pull", "-q", str(world.home / "forge" / "billing" / "repo.git"), "main")
    with driving(str(world.job), None, quiet=True) as driver, driver.driving():
        plan = driver.look()
        requests = [*driver.forge.requests("umbau/", plan.repos)]
        (took,) = reverting(driver.job, plan.repos, driver.notary).each(driver.forge, requests, lambda: None)
    assert took.trouble == ""
    assert world.text("app/one.py", "revert/umbau/louder/billing") == ONE


@pytest.mark.parametrize(
    ("other", "word"), [(f"{MARK}_99", MARK), (MASKED, MASKED), (f"{MARK}_", MARK)], ids=["unknown", "masked", "cut"]
)
def test_what_cannot_be_shown_again_is_not_committed(world: World, other: str, word: str) -> None:
    with driving(str(world.job), None, quiet=True) as driver, driver.driving():
        driver.adopt(plan := driver.plan())
        driver.run(plan, InProcess())
    world.change(lambda text: text.replace(f"{MARK}_1", other))
    (one,) = world.tend()
    assert f"would hold {word}, which stands for a secret that could not be put back" in one.trouble
    assert "umbau retry" in one.trouble
    bare = world.home / "forge" / "billing" / "repo.git"
    assert not bare.exists() or "umbau/" not in world.repo.git(f"--git-dir={bare}", "for-each-ref")
    said = CliRunner().invoke(app, ["retry", str(world.job), "app/one.py", "app/two.py"])
    assert said.exit_code == 0, said.output
    assert [one.trouble for one in world.run()] == [""]
    assert world.text("app/one.py") == done(ONE)


@pytest.mark.parametrize(
    "taken",
    [
        lambda line: line.replace(f"{MARK}_1", f"{MARK}_77"),
        lambda line: line.replace(MARK, MARK.lower()),
        lambda line: line.replace(f"{MARK}_1", MASKED),
    ],
    ids=["none of theirs", "small letters", "masked"],
)
def test_a_model_that_spoils_a_placeholder_is_told(world: World, taken: Callable[[str], str]) -> None:
    def spoils(request: dict[str, Any]) -> str:
        if len(request["messages"]) > 2:
            return "NO CHANGE NEEDED"
        head, _, rest = louder(request).partition("=======")
        return f"{head}======={taken(rest.partition('>>>>>>>')[0])}>>>>>>> REPLACE\n"

    world.endpoint.script = spoils
    world.run()
    with closing(Store(world.home / "store.db")) as store:
        plan = store.plan("louder")
        assert plan
        outcomes = [known[-1] for known in store.outcomes([one.shard.key for one in plan.planned]).values()]
    judges = {one.verdicts[0].findings[0].judge for one in outcomes}
    assert judges == {"secrets"}
