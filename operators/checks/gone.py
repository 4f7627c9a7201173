"""Check: what the job is to remove is gone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from operators import guard
from operators.data import Edit, Finding, Ruling, Shard, Skip
from operators.source import split
from operators.workspace import Workspace

SHOWN = 5  # findings per file


@dataclass(frozen=True, slots=True)
class Gone:
    """A postcondition: names, and what a pattern matches, no longer stand in the shard's code. Asked also when nothing
    was changed."""

    names: tuple[str, ...] = ()
    """Such as `iteritems` or `np.int`, each as a whole: `np.int` does not mean `np.int64`."""
    pattern: str = ""
    """Regular expression, looked for line by line."""
    text: bool = False
    """Comments and strings count as well."""

    local = True
    postcondition = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        findings = []
        for path in shard.paths:
            found = [place for place in self._left(ws, path) if within(ws, shard, path, place[0])]
            findings += [
                Finding("gone", f"`{what}` must be gone, and still stands here.", f"{path}:{line}")
                for line, what in found[:SHOWN]
            ]
        named = ", ".join([*self.names, *([f"/{self.pattern}/"] if self.pattern else [])])
        return Ruling(tuple(findings), f"gone: {named}")

    def _left(self, ws: Workspace, path: str) -> Iterator[tuple[int, str]]:
        text = ws.text(path) or ""
        if self.text or not path.endswith((".py", ".pyi")):
            words = [rf"(?<![\w.]){re.escape(name)}(?!\w)" for name in self.names if "." in name]
            words += [rf"\b{re.escape(name)}\b" for name in self.names if "." not in name]
            either = "|".join(f"(?:{one})" for one in [*words, self.pattern] if one)
            lines = split(text)
            yield from (
                (at, hit[0]) for at, line in enumerate(lines, 1) if (hit := re.search(either, line.rstrip("\r\n")))
            )
            return
        try:
            found: Sequence[list[int | str]]
            found = guard.call("leftover:leftover", code=text, wanted=list(self.names), pattern=self.pattern)
        except Skip:
            return  # which `parses` says, with the reason
        yield from ((int(line), str(what)) for line, what in found)


def within(ws: Workspace, shard: Shard, path: str, line: int) -> bool:
    """Say whether a line, as the file reads now, is the shard's."""
    spans = [ws.lines(span) for span in shard.spans if span.path == path]
    return not spans or any(first <= line <= last for first, last in spans)
