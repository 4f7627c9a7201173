"""Check: what was edited still parses, and what was not edited comes back byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from operators import guard
from operators.data import Edit, Finding, Ruling, Shard, Skip
from operators.hunks import diff
from operators.source import ending, split
from operators.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Parses:
    """Python files parse with the repository's Python, which can compile them if it could before, and with LibCST; line
    endings and the end of the file are as before."""

    local = True

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        findings = [
            Finding("parses", message, path)
            for path, text in edit.files.items()
            if text is not None
            for message in _faults(ws, path, text)
        ]
        return Ruling(tuple(findings), "parses: Python and LibCST read it, untouched lines are the same bytes")


def _faults(ws: Workspace, path: str, text: str) -> Iterator[str]:
    before = ws.base_text(path) or ""
    yield from _unkept(before, text)
    if path.endswith((".py", ".pyi")):
        try:
            guard.call("module:check", before=before, after=text, python=ws.base.parser)
        except Skip as why:
            yield f"{str(why)[:1].upper()}{str(why)[1:]}."


def _unkept(before: str, after: str) -> Iterator[str]:
    """Name what changed in lines that were not edited."""
    old, new = split(before), split(after)
    if before and after and bool(ending(old[-1])) != bool(ending(new[-1])):
        yield f"The file must {'end' if ending(old[-1]) else 'not end'} with a line ending, as before."
    at, shift = 0, 0
    for hunk in [*diff([line.rstrip("\r\n") for line in old], [line.rstrip("\r\n") for line in new]), None]:
        stop = hunk.first if hunk else len(old)
        for number in range(at, stop):
            if ending(old[number]) != ending(new[number + shift]) and number + 1 < len(old):
                yield f"The line ending of line {number + 1} was changed."
                return
        if hunk:
            at, shift = hunk.last, shift + hunk.grows
