"""Check: only what the job declared has changed in the syntax tree."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from operators import guard
from operators.data import Edit, Finding, Ruling, Shard, Skip
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
        for path, text in edit.files.items():
            if text is None or not path.endswith((".py", ".pyi")):
                continue
            try:
                faults = guard.call("scope:outside", before=ws.base_text(path) or "", after=text, allowed=asdict(self))
            except Skip as why:
                faults = [(0, f"the file cannot be compared: {why}")]
            findings += [
                Finding("scope", f"Outside of what this job may change: {message}.", f"{path}:{line}" if line else path)
                for line, message in faults[:SHOWN]
            ]
        return Ruling(tuple(findings), "scope: nothing else changed in the syntax tree")
