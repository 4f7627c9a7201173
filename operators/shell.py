"""Operator: run a command in the checkout and take what it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from operators.checkout import NotAFile
from operators.data import Edit, Shard, Skip, Verdict
from operators.source import decode
from operators.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Shell:
    command: str
    """Run by /bin/sh in the checkout's root; `{paths}` stands for the shard's files."""
    timeout: float = 600.0

    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        """Raise NoCommand when the command is not installed."""
        if past:
            return None
        own = ws.tree()
        done = ws.run(own, self.command, shard.paths, self.timeout)
        if done.code:
            how = f"took more than {self.timeout:.0f} s" if done.timed_out else f"ended with exit code {done.code}"
            return Edit({}, trouble=f"`{self.command}` {how}:\n{done.out[-4000:].strip()}")
        try:
            changed = own.changed()
            if odd := [path for path in changed if _odd(path)]:
                raise NotAFile(repr(odd[0]))
            files = {path: None if data is None else decode(data, path).text for path, data in changed.items()}
        except (NotAFile, Skip) as why:
            return Edit({}, trouble=f"`{self.command}` left something that is not source code: {why}")
        return Edit(files) if files else None


def _odd(name: str) -> bool:
    """Say whether planning would leave out a file of this name."""
    return any(ord(character) < 32 or "\ud800" <= character <= "\udfff" for character in name)
