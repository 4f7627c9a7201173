"""Operator: a LibCST codemod, run in the guarded child."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from operators import guard
from operators.data import Edit, Shard, Skip, Verdict
from operators.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Codemod:
    name: str
    """Dotted path of a `libcst.codemod.Codemod`, or what comes after `libcst.codemod.commands.`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    reach: Literal["module", "symbol"] = "module"
    """What the codemod must see to do its work: the whole module, or only the function or class that holds a hit,
    with the imports. The second is faster by as much as the first is larger."""
    hits: str = ""
    """The job's detector."""
    home: str = ""
    """Folder in which codemods are looked for as well: the job file's."""

    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        """Raise Skip when none of the files can be worked on; one of several is left out with a note."""
        if past:
            return None  # it would say the same again
        paths = [path for path in shard.paths if path.endswith((".py", ".pyi"))]
        files: dict[str, str | None] = {}
        notes: list[str] = []
        left_out: list[str] = []
        for path in paths:
            try:
                text = ws.text(path)
                after, warnings = self._transformed(ws, shard, path, text) if text is not None else (None, [])
            except Skip as why:
                left_out.append(f"{path}: {why}" if len(paths) > 1 else str(why))
                continue
            notes += warnings
            if after != text:
                files[path] = after
        if left_out and len(left_out) == len(paths):
            raise Skip("; ".join(left_out))
        return Edit(files, notes=(*notes, *left_out)) if files or notes or left_out else None

    def _transformed(self, ws: Workspace, shard: Shard, path: str, text: str) -> tuple[str, list[str]]:
        after, warnings = guard.call(
            "transform:transform",
            name=self.name,
            arguments=dict(self.arguments),
            path=path,
            text=text,
            reach=self.reach,
            hits=self.hits,
            spans=[ws.lines(span) for span in shard.spans if span.path == path],
            python=ws.base.parser,
            home=self.home,
        )
        return after, warnings
