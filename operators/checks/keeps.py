"""Check: names and literals are still there, and no others."""

from __future__ import annotations

from dataclasses import dataclass

from operators import guard
from operators.data import Edit, Finding, Ruling, Shard, Skip
from operators.workspace import Workspace

SHOWN = 5  # findings per file


@dataclass(frozen=True, slots=True)
class Keeps:
    """Each name, literal and operator stands in the file as often as before: a model that copies badly is found out,
    also where no test looks."""

    free: tuple[str, ...] = ()
    """Globs of names that may come and go: what the job is about."""

    local = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        findings = []
        for path, text in edit.files.items():
            if text is None or not path.endswith((".py", ".pyi")):
                continue
            try:
                faults = guard.call(
                    "atoms:differences", before=ws.base_text(path) or "", after=text, free=list(self.free)
                )
            except Skip as why:
                faults = [f"the file cannot be compared: {why}"]
            findings += [Finding("keeps", f"Not as before: {fault}.", path) for fault in faults[:SHOWN]]
        return Ruling(tuple(findings), "keeps: the same names, literals and operators as before")
