"""Check: a model wrote nothing long that stands in nothing it was shown."""

from __future__ import annotations

from dataclasses import dataclass

from operators.data import Edit, Finding, Ruling, Shard
from operators.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Original:
    """What is long, and foreign to the code, the prompt and the examples, may have been learnt by heart: its licence
    would be another's. Without this check it is only pointed at (operators.foreign)."""

    local = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        told = "this passage stands in nothing that was shown: leave it out, or use what the repository has"
        findings = (Finding("original", told, f"{one.path}:{one.first}-{one.last}") for one in edit.foreign)
        return Ruling(tuple(findings), "original: no long passage that stands in nothing the model was shown")
