"""Operator: a LibCST codemod, run in the guarded child."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from operators import guard
from operators.data import Edit, Shard, Verdict
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
        """Raise Skip when the first of the files cannot be parsed."""
        if past:
            return None  # it would say the same again
        files: dict[str, str | None] = {}
        notes: list[str] = []
        for path in shard.paths:
            text = ws.text(path)
            if text is None or not path.endswith((".py", ".pyi")):
                continue
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
            notes += warnings
            if after != text:
                files[path] = after
        return Edit(files, notes=tuple(notes)) if files else None
