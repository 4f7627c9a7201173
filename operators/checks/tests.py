"""Check: what passed on the untouched commit still passes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from operators.checks.reports import Asked, Told, function, give, once, read
from operators.checks.runs import BAD, Run, findings, proof, unfit, worse
from operators.checks.select import Chosen, chosen, covered, own, packed
from operators.checks.shares import bare
from operators.data import Covered, Edit, Finding, Ruling, Shard, Trouble
from operators.environment import tracing
from operators.proc import git
from operators.workspace import Workspace, brief

PYTEST = re.compile(r"(?:^|[\s/])(?:pytest|py\.test)(?:\s|$)")
SHOWN = 4000  # characters of output in a finding, from its end
FEW = 20  # tests that are worse than before and yet may only have had a bad moment


class BaseBroken(Trouble):
    """The untouched commit cannot be tested, so no edit of it can be judged; the message says why."""


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

    @property
    def fact(self) -> str:
        return self.command

    def baseline(self, ws: Workspace) -> dict[str, Any]:
        """Test the untouched commit; kept as `Base.facts[command]`. Twice: what differs is flaky, and the second time
        it is noted what each test executes. Raises BaseBroken, NoCommand."""
        run = self._run(ws)
        if why := unfit(run, bool(PYTEST.search(self.command))):
            raise BaseBroken(f"{brief(self.command)} {why}:\n{run.out.strip()[-SHOWN:]}")
        if not run.told and self.covered:
            raise BaseBroken(
                f"{brief(self.command)} writes no report, so nobody knows what it executes: `covered` needs pytest or "
                "`python -m umbau_unittest`"
            )
        if not run.told:
            return {"code": run.code, "results": None}
        again = self._run(ws, Asked(trace="all")).told or Told({})
        ends = {**again.results, **run.told.results}
        return {
            "code": run.code,
            "results": run.told.results,
            "seconds": run.told.seconds,
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
        run = self._steady(before, ws, self._run(ws, asked), asked, only)
        faults, failing = findings(before, run, only)
        if faults:
            faults[-1] += f"\n{run.out.strip()[-SHOWN:]}"
            told = tuple(Finding("tests", f"{brief(self.command)}: {text}") for text in faults)
            return Ruling(told, failing=failing)
        seen = covered(ws, edit, run.told) if run.told and run.told.files is not None else ()
        passed = f"tests: {brief(self.command)} {proof(before, run, only)}"
        return Ruling(self._bare(seen), passed, seen, sandbox=ws.sandbox)

    def share(self, ws: Workspace, shard: Shard, edit: Edit, whole: Workspace, ruling: Ruling) -> Ruling | None:
        """What the tests say of a sum they say of an edit in it, unless it can be seen by one that fails."""
        if ruling.proof:  # they passed; at most too little is tested of the sum
            seen = own(ws, edit, whole, ruling.covered)
            return replace(ruling, findings=self._bare(seen), covered=seen)
        only = self._chosen(self._before(ws), ws, edit)
        if only is None or self.covered or not ruling.failing or any(map(only.sees, ruling.failing)):
            return None
        passed = f"tests: {brief(self.command)} {len(only.tests)} selected passed, in one run with other edits"
        return Ruling((), passed, sandbox=ws.sandbox)

    def _before(self, ws: Workspace) -> Mapping[str, Any]:
        return ws.base.facts.get(self.fact) or self.baseline(Workspace(ws.base))

    def _chosen(self, before: Mapping[str, Any], ws: Workspace, edit: Edit) -> Chosen | None:
        return chosen(before.get("map"), (before["results"] or {}).keys(), ws, edit)

    def _bare(self, seen: Sequence[Covered]) -> tuple[Finding, ...]:
        """Return what is wrong when too little of an edit is tested."""
        found = bare(seen, self.covered)
        return (Finding("tests", f"{brief(self.command)}: {found}"),) if found else ()

    def _steady(self, before: Mapping[str, Any], ws: Workspace, run: Run, asked: Asked, only: Chosen | None) -> Run:
        """Return a run without those failures that do not come again, or come on the untouched commit as well: first
        alone, for most do, and what then depends on the tests around it with these."""
        broken, lost = worse(before, run, only)
        tests = {*broken, *(test for test in before["results"] or {} if function(test) in lost)}
        if not run.told or not 0 < len(tests) <= FEW:
            return run
        alone, known, base = Asked(sorted(map(once, tests))), before["results"], Workspace(ws.base)
        better: dict[str, str] = {}
        if good := {test for test, how in self._ends(ws, alone).items() if how in {"passed", known.get(test)}} & tests:
            there = self._ends(ws, asked)
            better = {test: there[test] for test in good if there.get(test) in {"passed", known.get(test, "passed")}}
        left = tests - better.keys()
        if left and before.get("tree") == _tree(ws.base.mirror, ws.base.commit):
            ends = self._ends(base, alone)
            if bad := {test for test in left if ends.get(test) in BAD}:
                ends = self._ends(base, asked)
                better |= {test: "flaky" for test in bad if ends.get(test) in BAD}
        results = {**run.told.results, **better}
        return replace(run, told=replace(run.told, results=results), unsteady=len(better))

    def _ends(self, ws: Workspace, asked: Asked) -> Mapping[str, str]:
        told = self._run(ws, replace(asked, trace=())).told
        return told.results if told else {}

    def _run(self, ws: Workspace, asked: Asked = Asked()) -> Run:  # noqa: B008 - it is frozen
        return ran(ws, self.command, self.timeout, asked)


def ran(ws: Workspace, command: str, timeout: float, asked: Asked, **env: str) -> Run:
    """Run a command that runs tests, once. Raises NoCommand, and what a box raises."""
    with ws.box() as box:
        given = shlex.join(give(ws, box, asked, tracing(ws.base)))
        done = ws.run(box, command, (), timeout, PYTEST_ADDOPTS=given, **env)
        cut = done.timed_out or done.outgrown
        out = f"{done.out}\n({done.how(timeout)})" if cut else done.out
        return Run(done.code, out, read(box.taken() or {}))


@lru_cache(maxsize=64)
def _tree(mirror: str, commit: str) -> str:
    return git(Path(mirror), "rev-parse", f"{commit}^{{tree}}").decode().strip()
