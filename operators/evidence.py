"""Where tests execute too little of an edit: a generated test of what the code did before.

It is asked for last, of an edit in which no check finds fault, by the same loop that edits are made in: a model
proposes a test, a check tries it. It never becomes part of the edit that is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from operators.characterise import DIFFERS, Characterise, Runner, in_question, place, system
from operators.checks.pinned import Pinned, amiss, apart, traced
from operators.checks.shares import bare, gained, joined
from operators.checks.tests import PYTEST
from operators.data import Away, Check, Covered, Edit, Finding, Model, Outcome, Ruling, Shard, Trouble, Verdict
from operators.refine import refine, ruled
from operators.workspace import Workspace

SHOWN = 3000  # characters of output in a finding, from its end
NAMED = 20  # places in a proof
PROOF = (
    "evidence: for changed statements that no test of the repository executes, a generated test passes on the "
    "untouched commit and with the edit, twice each, and fails when any of them that stands in a function does "
    "something else"
)
Judged = Callable[[Workspace, Shard, Edit, Sequence[Check]], Verdict]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is demanded of edits, and who may be asked where it is missing."""

    command: str
    """Runs the repository's tests."""
    timeout: float
    least: float
    """The share of changed statements that tests execute, generated ones included."""
    model: Model | None = None
    attempts: int = 3
    keep: str = ""
    """Path at which a generated test becomes part of the merge request, `{name}` standing for the shard; "" when it
    does not."""

    @property
    def runner(self) -> Runner:
        return "unittest" if "unittest" in self.command and not PYTEST.search(self.command) else "pytest"

    def system(self) -> str:
        """Return the part of the prompt that all shards share."""
        return system(self.runner)


def evidenced(ws: Workspace, shard: Shard, verdict: Verdict, evidence: Evidence, judged: Judged) -> Verdict:
    """Return the verdict on an edit that passed every check, with evidence where it needs some; a fault when none is to
    be had. `judged` has a generated test judged. Raises what the model raises."""
    edit, seen = verdict.edit, joined(verdict.covered)
    lacking = bare(seen, evidence.least)
    if not (verdict.passed and edit.files and lacking):
        return verdict
    tried = _tried(ws, shard, edit, seen, evidence, judged) if in_question(ws, edit, seen) else Outcome(shard)
    if tried.error:
        raise (Away if tried.away else Trouble)(tried.error)
    last = tried.verdicts[-1] if tried.verdicts else None
    if last and last.passed:
        proven = ruled(verdict, Ruling((), PROOF))
        return replace(proven, covered=last.covered, evidence=tried.verdicts)
    finding = Finding("tests", _fault(lacking, tried, last))
    return replace(verdict, findings=(finding,), proof=(), covered=(), evidence=tried.verdicts)


def summed(ws: Workspace, verdict: Verdict, evidence: Evidence, tests: Mapping[str, str]) -> Verdict:
    """Return the verdict on a sum of edits that passed every check, with what the generated tests (path to text) of
    its parts say of it."""
    edit, seen = verdict.edit, joined(verdict.covered)
    if not (verdict.passed and edit.files):
        return verdict
    if tests:
        whole = ws.over(edit).over(Edit(tests))
        runs = (apart(whole, evidence.command, evidence.timeout, list(tests), edit) for _ in range(2))
        run = next((run for run in runs if not amiss(run)), None)
        if run is None:
            failed = apart(whole, evidence.command, evidence.timeout, list(tests))
            told = f"with the sum, generated tests of its parts: {amiss(failed)}\n{failed.out.strip()[-SHOWN:]}"
            return replace(verdict, findings=(Finding("tests", told),), proof=(), covered=())
        seen = gained(seen, traced(whole, edit, run))
    if lacking := bare(seen, evidence.least):
        return replace(verdict, findings=(Finding("tests", lacking),), proof=(), covered=())
    alone = [f"{one.path}:{first}" for one in seen for first, _ in one.generated]
    more = f" and {len(alone) - NAMED} more" if len(alone) > NAMED else ""
    proof = f"evidence: executed by generated tests only: {', '.join(alone[:NAMED])}{more}" if alone else ""
    return replace(ruled(verdict, Ruling((), proof)), covered=seen)


def _tried(
    ws: Workspace, shard: Shard, edit: Edit, seen: tuple[Covered, ...], evidence: Evidence, judged: Judged
) -> Outcome:
    """Return the attempts at a test."""
    path = place(ws, shard, evidence.keep)
    writer = Characterise(evidence.model, path, edit, seen, evidence.runner)
    check = Pinned(evidence.command, evidence.timeout, edit, seen, evidence.least)
    return refine(
        ws, shard, writer, lambda ws, shard, test: judged(ws, shard, test, [check]), attempts=evidence.attempts
    )


def _fault(lacking: str, tried: Outcome, last: Verdict | None) -> str:
    if not last:
        return f"{lacking}. {tried.skipped or 'A generated test cannot show what they did before'}"
    told = last.findings[0]
    if told.judge == DIFFERS:
        text = "".join(text or "" for text in last.edit.files.values())
        return (
            f"a test that passes on the code as it was fails with this edit, which changes what the code does:\n"
            f"{text.strip()[-SHOWN:]}\n\n{told.message}"
        )
    return f"{lacking}. No generated test is evidence: {told.message}"
