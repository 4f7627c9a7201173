"""A hundred one-line edits in one public package, judged in batches by the tests that can see them, against one full
run of the tests for each: wall time and verdicts, without a fault among them and with five.

Each edit puts a returned value into parentheses, a culprit into a list: one that all tests, run for it alone, refuse.
Every run is a real one in the sandbox. Alone, all culprits and some of the others are judged; the time of the rest is
reckoned.
"""

from __future__ import annotations

import ast
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from operators.checks.reports import Asked
from operators.checks.tests import Tests
from operators.data import Edit, Ruling, Shard
from operators.environment import Environment
from operators.source import split
from operators.workspace import Workspace
from pipelines.batches import Batches
from pipelines.jobfile import parse
from pipelines.plan import plan
from pipelines.recipe import recipe
from tests.benchmarks.setting import folder

PACKAGE = "boltons==26.2.0"
COMMAND = "python -m pytest -q tests"
EDITS, CULPRITS, ALONE = 100, 5, 10
WIDE = 2  # batches at a time
SEED = 4
JOB = f"""\
name: batching
repos: [{{pypi: {PACKAGE}}}]
select: {{files: ["boltons/*.py"]}}
steps:
  - rewrite: {{prompt: nothing}}
checks:
  - tests: {COMMAND}
environment: {{install: [".", pytest]}}
"""


@dataclass(frozen=True)
class Counting(Tests):
    """The tests, and how often they were asked."""

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        asked.append(len(edit.files))
        return super().judge(ws, shard, edit)


asked: list[int] = []


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A returned value within a line: columns `first` to `last`."""

    path: str
    line: int
    first: int
    last: int


def places(ws: Workspace, known: dict[str, Any]) -> Iterator[Place]:
    """Yield the values returned in lines that tests executed, and nothing outside of them."""
    for path, statements in known["files"].items():
        seen = {first for first, last, tests in statements if first == last and tests and -1 not in tests}
        text = ws.base_text(path) or ""
        if path.startswith("boltons/") and text.isascii():
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Return) and node.value and node.lineno in seen:
                    yield Place(path, node.lineno, node.value.col_offset, node.value.end_col_offset or 0)


def edited(ws: Workspace, place: Place, form: str) -> Edit:
    lines = list(split(ws.base_text(place.path) or ""))
    line = lines[place.line - 1]
    lines[place.line - 1] = line[: place.first] + form.format(line[place.first : place.last]) + line[place.last :]
    return Edit({place.path: "".join(lines)})


def batched(check: Tests, ws: Workspace, edits: list[Edit]) -> tuple[list[Ruling], float]:
    """Judge all edits at the same time, as the threads of a lane do; return the rulings and the seconds."""
    asked.clear()
    batches, ready, start = Batches(WIDE), threading.Barrier(len(edits)), time.monotonic()

    def one(edit: Edit) -> Ruling:
        ready.wait()
        return batches.judge(check, ws, shard(ws, edit), edit, _here)

    with ThreadPoolExecutor(len(edits)) as pool:
        return list(pool.map(one, edits)), time.monotonic() - start


def _here(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def shard(ws: Workspace, edit: Edit) -> Shard:
    return Shard("", ws.base.repo, ws.base.commit, tuple(edit.files))


def timed(call: Callable[[], Any]) -> float:
    start = time.monotonic()
    call()
    return time.monotonic() - start


def measured(ws: Workspace, edits: list[Edit], wrong: set[int]) -> None:
    """Print what the edits cost in batches and alone, and whether the verdicts are the same."""
    rulings, spent = batched(Counting(COMMAND), ws, edits)
    runs, refused = len(asked), {number for number, ruling in enumerate(rulings) if ruling.findings}
    sample = sorted({*wrong, *refused, *range(0, EDITS, EDITS // ALONE)})
    good, bad, differ = [], [], 0
    for number in sample:
        ruling, seconds = alone(ws, edits[number])
        (bad if ruling.findings else good).append(seconds)
        differ += bool(ruling.findings) != (number in refused)
    each, reckoned = sum(good) / len(good), sum(good) / len(good) * (EDITS - len(bad)) + sum(bad)
    print(f"{EDITS} edits, {len(wrong)} of them wrong:")
    print(f"  in batches: {spent:.1f} s, {runs} sums judged, {WIDE} at a time")
    print(f"  alone: {reckoned:.0f} s one after another, reckoned from {len(sample)} ({each:.2f} s for a good one)")
    print(
        f"  {reckoned / spent:.1f} times less, {reckoned / WIDE / spent:.1f} times if alone they are {WIDE} at a time"
    )
    print(f"  wrong {sorted(wrong)}, refused {sorted(refused)}; of the {len(sample)} verdicts {differ} differ")


def alone(ws: Workspace, edit: Edit) -> tuple[Ruling, float]:
    """Judge one edit by all tests; return the ruling and the seconds."""
    start = time.monotonic()
    ruling = Tests(COMMAND, full=True).judge(ws.over(edit), shard(ws, edit), edit)
    return ruling, time.monotonic() - start


def main() -> None:
    with folder() as home:
        job = parse(JOB.encode(), "batching.yaml")
        (repo,) = plan(job, recipe(job, home / "batching.yaml"), home, home).repos
        settings = job.environment
        assert settings
        ws = Workspace(Environment(settings.python, tuple(settings.install)).build(repo.base))
        check = Tests(COMMAND)
        plain = min(timed(lambda: check._run(ws)) for _ in range(3))
        traced = min(timed(lambda: check._run(ws, Asked(trace="all"))) for _ in range(3))
        facts = check.baseline(ws)
        print(f"{PACKAGE}, {len(facts['results'])} tests: {plain:.2f} s, {traced:.2f} s with the map")
        ws = Workspace(replace(ws.base, facts={COMMAND: facts}))
        draw = random.Random(SEED)
        found = draw.sample(sorted(places(ws, facts["map"])), EDITS)
        edits = [edited(ws, place, "({})") for place in found]
        measured(ws, edits, set())
        wrong: set[int] = set()
        for number in draw.sample(range(EDITS), EDITS):
            edit = edited(ws, found[number], "[{}]")
            if len(wrong) < CULPRITS and alone(ws, edit)[0].findings:
                wrong.add(number)
                edits[number] = edit
        measured(ws, edits, wrong)


if __name__ == "__main__":
    main()
