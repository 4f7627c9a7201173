"""Check: nothing was done that would make the other judges see less."""

from __future__ import annotations

from dataclasses import dataclass

from operators.checks.compared import compared, faulty, of_tests
from operators.data import Edit, Finding, Ruling, Shard
from operators.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Honest:
    """Tests find as much as before, and no code came in that makes a green run worthless, stands for what was left out
    or cannot be seen. Rules: `operators.syntax.honest.WHY`."""

    allow: tuple[str, ...] = ()
    """Rules that are not in force."""

    local = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        findings: list[Finding] = []
        for path, text in edit.files.items():
            one, allow = Edit({path: text}), list(self.allow)
            found = compared(ws, one, "honest:faults", test=of_tests(path), allow=allow)
            findings += faulty("honest", found, "{}.")
        left = f" (not looked at: {', '.join(self.allow)})" if self.allow else ""
        return Ruling(tuple(findings), f"honest: no test weakened, nothing faked, hidden or left out{left}")
