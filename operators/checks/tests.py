"""Check: what passed on the untouched commit still passes."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from operators.checks.reports import WORSE, merged, options, read
from operators.data import Edit, Finding, Ruling, Shard, Trouble
from operators.proc import ended
from operators.workspace import Workspace, brief

PYTEST = re.compile(r"(?:^|[\s/])(?:pytest|py\.test)(?:\s|$)")
SHOWN = 4000  # characters of output in a finding, from its end
NAMED = 10  # tests named in a finding
FEW = 3  # tests that are worse than before and yet may only have had a bad moment
_BAD = frozenset({"failed", "error"})


class BaseBroken(Trouble):
    """The untouched commit cannot be tested, so no edit of it can be judged; the message says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the test command. `results` is None when there is no report to read them from."""

    code: int
    out: str
    results: Mapping[str, str] | None
    """Test id to "passed", "skipped", "failed" or "error"."""
    fruitless: bool = False
    """One of the reports has no test that passed."""
    unsteady: int = 0
    """Tests that were worse in another run than they are here."""


@dataclass(frozen=True, slots=True)
class Tests:
    """Tests that pass on the untouched commit pass with the edit. With pytest this is told test by test, from its
    report; with any other command only by the exit code. A few that fail are given a second chance: some tests fail
    now and then, and that is no fault of the edit."""

    command: str
    timeout: float = 1800.0

    local = False

    @property
    def fact(self) -> str:
        return self.command

    def baseline(self, ws: Workspace) -> dict[str, Any]:
        """Test the untouched commit. Raises BaseBroken, NoCommand."""
        run = self._run(ws)
        if why := _unfit(run, bool(PYTEST.search(self.command))):
            raise BaseBroken(f"{brief(self.command)} {why}:\n{run.out.strip()[-SHOWN:]}")
        return {"code": run.code, "results": run.results}

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        before = ws.base.facts.get(self.fact) or self.baseline(Workspace(ws.base))
        run = self._run(ws)
        findings = _findings(before, run)
        if findings and 0 < sum(map(len, _worse(before, run))) <= FEW:
            run = _kinder(run, self._run(ws))
            findings = _findings(before, run)
        if findings:
            findings[-1] += f"\n{run.out.strip()[-SHOWN:]}"
            return Ruling(tuple(Finding("tests", f"{brief(self.command)}: {text}") for text in findings))
        return Ruling((), f"tests: {brief(self.command)} {_told(before, run)}")

    def _run(self, ws: Workspace) -> Run:
        with ws.box() as box:
            given = shlex.join(options(ws, box))
            done = ws.run(box, self.command, (), self.timeout, PYTEST_ADDOPTS=given)
            out = f"{done.out}\n(took more than {self.timeout:.0f} s)" if done.timed_out else done.out
            reports = read(box.taken() or {})
        fruitless = any("passed" not in report.values() for report in reports or ())
        return Run(done.code, out, merged(reports) if reports else None, fruitless)


def _unfit(run: Run, pytest: bool) -> str:
    """Say why nothing could be told by comparison with this run, "" when something can. `pytest`: whether the exit
    code is its own, and 2 to 4 mean that not every test was run."""
    where = "on the untouched commit"
    if run.results and (run.fruitless or (pytest and run.code not in {0, 1})):
        what = "has a run in which no test passes" if run.fruitless else f"ends with {ended(run.code)}"
        return f"{what} {where}. What cannot be collected is left out with --continue-on-collection-errors"
    if run.results or not (run.code or pytest):
        return ""
    how = "writes no report" if not run.code else "finds no test" if run.code == 5 else f"ends with {ended(run.code)}"
    return f"{how} {where}"


def _findings(before: Mapping[str, Any], run: Run) -> list[str]:
    if before["results"] is None:
        return [f"ended with {ended(run.code)}"] if run.code else []
    if not run.results:
        return [f"ended with {ended(run.code)} and without a report"]
    findings = []
    broken, lost = _worse(before, run)
    if broken:
        findings.append(f"{len(broken)} newly failing: {', '.join(broken[:NAMED])}")
    if lost:
        findings.append(
            f"{len(lost)} passed before and did not pass or run now: {', '.join([*dict.fromkeys(lost)][:NAMED])}"
        )
    if run.code not in {0, before["code"]} and not findings:
        findings.append(f"ended with {ended(run.code)} though no test in its report is worse than before")
    return findings


def _worse(before: Mapping[str, Any], run: Run) -> tuple[list[str], list[str]]:
    """Return the tests that fail newly, and those that passed before and neither pass nor fail now."""
    if not before["results"] or not run.results:
        return [], []
    broken = sorted(
        test for test, how in run.results.items() if how in _BAD and before["results"].get(test) not in _BAD
    )
    lost = _passing(before["results"]) - _passing(run.results) - Counter(_function(test) for test in broken)
    return broken, sorted(lost.elements())


def _kinder(one: Run, other: Run) -> Run:
    """Return the second run, with what the first one saw of tests that were better then."""
    first, second = one.results or {}, other.results or {}
    both = {test: [run[test] for run in (first, second) if test in run] for test in {**first, **second}}
    results = {test: min(hows, key=WORSE.__getitem__) for test, hows in both.items()}
    unsteady = sum(len(set(hows)) > 1 for hows in both.values())
    return Run(min(one.code, other.code, key=bool), other.out, results, other.fruitless, unsteady)


def _told(before: Mapping[str, Any], run: Run) -> str:
    if run.results is None:
        return "passed"
    now = Counter(run.results.values())
    known = sum(how in _BAD for how in before["results"].values())
    failing = f", {known} failing as on the untouched commit" if known else ""
    unsteady = f", {run.unsteady} of them not every time" if run.unsteady else ""
    return f"{now['passed']} passed{unsteady}{failing} (untouched: {_passing(before['results']).total()} passed)"


def _passing(results: Mapping[str, str]) -> Counter[str]:
    return Counter(_function(test) for test, how in results.items() if how == "passed")


def _function(test: str) -> str:
    """Return the id without its parameters: those change with names and clocks though no test is lost."""
    return test.partition("[")[0]
