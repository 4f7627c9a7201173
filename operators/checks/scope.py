"""Check: only what the job declared has changed in the syntax tree."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from operators.checks.compared import compared, faulty
from operators.data import Edit, Ruling, Shard
from operators.workspace import Workspace


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
        found = compared(ws, edit, "scope:outside", allowed=asdict(self))
        findings = faulty("scope", found, "Outside of what this job may change: {}.")
        return Ruling(findings, "scope: nothing else changed in the syntax tree")
