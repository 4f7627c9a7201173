"""Check: a command succeeds."""

from __future__ import annotations

from dataclasses import dataclass

from operators.data import Edit, Finding, Ruling, Shard
from operators.workspace import Workspace, brief

SHOWN = 4000  # characters of output in a finding, from its end


@dataclass(frozen=True, slots=True)
class Command:
    command: str
    """Run by /bin/sh in the checkout's root; `{paths}` stands for the files of the edit."""
    timeout: float = 600.0

    local = False

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        """Raise NoCommand when the command is not installed."""
        paths = tuple(path for path, text in edit.files.items() if text is not None)
        with ws.box() as box:
            done = ws.run(box, self.command, paths, self.timeout)
        if done.code:
            said = done.out.strip()[-SHOWN:]
            return Ruling((Finding("command", f"{brief(self.command)} {done.how(self.timeout)}:\n{said}"),))
        return Ruling((), f"command: {brief(self.command)} passed", ws.sandbox)
