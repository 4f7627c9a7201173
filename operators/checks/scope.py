"""Check: only what the job declared has changed in the syntax tree."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from operators.checks.compared import compared
from operators.data import Edit, Finding, Ruling, Shard
from operators.workspace import Workspace

SHOWN = 5  # findings per file


@dataclass(frozen=True, slots=True)
class Scope:
    """What may change; everything else must be the same tree, comments and whitespace included.

    The fields are those of `operators.syntax.scope.Allowed`.
    """

    nodes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    statements: str = ""
    imports: bool = False

    local = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        findings = []
        for path, found in compared(ws, edit, "scope:outside", allowed=asdict(self)):
            faults = [(0, found)] if isinstance(found, str) else found[:SHOWN]
            findings += [
                Finding("scope", f"Outside of what this job may change: {message}.", f"{path}:{line}" if line else path)
                for line, message in faults
            ]
        return Ruling(tuple(findings), "scope: nothing else changed in the syntax tree")
