"""Check: what passed on the untouched commit still passes."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from operators.checks.reports import Asked, Told, give, read
from operators.checks.select import Chosen, chosen, covered, own, packed
from operators.data import Covered, Edit, Finding, Ruling, Shard, Trouble
from operators.environment import tracing
from operators.proc import ended, git
from operators.workspace import Workspace, brief

PYTEST = re.compile(r"(?:^|[\s/])(?:pytest|py\.test)(?:\s|$)")
SHOWN = 4000  # characters of output in a finding, from its end
NAMED = 10  # tests named in a finding
FEW = 20  # tests that are worse than before and yet may only have had a bad moment
_BAD = frozenset({"failed", "error"})


class BaseBroken(Trouble):
    """The untouched commit cannot be tested, so no edit of it can be judged; the message says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the test command. `told` is None when there is no report."""

    code: int
    out: str
    told: Told | None = None
    unsteady: int = 0
    """Tests that were worse in another run than they are here."""


@dataclass(frozen=True, slots=True)
class Tests:
    """Tests that pass on the untouched commit pass with the edit. With pytest, and with `python -m umbau_unittest`,
    this is told test by test; with any other command only by the exit code. Those that fail are given a second chance,
    and the untouched commit as well: some tests fail now and then, and that is no fault of the edit."""

    command: str
    timeout: float = 1800.0
    covered: float = 0.0
    """The least share of changed statements that passing tests execute."""
    full: bool = False
    """Whether all tests are run, and not only those that can see the edit."""

    local = False

    def baseline(self, ws: Workspace) -> dict[str, Any]:
        """Test the untouched commit; kept as `Base.facts[command]`. Twice: what differs is flaky, and the second time
        it is noted what each test executes. Raises BaseBroken, NoCommand."""
        run = self._run(ws)
        if why := _unfit(run, bool(PYTEST.search(self.command))):
            raise BaseBroken(f"{brief(self.command)} {why}:\n{run.out.strip()[-SHOWN:]}")
        if not run.told:
            return {"code": run.code, "results": None}
        again = self._run(ws, Asked(trace="all")).told or Told({})
        ends = {**again.results, **run.told.results}
        return {
            "code": run.code,
            "results": run.told.results,
            "flaky": sorted(test for test in ends if run.told.results.get(test) != again.results.get(test)),
            "map": packed(again.files),
            "honest": run.told.honest and again.honest,
            "whole": run.told.whole and again.whole,
            "tree": _tree(ws.base.mirror, ws.base.commit),
        }

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        before = self._before(ws)
        only = None if self.full else self._chosen(before, ws, edit)
        if only is not None and not only:
            return Ruling((), f"tests: {brief(self.command)} not run, as no statement changes")
        traced = [path for path, text in edit.files.items() if text is not None and path.endswith(".py")]
        asked = Asked(sorted(only.tests), sorted(only.files), traced) if only else Asked(trace=traced)
        run = self._steady(before, ws, self._run(ws, asked), only)
        findings, failing = _findings(before, run, only)
        if findings:
            findings[-1] += f"\n{run.out.strip()[-SHOWN:]}"
            told = tuple(Finding("tests", f"{brief(self.command)}: {text}") for text in findings)
            return Ruling(told, failing=failing)
        seen = covered(ws, edit, run.told) if run.told and run.told.files is not None else ()
        proof = f"tests: {brief(self.command)} {_proof(before, run, only)}"
        return Ruling(self._bare(seen), proof, seen, sandbox=ws.sandbox)

    def share(self, ws: Workspace, shard: Shard, edit: Edit, whole: Workspace, ruling: Ruling) -> Ruling | None:
        """What the tests say of a sum they say of an edit in it, unless it can be seen by one that fails."""
        if not ruling.findings:
            seen = own(ws, edit, whole, ruling.covered)
            return replace(ruling, findings=self._bare(seen), covered=seen)
        only = self._chosen(self._before(ws), ws, edit)
        if only is None or not ruling.failing or any(test in only for test in ruling.failing):
            return None
        proof = f"tests: {brief(self.command)} {len(only.tests)} selected passed, in one run with other edits"
        return Ruling((), proof, sandbox=ws.sandbox) if not self.covered else None

    def _before(self, ws: Workspace) -> Mapping[str, Any]:
        return ws.base.facts.get(self.command) or self.baseline(Workspace(ws.base))

    def _chosen(self, before: Mapping[str, Any], ws: Workspace, edit: Edit) -> Chosen | None:
        return chosen(before.get("map"), (before["results"] or {}).keys(), ws, edit)

    def _bare(self, seen: Sequence[Covered]) -> tuple[Finding, ...]:
        """Return what is wrong when too little of an edit is tested."""
        parts = [part for one in seen for part in one.statements]
        share = sum(part[2] for part in parts) / len(parts) if parts else 1.0
        if share >= self.covered:
            return ()
        missed = ", ".join(f"{one.path}:{first}" for one in seen for first, _ in one.missed)
        found = f"passing tests execute {share:.0%} of the changed statements, and not those at {missed}"
        return (Finding("tests", f"{brief(self.command)}: {found}; {self.covered:.0%} is wanted"),)

    def _steady(self, before: Mapping[str, Any], ws: Workspace, run: Run, only: Chosen | None) -> Run:
        """Return a run in which tests that fail do so twice, and not on the untouched commit as well."""
        worse = _worse(before, run, only)
        tests = {*worse[0], *(test for test in before["results"] or {} if _function(test) in worse[1])}
        if not run.told or not 0 < len(tests) <= FEW:
            return run
        asked = Asked(sorted(tests))
        again = self._run(ws, asked).told or Told({})
        better = {test: how for test, how in again.results.items() if how not in _BAD and test in tests}
        left = tests - better.keys()
        if left and before.get("tree") == _tree(ws.base.mirror, ws.base.commit):
            there = self._run(Workspace(ws.base), Asked(sorted(left))).told or Told({})
            better |= {test: "flaky" for test in left if there.results.get(test) in _BAD}
        results = {**run.told.results, **better}
        return replace(run, told=replace(run.told, results=results), unsteady=len(better))

    def _run(self, ws: Workspace, asked: Asked = Asked()) -> Run:  # noqa: B008 - it is frozen
        with ws.box() as box:
            given = shlex.join(give(ws, box, asked, tracing(ws.base)))
            done = ws.run(box, self.command, (), self.timeout, PYTEST_ADDOPTS=given)
            cut = done.timed_out or done.outgrown
            out = f"{done.out}\n({done.how(self.timeout)})" if cut else done.out
            return Run(done.code, out, read(box.taken() or {}))


@lru_cache(maxsize=64)
def _tree(mirror: str, commit: str) -> str:
    return git(Path(mirror), "rev-parse", f"{commit}^{{tree}}").decode().strip()


def _unfit(run: Run, pytest: bool) -> str:
    """Say why nothing could be told by comparison with this run, "" when something can. `pytest`: whether the exit
    code is its own, and 2 to 4 mean that not every test was run."""
    where, results = "on the untouched commit", run.told.results if run.told else {}
    if run.told and results and (run.told.fruitless or (pytest and run.code not in {0, 1})):
        what = "has a run in which no test passes" if run.told.fruitless else f"ends with {ended(run.code)}"
        return f"{what} {where}. What cannot be collected is left out with --continue-on-collection-errors"
    if results or not (run.code or pytest):
        return ""
    how = "writes no report" if not run.code else "finds no test" if run.code == 5 else f"ends with {ended(run.code)}"
    return f"{how} {where}"


def _findings(before: Mapping[str, Any], run: Run, only: Chosen | None = None) -> tuple[list[str], frozenset[str]]:
    """Return what is wrong with a run, and the tests that this is about; none if it is about more than tests."""
    if before["results"] is None:
        return [f"ended with {ended(run.code)}"] if run.code else [], frozenset()
    if not run.told or not (run.told.results or only):
        return [f"ended with {ended(run.code)} and without a report"], frozenset()
    if before.get("whole", True) and not run.told.whole:
        return [f"ended with {ended(run.code)} before all tests were reported on"], frozenset()
    if before.get("honest", True) and not run.told.honest:
        return ["the test runner has been tampered with: a test that must fail was said not to"], frozenset()
    findings = []
    broken, lost = _worse(before, run, only)
    if broken:
        findings.append(f"{len(broken)} newly failing: {', '.join(broken[:NAMED])}")
    if lost:
        gone = ", ".join([*dict.fromkeys(lost)][:NAMED])
        findings.append(f"{len(lost)} passed before and did not pass or run now: {gone}")
    if not findings and not _explained(before, run, only):
        return [f"ended with {ended(run.code)} though no test in its report is worse than before"], frozenset()
    return findings, frozenset([*broken, *lost])


def _explained(before: Mapping[str, Any], run: Run, only: Chosen | None) -> bool:
    """Say whether a run may end like this when no test is worse."""
    ends = run.told.results.values() if run.told else ()
    failing = run.unsteady or any(how in _BAD for how in ends)
    return run.code in {0, before["code"]} or (run.code == 1 and bool(failing)) or (only is not None and run.code == 5)


def _worse(before: Mapping[str, Any], run: Run, only: Chosen | None = None) -> tuple[list[str], list[str]]:
    """Return the tests that fail newly, and those that passed before and neither pass nor fail now."""
    results, flaky = before["results"], frozenset(before.get("flaky", ()))
    if not results or not run.told:
        return [], []
    now = {test: how for test, how in run.told.results.items() if test not in flaky}
    broken = sorted(test for test, how in now.items() if how in _BAD and results.get(test) not in _BAD)
    passed = [test for test, how in results.items() if how == "passed" and test not in flaky]
    expected = Counter(_function(test) for test in passed if only is None or test in only)
    forgiven = Counter(_function(test) for test, how in now.items() if how == "flaky")
    lost = expected - _passing(now) - Counter(map(_function, broken)) - forgiven
    return broken, sorted(lost.elements())


def _proof(before: Mapping[str, Any], run: Run, only: Chosen | None) -> str:
    if not run.told or before["results"] is None:
        return "passed"
    now = Counter(run.told.results.values())
    chosen = f" of those selected, {run.told.known} in all" if only is not None else ""
    unsteady = f", {run.unsteady} of them not every time" if run.unsteady else ""
    known = sum(how in _BAD for how in before["results"].values())
    told = [f"{_passing(before['results']).total()} passed", f"{known} failing" if known else ""]
    told.append(f"{len(before['flaky'])} flaky" if before.get("flaky") else "")
    return f"{now['passed']} passed{chosen}{unsteady} (untouched: {', '.join(part for part in told if part)})"


def _passing(results: Mapping[str, str]) -> Counter[str]:
    return Counter(_function(test) for test, how in results.items() if how == "passed")


def _function(test: str) -> str:
    """Return the id without its parameters: those change with names and clocks though no test is lost."""
    return test.partition("[")[0]
