"""Check: what others may use of a module is still there."""

from __future__ import annotations

from dataclasses import dataclass

from operators.checks.compared import compared, faulty, of_tests
from operators.data import Edit, Ruling, Shard
from operators.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Api:
    """Outside of tests public names stay, and functions are called as before: parameters, their kinds and defaults,
    whether they are properties, static, of the class; and `__all__`."""

    allow: tuple[str, ...] = ()
    """Globs of qualified names that may change, with all below them: what the job is about."""

    local = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        own = Edit({path: text for path, text in edit.files.items() if not of_tests(path)})
        found = compared(ws, own, "api:differences", allow=list(self.allow))
        findings = faulty("api", found, "Others may use this: {}. Keep it as it was.")
        return Ruling(findings, "api: public names and how functions are called are as before")
