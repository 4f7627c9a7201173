"""Why a change is as it is, and what was proved: the answer to `/umbau explain`."""

from __future__ import annotations

from collections.abc import Iterator

from operators.data import Finding, Outcome
from pipelines.data import Change
from pipelines.neutral import code, fenced, prose

PARTS = 10  # that are told one by one
LONGEST = 20_000  # characters


def explain(change: Change, path: str = "") -> str:
    """Tell how the parts of a change came about; those of one file if any are."""
    parts = [part for part in change.parts if path in part.shard.paths] or list(change.parts)
    told = [*(_part(part) for part in parts[:PARTS]), *_whole(change)]
    if len(parts) > PARTS:
        told.append(f"... and {len(parts) - PARTS} more parts: say it in a thread on the file that is meant.")
    text = "\n\n".join(told)
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition("\n\n")[0] + "\n\n..."


def _part(part: Outcome) -> str:
    count, last = len(part.verdicts), part.verdicts[-1]
    asked = sum(bool(verdict.edit.said) for verdict in part.verdicts)
    by = f"a model wrote it, asked {asked} time{'s' * (asked != 1)}" if asked else "a program wrote it, without a model"
    tries = f"{count} attempt{'s' * (count != 1)}"
    lines = [f"**{code(part.shard.name)}**: {by}; {tries}."]
    for finding in dict.fromkeys(finding for verdict in part.verdicts for finding in verdict.findings):
        lines.append(f"It was changed because of what {_judge(finding)} had found:\n\n{fenced(finding.message)}")
    if last.edit.said:
        lines.append(f"The model's words on what is proposed now:\n\n{fenced(last.edit.said)}")
    if last.proof:
        lines.append("Proof of this part:\n\n" + "\n".join(f"- {prose(line)}" for line in last.proof))
    return "\n\n".join(lines)


def _judge(finding: Finding) -> str:
    return f"{code(finding.judge)} ({code(finding.place)})" if finding.place else code(finding.judge)


def _whole(change: Change) -> Iterator[str]:
    if change.proof:
        yield "Proof of the sum:\n\n" + "\n".join(f"- {prose(line)}" for line in change.proof)
    for one in change.covered:
        if one.statements:
            seen = len(one.statements) - len(one.missed)
            yield f"Passing tests execute {seen} of {len(one.statements)} changed statements in {code(one.path)}."
