"""Check: names and literals are still there, and no others."""

from __future__ import annotations

from dataclasses import dataclass

from operators.checks.compared import faults
from operators.data import Edit, Ruling, Shard
from operators.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Keeps:
    """In each function, method and class body, names, literals and operators stand as often as before: that finds most
    slips of a model that copies, also where no test looks. It does not see what `operators.syntax.atoms` leaves out."""

    free: tuple[str, ...] = ()
    """Globs of names that may come and go: what the job is about."""

    local = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        findings = faults(ws, edit, "keeps", "atoms:differences", free=list(self.free))
        return Ruling(findings, "keeps: the same names, literals and operators as before")
