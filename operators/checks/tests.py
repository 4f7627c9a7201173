"""Check: what passed on the untouched commit still passes."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from operators.data import Edit, Finding, Ruling, Shard, Trouble
from operators.workspace import Workspace

PYTEST = re.compile(r"(?:^|[\s/])(?:pytest|py\.test)(?:\s|$)")
SHOWN = 4000  # characters of output in a finding, from its end
NAMED = 10  # tests named in a finding
_BAD = frozenset({"failed", "error"})
_WORSE = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}


class BaseBroken(Trouble):
    """The untouched commit cannot be tested, so no edit of it can be judged; the message says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the test command. `results` is None when there is no report to read them from."""

    code: int
    out: str
    results: Mapping[str, str] | None
    """Test id to "passed", "skipped", "failed" or "error"."""


@dataclass(frozen=True, slots=True)
class Tests:
    """Tests that pass on the untouched commit pass with the edit. With pytest this is told test by test, from its
    report; with any other command only by the exit code."""

    command: str
    timeout: float = 1800.0

    local = False

    def baseline(self, ws: Workspace) -> dict[str, Any]:
        """Test the untouched commit; kept as `Base.facts[command]`. Raises BaseBroken, NoCommand."""
        run = self._run(ws)
        if not run.results and (run.code or PYTEST.search(self.command)):
            what = "finds no test" if run.code == 5 else f"ends with exit code {run.code}"
            raise BaseBroken(f"`{self.command}` {what} on the untouched commit:\n{run.out.strip()[-SHOWN:]}")
        return {"code": run.code, "results": run.results}

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        before = ws.base.facts.get(self.command) or self.baseline(Workspace(ws.base))
        run = self._run(ws)
        findings = _findings(before, run)
        if findings:
            findings[-1] += f"\n{run.out.strip()[-SHOWN:]}"
            return Ruling(tuple(Finding("tests", f"`{self.command}`: {text}") for text in findings))
        return Ruling((), f"tests: `{self.command}` {_told(before, run)}")

    def _run(self, ws: Workspace) -> Run:
        with tempfile.TemporaryDirectory(prefix="umbau-") as folder:
            report = Path(folder) / "report.xml"
            given = [f"--junitxml={report}", "-o", "junit_family=xunit2", "-o", f"cache_dir={folder}/cache"]
            done = ws.run(ws.tree(), self.command, (), self.timeout, PYTEST_ADDOPTS=shlex.join(given))
            out = f"{done.out}\n(took more than {self.timeout:.0f} s)" if done.timed_out else done.out
            return Run(done.code, out, _read(report))


def _findings(before: Mapping[str, Any], run: Run) -> list[str]:
    if before["results"] is None:
        return [f"ended with exit code {run.code}"] if run.code else []
    if not run.results:
        return [f"ended with exit code {run.code} and without a report"]
    findings = []
    broken = sorted(
        test for test, how in run.results.items() if how in _BAD and before["results"].get(test) not in _BAD
    )
    if broken:
        findings.append(f"{len(broken)} newly failing: {', '.join(broken[:NAMED])}")
    lost = _passing(before["results"]) - _passing(run.results) - Counter(_function(test) for test in broken)
    if lost:
        findings.append(f"{lost.total()} passed before and did not pass or run now: {', '.join(sorted(lost)[:NAMED])}")
    if run.code and not before["code"] and not findings:
        findings.append(f"ended with exit code {run.code} though every test in its report passed")
    return findings


def _told(before: Mapping[str, Any], run: Run) -> str:
    if run.results is None:
        return "passed"
    now = Counter(run.results.values())
    known = sum(how in _BAD for how in before["results"].values())
    failing = f", {known} failing as on the untouched commit" if known else ""
    return f"{now['passed']} passed{failing} (untouched: {_passing(before['results']).total()} passed)"


def _passing(results: Mapping[str, str]) -> Counter[str]:
    return Counter(_function(test) for test, how in results.items() if how == "passed")


def _function(test: str) -> str:
    """Return the id without its parameters: those change with names and clocks though no test is lost."""
    return test.partition("[")[0]


def _read(report: Path) -> dict[str, str] | None:
    """Read pytest's JUnit report; None when there is none that can be read."""
    try:
        tree = ElementTree.parse(report)
    except (OSError, ElementTree.ParseError):
        return None
    results: dict[str, str] = {}
    for case in tree.iter("testcase"):
        test = f"{case.get('classname')}::{case.get('name')}"
        tags = {child.tag for child in case}
        how = "error" if "error" in tags else "failed" if "failure" in tags else "passed"
        how = "skipped" if how == "passed" and "skipped" in tags else how
        results[test] = max(how, results.get(test, how), key=_WORSE.__getitem__)
    return results
