"""The loop: propose, judge, propose again with the findings. The product in one function."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from operators.data import (
    Away,
    Check,
    Edit,
    Finding,
    Operator,
    Outcome,
    Postcondition,
    Ruling,
    Shard,
    Skip,
    Timed,
    Verdict,
    told,
)
from operators.workspace import Workspace

Judge = Callable[[Workspace, Shard, Edit], Verdict]


def refine(
    ws: Workspace, shard: Shard, operator: Operator, judge: Judge, *, attempts: int, past: Sequence[Verdict] = ()
) -> Outcome:
    """Let `operator` propose, at most `attempts` times, until the judge finds no fault. Never raises.

    How an operator goes on after a fault, and when it gives up, is its own: for models see operators.attempts.
    """
    begun, start = time.time(), time.monotonic()
    verdicts, skipped, error, away = list(past), "", "", False
    try:
        for _ in range(attempts):
            tried, since = time.time(), time.monotonic()
            edit = operator.propose(ws, shard, verdicts)
            if edit is None:
                untouched = Verdict(Edit({})) if verdicts else judge(ws, shard, Edit({}))
                verdicts += [] if untouched.passed else [untouched]
                break
            verdicts.append(replace(judge(ws, shard, edit), start=tried, seconds=time.monotonic() - since))
            if verdicts[-1].passed:
                break
    except Skip as why:
        skipped = str(why)
    except (Exception, SystemExit) as fault:
        error, away = told(fault), isinstance(fault, Away)
    return Outcome(shard, tuple(verdicts), error, skipped, time.monotonic() - start, away, begun)


def judged(ws: Workspace, shard: Shard, edit: Edit, checks: Sequence[Check]) -> Verdict:
    """Ask the checks in turn, cheapest first, until one finds fault: postconditions alone where nothing was changed."""
    if edit.trouble:
        replied = edit.said or edit.tokens_in  # a model may answer with nothing
        return Verdict(edit, (Finding("reply" if replied else "step", edit.trouble),))
    verdict = Verdict(edit)
    for check in checks:
        if not edit.files and not isinstance(check, Postcondition):
            continue
        verdict = ruled(verdict, timed(check, ws.over(edit), shard, edit))
        if not verdict.passed:
            break
    return verdict


def timed(check: Check, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
    """Return what a check says, with how long it took."""
    since, start = time.monotonic(), time.time()
    ruling = check.judge(ws, shard, edit)
    took = time.monotonic() - since
    return replace(ruling, kind=type(check).__name__.lower(), seconds=took, start=start, whole=took)


def ruled(verdict: Verdict, ruling: Ruling) -> Verdict:
    """Return a verdict with what one more check says."""
    if ruling.kind:
        times = {**verdict.times, ruling.kind: verdict.times.get(ruling.kind, 0.0) + ruling.seconds}
        timed = Timed(ruling.kind, ruling.start, ruling.seconds, ruling.whole, len(ruling.findings))
        verdict = replace(verdict, times=times, timed=(*verdict.timed, timed))
    if ruling.findings:
        return replace(verdict, findings=ruling.findings)
    sandbox = f"sandbox: {ruling.sandbox}" if ruling.sandbox else ""
    proof = dict.fromkeys(line for line in (*verdict.proof, ruling.proof, sandbox) if line)
    last = sorted(proof, key=lambda line: line.startswith("sandbox:"))
    return replace(verdict, proof=tuple(last), covered=(*verdict.covered, *ruling.covered))
