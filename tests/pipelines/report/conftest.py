"""A small job that was really run: two repositories, a scripted model, and every way in which a shard can end."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.console import Watch
from pipelines.driver import Driver
from pipelines.forges.local import LocalForge
from pipelines.jobfile import load
from pipelines.lanes import InProcess
from pipelines.recipe import recipe
from pipelines.report.asked import asked
from pipelines.report.page import Told, write_page
from pipelines.report.rows import Reading
from pipelines.store import Store
from tests.conftest import Checkout
from tests.endpoint import Endpoint, Says

JOB = """\
name: plainly
description: Assertions say what they mean, </script><b>plainly</b>.
repos: [{{git: billing}}, {{git: shop}}]
select: {{files: ["**/test_*.py"], contains: 'self\\.assert'}}
shard: {{by: file}}
steps:
  - rewrite:
      model: {{url: "{url}", name: scripted, gpus: 2, context: 4000, max_tokens: 500}}
      prompt: Turn unittest assertions into plain ones.
      reply: blocks
checks: [inside, parses, {{gone: {{pattern: 'self\\.assert'}}}}]
attempts: 2
budget: {{prices: {{read: 2, written: 8, gpu_hour: 3, core_hour: 0.1, currency: EUR}}}}
merge_request: {{group: {{by: directory}}, merge: approved}}
"""
TEST = "import unittest\n\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        self.{0}\n"
EQUAL = "assertEqual(total({0}), {0})"
HOSTILE = 'assertEqual("</script><script>alert(1)</script><img src=x onerror=alert(1)>\u202e", x)'
BILLING = {
    "CODEOWNERS": "* @money\n/b/ @ledger\n",
    **{f"a/test_{number}.py": TEST.format(EQUAL.format(number)) for number in range(12)},
    "b/test_late.py": TEST.format("assertTrue(late)"),
    "b/test_never.py": TEST.format("assertIs(never, None)"),
    "c/test_<b>&.py": TEST.format(HOSTILE),
}
SHOP = {
    "test_gone.py": TEST.format("assertEqual(gone, 1)"),
    "test_long.py": TEST.format(EQUAL.format(1)) + "    # much\n" * 2000,
    "test_fine.py": TEST.format(EQUAL.format(7)),
}


def script(request: dict[str, Any]) -> Says | str:
    said = [message["content"] for message in request["messages"]]
    if len(said) == 1:
        return "pong"
    found = re.search(r"^([\w/<>&]+\.py)$", said[1], re.M)
    assert found, said[1]
    path, again = found[1], any(message["role"] == "assistant" for message in request["messages"])
    if path == "test_gone.py":
        return Says(body=b'{"error": {"message": "no such thing"}}', status=400)
    if path == "b/test_late.py":
        steps = ["self.assertTrue(late)", "self.assertIs(late, True)", "assert late"]
        return block(path, *steps[again : again + 2])
    if path == "b/test_never.py":
        steps = ["self.assertIs(never, None)", "self.assertIsNone(never)", "self.assertEqual(never, None)"]
        return block(path, *steps[again : again + 2])
    line = next(line.strip() for line in said[1].splitlines() if "self.assert" in line)
    inner = re.fullmatch(r"self\.assertEqual\((.*), (.*)\)", line)
    assert inner
    return block(path, line, f"assert {inner[1]} == {inner[2]}")


def block(path: str, old: str, new: str) -> str:
    return f"{path}\n<<<<<<< SEARCH\n        {old}\n=======\n        {new}\n>>>>>>> REPLACE\n"


@dataclass
class Ran:
    home: Path
    folder: Path
    job: Path
    store: Store

    def driver(self) -> Driver:
        spec = load(self.job)
        forge = LocalForge(self.home / "forge")
        return Driver(spec, recipe(spec, self.job), self.home, self.folder, self.store, forge, Watch(quiet=True))


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    """The job after a run, one request of it approved and merged, with a log of what happened meanwhile."""
    folder = tmp_path_factory.mktemp("report")
    for name, files in (("billing", BILLING), ("shop", SHOP)):
        Checkout(folder / name).commit(files)
    home = folder / "home"
    home.mkdir()
    with Endpoint(script=script) as endpoint, closing(Store(home / "store.db")) as store:
        job = folder / "plainly.yaml"
        job.write_text(JOB.format(url=endpoint.url))
        found = Ran(home, folder, job, store)
        for _ in range(2):
            driver = found.driver()
            plan = driver.plan()
            driver.adopt(plan)
            driver.run(plan, InProcess())
            driver.tend(plan, InProcess())
            forge = LocalForge(home / "forge")
            for record in [one for one in forge.records() if one.branch.endswith("/a") and one.state == "open"]:
                forge.review(record.name, "ada", text="", path="", line=0, approve=True, close=False)
        happened(store)
        yield found


def happened(store: Store) -> None:
    note = store.log.note
    note("plainly", "pilot", body={"shards": 5, "accepted": 4, "forecast": {"low": 0.6, "high": 0.95}})
    note("plainly", "paused", body={"who": "budget", "why": "tokens: 90 of 100 <b>spent</b>", "kind": "budget"})
    note("plainly", "resumed", body={"who": "ada", "why": "raised", "kind": "person"})


def reading(ran: Ran) -> Reading:
    driver = ran.driver()
    plan = driver.latest()
    return Reading("plainly", plan, ran.store, driver.job.budget.prices, asked(driver, plan))


@pytest.fixture(scope="session")
def page(ran: Ran) -> Callable[[], Path]:
    """Write the page; return the file."""

    def write() -> Path:
        target = ran.folder / "plainly.html"
        told = Told(ran.driver().job, ran.store.log.events("plainly"), None, time.time())
        with target.open("w", encoding="utf-8", errors="backslashreplace", newline="") as to:
            write_page(reading(ran), told, to)
        return target

    return write
