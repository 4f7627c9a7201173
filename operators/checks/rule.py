"""Check: a rule of a linter finds nothing more."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from operators.checks.gone import SHOWN, within
from operators.data import Edit, Finding, Ruling, Shard, Trouble
from operators.proc import ended, run
from operators.workspace import NoCommand, Workspace

SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Rule:
    """A postcondition: ruff, asked for one rule only, finds nothing in the shard's lines, whatever the repository's
    configuration and `noqa` say. Asked also when nothing was changed. ruff reads the text; none of it is run."""

    rule: str
    """Such as `UP031`."""

    local = True
    postcondition = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        """Raise NoCommand when ruff is installed nowhere, Trouble when it does not know the rule."""
        findings: list[Finding] = []
        for path in shard.paths:
            text = ws.text(path)
            if text is not None and path.endswith((".py", ".pyi")):
                found = [place for place in self._found(ws, path, text) if within(ws, shard, path, place[0])]
                findings += [
                    Finding("rule", f"{self.rule} must be gone here: {message}", f"{path}:{line}")
                    for line, message in found[:SHOWN]
                ]
        return Ruling(tuple(findings), f"rule: ruff finds no {self.rule}")

    def _found(self, ws: Workspace, path: str, text: str) -> Iterator[tuple[int, str]]:
        asked = ["check", "--isolated", "--no-cache", "--ignore-noqa", "--select", self.rule]
        argv = [_ruff(ws.base.python), *asked, "--output-format", "json", "--stdin-filename", path, "-"]
        stdin = text.encode(errors="surrogatepass")
        done = run(argv, cwd=Path("/"), env={"LC_ALL": "C.UTF-8"}, timeout=SECONDS, stdin=stdin)
        try:
            found = json.loads(done.out)
        except ValueError:  # an error, or a warning that nothing is looked for
            found = None
        if done.code not in {0, 1} or found is None:
            raise Trouble(f"ruff cannot look for {self.rule} ({ended(done.code)}): {done.out.strip()[:500]}")
        for one in found:
            if str(one["code"]).startswith(self.rule):
                yield int(one["location"]["row"]), str(one["message"])


def _ruff(python: str) -> str:
    """Return the program: that of the repository's environment, else ours. Raises NoCommand."""
    homes = [str(Path(one).parent) for one in (python, sys.executable) if one]
    found = shutil.which("ruff", path=os.pathsep.join([*homes, os.defpath]))
    if not found:
        raise NoCommand(
            "ruff, which a check asks for a rule, is not installed: add it to the job's environment.install"
        )
    return found
