"""What one run of tests says by comparison with that on the untouched commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from operators.checks.reports import Told, function, once
from operators.checks.select import Chosen
from operators.proc import ended

NAMED = 10  # tests named in a finding
BAD = frozenset({"failed", "error"})


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the test command. `told` is None when there is no report."""

    code: int
    out: str
    told: Told | None = None
    unsteady: int = 0
    """Tests that were worse in another run than they are here."""


def unfit(run: Run, pytest: bool) -> str:
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


def findings(before: Mapping[str, Any], run: Run, only: Chosen | None = None) -> tuple[list[str], frozenset[str]]:
    """Return what is wrong with a run, and the functions of tests that this is about; none if it is about more."""
    if before["results"] is None:
        return [f"ended with {ended(run.code)}"] if run.code else [], frozenset()
    if not run.told or not (run.told.results or only):
        return [f"ended with {ended(run.code)} and without a report"], frozenset()
    if before.get("whole", True) and not run.told.whole:
        return [f"ended with {ended(run.code)} before all tests were reported on"], frozenset()
    if before.get("honest", True) and not run.told.honest:
        return ["the test runner has been tampered with: a test that must fail was said not to"], frozenset()
    found = []
    broken, lost = worse(before, run, only)
    if broken:
        found.append(f"{len(broken)} newly failing: {', '.join(broken[:NAMED])}")
    if lost:
        gone = ", ".join([*dict.fromkeys(lost)][:NAMED])
        found.append(f"{len(lost)} passed before and did not pass or run now: {gone}")
    if not found and not _explained(before, run, only):
        return [f"ended with {ended(run.code)} though no test in its report is worse than before"], frozenset()
    return found, frozenset(function(once(test)) for test in (*broken, *lost))


def _explained(before: Mapping[str, Any], run: Run, only: Chosen | None) -> bool:
    """Say whether a run may end like this when no test is worse."""
    ends = run.told.results.values() if run.told else ()
    failing = run.unsteady or any(how in BAD for how in ends)
    return run.code in {0, before["code"]} or (run.code == 1 and bool(failing)) or (only is not None and run.code == 5)


def worse(before: Mapping[str, Any], run: Run, only: Chosen | None = None) -> tuple[list[str], list[str]]:
    """Return the tests that fail newly, and those that passed before and neither pass nor fail now."""
    results, flaky = before["results"], frozenset(before.get("flaky", ()))
    if not results or not run.told:
        return [], []
    now = {test: how for test, how in run.told.results.items() if test not in flaky}
    broken = sorted(test for test, how in now.items() if how in BAD and results.get(test) not in BAD)
    passed = [test for test, how in results.items() if how == "passed" and test not in flaky]
    expected = Counter(function(test) for test in passed if only is None or test in only)
    forgiven = Counter(function(test) for test, how in now.items() if how == "flaky")
    lost = expected - _passing(now) - Counter(map(function, broken)) - forgiven
    return broken, sorted(lost.elements())


def proof(before: Mapping[str, Any], run: Run, only: Chosen | None) -> str:
    if not run.told or before["results"] is None:
        return "passed"
    now = Counter(run.told.results.values())
    chosen = f" of those selected, {run.told.known} in all" if only is not None else ""
    unsteady = f", {run.unsteady} of them not every time" if run.unsteady else ""
    known = sum(how in BAD for how in before["results"].values())
    told = [f"{_passing(before['results']).total()} passed", f"{known} failing" if known else ""]
    told.append(f"{len(before['flaky'])} flaky" if before.get("flaky") else "")
    return f"{now['passed']} passed{chosen}{unsteady} (untouched: {', '.join(part for part in told if part)})"


def _passing(results: Mapping[str, str]) -> Counter[str]:
    return Counter(function(test) for test, how in results.items() if how == "passed")
