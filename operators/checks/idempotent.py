"""Check: the operator has nothing to change in its own output."""

from __future__ import annotations

from dataclasses import dataclass

from operators.data import Edit, Finding, Operator, Ruling, Shard, Skip
from operators.hunks import diff
from operators.source import split
from operators.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Idempotent:
    """Applied to its own output, the operator changes nothing. Asked of the steps that do not wait for a model: a
    model's second answer says little about its first."""

    operator: Operator

    local = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        try:
            again = self.operator.propose(ws, shard, ())
        except Skip as why:
            return Ruling((Finding("idempotent", f"The output cannot be worked on again: {why}."),))
        if again and again.trouble:
            return Ruling((Finding("idempotent", f"Applied to its own output: {again.trouble}"),))
        findings = [
            Finding("idempotent", "Applied to its own output, the operator changes it once more.", place)
            for path, text in (again.files if again else {}).items()
            for place in [f"{path}:{_line(ws.text(path) or '', text or '')}"]
        ]
        return Ruling(tuple(findings), "idempotent: a second run changes nothing")


def _line(before: str, after: str) -> int:
    hunks = diff(split(before), split(after))
    return hunks[0].first + 1 if hunks else 1
