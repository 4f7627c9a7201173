"""What an edit changes, as lines of a diff and as blocks of changed lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from operators.data import Edit, Skip
from operators.hunks import Hunk, diff
from operators.source import split
from operators.workspace import Workspace

AROUND = 3  # lines of context
LINES = 2000  # of the diff of one file that are kept


class Block(NamedTuple):
    """Lines that stand together, before and after."""

    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """One file of an edit."""

    path: str
    lines: tuple[str, ...]
    """As of a unified diff, the first character telling which kind: `@`, `+`, `-` or a space."""
    added: int
    deleted: int
    blocks: tuple[Block, ...]
    left_out: int = 0
    """Lines of the diff beyond LINES."""

    @property
    def text(self) -> str:
        return "\n".join([f"--- a/{self.path}", f"+++ b/{self.path}", *self.lines])


def changed(ws: Workspace, edit: Edit) -> Iterator[Changed]:
    """Yield the files that an edit changes, compared with the base. Raises GitError where that cannot be read."""
    for path, text in edit.files.items():
        try:
            before = _lines(ws.base_text(path))
        except Skip:  # it was replaced as a whole
            before = []
        yield compared(path, before, _lines(text))


def compared(path: str, before: Sequence[str], after: Sequence[str]) -> Changed:
    """Return what differs between two texts, in lines without their endings."""
    hunks = diff(before, after)
    lines = _unified(before, hunks)
    return Changed(
        path,
        tuple(lines[:LINES]),
        sum(len(hunk.lines) for hunk in hunks),
        sum(hunk.last - hunk.first for hunk in hunks),
        tuple(Block(tuple(before[hunk.first : hunk.last]), hunk.lines) for hunk in hunks),
        max(0, len(lines) - LINES),
    )


def _lines(text: str | None) -> list[str]:
    if text and "\r" not in text:  # the same, and much faster
        return text.removesuffix("\n").split("\n")
    return [line.rstrip("\r\n") for line in split(text or "")]


def _unified(before: Sequence[str], hunks: Iterable[Hunk]) -> list[str]:
    lines: list[str] = []
    grown = 0
    for group in _near(hunks):
        start, stop = max(0, group[0].first - AROUND), min(len(before), group[-1].last + AROUND)
        new = stop - start + sum(hunk.grows for hunk in group)
        lines.append(f"@@ -{_range(start, stop - start)} +{_range(start + grown, new)} @@")
        at = start
        for hunk in group:
            lines += [f" {line}" for line in before[at : hunk.first]]
            lines += [f"-{line}" for line in before[hunk.first : hunk.last]]
            lines += [f"+{line}" for line in hunk.lines]
            at = hunk.last
        lines += [f" {line}" for line in before[at:stop]]
        grown += sum(hunk.grows for hunk in group)
    return lines


def _near(hunks: Iterable[Hunk]) -> Iterator[list[Hunk]]:
    """Yield hunks together whose context meets."""
    group: list[Hunk] = []
    for hunk in hunks:
        if group and hunk.first - group[-1].last > 2 * AROUND:
            yield group
            group = []
        group.append(hunk)
    if group:
        yield group


def _range(start: int, count: int) -> str:
    """Return a range as unified diffs have it: from 1 on, but the line before where there is none."""
    return f"{start + 1 if count else start},{count}"
