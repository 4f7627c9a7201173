"""What a report of many shards costs: seconds of CPU to write it, bytes, the most memory; and in a browser, seconds
until its list is there and until a search has answered.

Target at 10,000 shards: written in under 10 s, under 20 MB, there in under 2 s.

Repositories are real and have 200 test files each, of 6 to 35 assertions in the words of `unittest`. The edits, made
by substitution, make plain asserts of them: one in fifty after a finding, and one in forty is rejected.

`python -m tests.benchmarks.report [SHARDS ...]`, by default 10,000.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from operators.data import Edit, Finding, Outcome, Shard, Verdict
from pipelines.data import Plan, Planned, Repo, Shards, digest
from pipelines.driver import Driver
from pipelines.report.asked import asked
from pipelines.report.page import Told, write_page
from pipelines.report.rows import Reading
from tests.benchmarks.setting import driver, folder, peak, repository

SIZE, OF_REPO = 10_000, 200
JOB = """\
name: reported
repos: [{git: nowhere}]
steps: [{shell: "true"}]
checks: [inside]
sandbox: none
budget: {prices: {read: 0.1, written: 0.3, gpu_hour: 2.5}}
"""
WORDS = ["amount", "count", "customer", "invoice", "items", "line", "name", "order", "page", "price", "result", "user"]
_PLAIN = (
    (re.compile(r"self\.assertEqual\((.*), (\S+)\)"), r"assert \1 == \2"),
    (re.compile(r"self\.assertIn\((.*), (\S+)\)"), r"assert \1 in \2"),
    (re.compile(r"self\.assertIsNone\((.*)\)"), r"assert \1 is None"),
    (re.compile(r"self\.assertTrue\((.*)\)"), r"assert \1"),
    (re.compile(r"self\.assertRaises\((.*)\)"), r"pytest.raises(\1)"),
)


def source(drawn: random.Random) -> str:
    """Return a test file."""
    lines = ["import unittest", "", "from app import api", "", "", "class ApiTest(unittest.TestCase):"]
    for number in range(drawn.randrange(2, 8)):
        one, other, third = drawn.sample(WORDS, 3)
        lines += [
            "",
            f"    def test_{one}_{other}_{number}(self):",
            f"        {one} = api.{other}({number}, '{third}')",
        ]
        for _ in range(drawn.randrange(2, 5)):
            word = drawn.choice(WORDS)
            said = drawn.choice(
                [
                    f"self.assertEqual({one}.{word}, {drawn.randrange(99)})",
                    f"self.assertEqual({one}['{word}'].{third}({number}), '{drawn.choice(WORDS)}')",
                    f"self.assertIn('{word}', {one})",
                    f"self.assertIsNone({one}.{word}())",
                    f"self.assertTrue({one}.is_{word})",
                ]
            )
            lines.append(f"        {said}")
        lines += ["        with self.assertRaises(ValueError):", f"            api.{other}(-1)"]
    return "\n".join(lines) + "\n"


def plain(text: str) -> str:
    for pattern, by in _PLAIN:
        text = pattern.sub(by, text)
    return text.replace("import unittest\n", "import unittest\n\nimport pytest\n", 1)


def outcome(shard: Shard, text: str, drawn: random.Random) -> Outcome:
    edit = Edit({shard.paths[0]: plain(text)}, tokens_in=4000, tokens_out=900, waited=8.0, gpu_seconds=2.0)
    wrong = Verdict(edit, (Finding("tests", "newly failing: tests::test_it\n" + "E   assert 1 == 2\n" * 5),))
    good = Verdict(edit, (), ("inside: 1 file", "tests: 41 passed (untouched: 41 passed)"), times={"tests": 3.0})
    chance = drawn.random()
    tried = (wrong,) * 4 if chance < 1 / 40 else (wrong, good) if chance < 1 / 40 + 1 / 50 else (good,)
    return Outcome(shard, tried, seconds=12.0)


def made(own: Driver, size: int) -> None:
    """Make repositories, a plan and outcomes."""
    drawn, repos, packed = random.Random(4), [], {}
    for number in range(-(-size // OF_REPO)):
        name = f"group-{number % 9}/service-{number:03}"
        files = {f"tests/test_{one:03}.py": source(drawn) for one in range(min(OF_REPO, size - number * OF_REPO))}
        where = own.home / "repos" / str(number)
        commit = repository(where, {**files, "CODEOWNERS": f"* @team-{number % 12}\n"})
        head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=commit, text=True).strip()
        repos.append(Repo(name, str(where / ".git"), head, "main"))
        shards = [Shard(digest([name, path]), name, head, (path,)) for path in files]
        packed.update(Shards(Planned(one, "umbau/reported/tests", "tests") for one in shards).packed)
        own.store.save((outcome(one, files[one.paths[0]], drawn), 0) for one in shards)
    own.adopt(Plan(tuple(repos), Shards.of_packed(packed), fingerprint=own.recipe.fingerprint))


def written(own: Driver) -> None:
    """Write the page; print what it took."""
    began = process_time()
    plan = own.latest()
    reading = Reading("reported", plan, own.store, own.job.budget.prices, asked(own, plan))
    with (own.home / "page.html").open("w", encoding="utf-8", newline="") as to:
        totals = write_page(reading, Told(own.job, (), None, own.clock()), to)
    print(json.dumps({"seconds": process_time() - began, "peak": peak(), "shapes": len(totals.shapes.found)}))


def shown(page: Path) -> tuple[float, float]:
    """Return the seconds until a browser shows the list, and until a search has answered."""
    from playwright.sync_api import sync_playwright

    from tests.browsing import QUIET

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET)
        tab = browser.new_page()
        began = perf_counter()
        tab.goto(page.as_uri())
        tab.wait_for_selector("#list tbody tr")
        there = perf_counter()
        tab.locator("#changes input[type=search]").fill("service-000 test_007")
        tab.wait_for_function("document.querySelectorAll('#list tbody tr').length === 1")
        answered = perf_counter()
        browser.close()
    return there - began, answered - there


def lines(size: int) -> Iterator[str]:
    with folder() as home:
        with driver(JOB, home) as own:
            made(own, size)
        command = [sys.executable, "-m", "tests.benchmarks.report", "write", str(home)]
        found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        page = home / "page.html"
        yield f"report, {size:,} shards"
        yield f"           {found['seconds']:8.1f} s of CPU to write, {found['peak']:.0f} MiB at most"
        yield f"           {page.stat().st_size / 1e6:8.1f} MB, {found['shapes']} shapes"
        if not shutil.which("chromium"):
            yield "           not looked at: there is no chromium"
            return
        there, answered = shown(page)
        yield f"           {there:8.2f} s until a browser shows it, {answered:.2f} s until a search has answered"


def main() -> None:
    if sys.argv[1:2] == ["write"]:
        with driver(JOB, Path(sys.argv[2])) as own:
            written(own)
        return
    for size in [int(size.replace(",", "")) for size in sys.argv[1:]] or [SIZE]:
        for line in lines(size):
            print(line, flush=True)


if __name__ == "__main__":
    main()
