"""Check: no secret comes in with an edit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from operators.data import Edit, Finding, Ruling, Shard, Skip
from operators.spot import more_marks
from operators.veil import Rules, Veil, veil_at, veil_of
from operators.workspace import Workspace

MOST = 5  # findings of one kind for a file


@dataclass(frozen=True, slots=True)
class Secrets:
    """An edit holds no secret that its shard's files did not hold before, and no placeholder of one. What it finds does
    not quote them."""

    rules: Rules = field(default_factory=Rules)
    local = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        """Raises Slow."""
        known = veil_at(ws.base.mirror, ws.base.commit, shard.paths, self.rules)
        shown, own = veil_of(ws.base, shard, self.rules), [_before(ws, path) for path in shard.paths]
        others = {value: 0 for value in shown.numbers if not any(value in text for text in own)}  # of context
        findings: list[Finding] = []
        for path, text in edit.files.items():
            if text is None:
                continue
            if path in shard.paths:
                findings += self._file(ws, known, Veil(self.rules, others), path, text)
            else:  # a file that was not there: it holds none at all
                findings += self._file(ws, Veil(self.rules), shown, path, text)
                if self.rules.spot(path) or more_marks("", path):
                    findings.append(Finding("secrets", "The file's name holds what looks like a secret.", path))
        return Ruling(tuple(findings), "secrets: none was added")

    def _file(self, ws: Workspace, known: Veil, others: Veil, path: str, text: str) -> Iterator[Finding]:
        """Yield what is wrong with a file. `others`: what may not be in it however it is written there, unless it was
        before."""
        before = _before(ws, path)
        found = [*(one for one in others.known(text) if text[one.start : one.end] not in before), *known.strange(text)]
        lines = {text.count("\n", 0, one.start) + 1: one.kind for one in found}
        for line, kind in list(lines.items())[:MOST]:
            told = f"Line {line} now holds what looks like a secret ({kind}), and did not before."
            yield Finding("secrets", f"{told} Leave what was there, or read it from outside.", f"{path}:{line}")
        for word in more_marks(before, text):
            numbered = enumerate(text.splitlines(), 1)
            at = next((number for number, line in numbered if word in line.upper() and line not in before), 1)
            told = f"`{word}` stands for what looks like a secret. None may be added, or copied from elsewhere:"
            yield Finding("secrets", f"{told} leave the line as it was, or read it from outside.", f"{path}:{at}")


def _before(ws: Workspace, path: str) -> str:
    try:
        return ws.base_text(path) or ""
    except Skip:
        return ""
