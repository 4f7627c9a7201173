"""Check: a linter or type checker complains of nothing that it did not complain of before."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from operators.checks.tests import BaseBroken
from operators.data import Edit, Finding, Ruling, Shard
from operators.proc import Result, ended
from operators.workspace import Workspace, brief

SHOWN = 10  # findings
TAIL = 2000  # characters of output in a finding, from its end
# `path:line: text` and `path:line:column: text` of most tools; pyright has ` - ` before the text.
_COMPLAINT = re.compile(r"^\s*(?P<path>[^\s:][^:\n]*):(?P<line>\d+)(?::\d+)?(?::| -) *(?P<text>\S.*?)\s*$", re.M)
_LINE = re.compile(r"\bline \d+")

Complaint = tuple[str, str]  # path, what is said; lines left out, because edits move them


@dataclass(frozen=True, slots=True)
class Complaints:
    """Complaints are lines `path:line: text`, counted by path and text. On the untouched commit there may be any."""

    command: str
    """Run by /bin/sh in the checkout's root, on the untouched commit and with each edit."""
    timeout: float = 600.0

    local = False

    @property
    def fact(self) -> str:
        return f"complaints {self.command}"

    def baseline(self, ws: Workspace) -> dict[str, Any]:
        """Return what is complained of on the untouched commit. Raises BaseBroken, NoCommand."""
        done, found = self._run(ws)
        if why := self._unfit(done, found):
            raise BaseBroken(f"{why} on the untouched commit:\n{done.out.strip()[-TAIL:]}")
        return {"code": done.code, "found": [[*one, len(lines)] for one, lines in found.items()]}

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        before = ws.base.facts.get(self.fact) or self.baseline(Workspace(ws.base))
        known = Counter({(path, text): count for path, text, count in before["found"]})
        done, found = self._run(ws)
        findings = [
            Finding("complaints", f"{brief(self.command)} says, and did not before: {text}", f"{path}:{line}")
            for (path, text), lines in found.items()
            for line in lines[known[path, text] :]
        ]
        if not findings and (why := self._unfit(done, found)) and done.code != before["code"]:
            findings = [Finding("complaints", f"{why}:\n{done.out.strip()[-TAIL:]}")]
        left = sum(map(len, found.values()))
        return Ruling(
            tuple(findings[:SHOWN]),
            f"complaints: {brief(self.command)} says nothing new ({left} known)",
            sandbox=ws.sandbox,
        )

    def _run(self, ws: Workspace) -> tuple[Result, Mapping[Complaint, list[int]]]:
        found: dict[Complaint, list[int]] = defaultdict(list)
        with ws.box() as box:
            done = ws.run(box, self.command, (), self.timeout)
            for one in _COMPLAINT.finditer(done.out):
                if not one["text"].startswith("note:"):
                    path = one["path"].removeprefix(f"{box.code}/").removeprefix("./")
                    found[path, _LINE.sub("line ...", one["text"])].append(int(one["line"]))
        return done, found

    def _unfit(self, done: Result, found: Mapping[Complaint, list[int]]) -> str:
        if done.timed_out:
            return f"{brief(self.command)} took more than {self.timeout:.0f} s"
        if done.code not in {0, 1} or (done.code and not found):
            return f"{brief(self.command)} ended with {ended(done.code)}" + ("" if found else " and named no place")
        return ""
