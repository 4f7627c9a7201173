"""The pages of the local forge: what a reviewer would see on GitLab, readable from disk."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Literal

from pipelines.pages import environment, visible

if TYPE_CHECKING:
    from pipelines.forges.record import Record

LINES = 5000  # of diff on a page

_ESCAPES = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@(.*)")


@dataclass(frozen=True, slots=True)
class DiffLine:
    kind: Literal["hunk", "add", "del", "same"]
    old: int | None
    new: int | None
    text: str


@dataclass(frozen=True, slots=True)
class FileDiff:
    path: str
    lines: tuple[DiffLine, ...]

    @property
    def added(self) -> int:
        return sum(line.kind == "add" for line in self.lines)

    @property
    def deleted(self) -> int:
        return sum(line.kind == "del" for line in self.lines)


def request_page(record: Record, diff: str, repo: str) -> str:
    """Return the page of one request; `diff` as git prints it, `repo` the folder of the branch. Nothing in it is taken
    for HTML but our own."""
    from markdown_it import MarkdownIt

    body = visible(MarkdownIt("commonmark", {"html": False}).disable("image").render(record.body))
    lines = diff.split("\n")
    files = file_diffs(lines[:LINES])
    return (
        environment("pipelines.forges")
        .get_template("request.html")
        .render(
            record=record,
            body=body,
            files=files,
            left_out=max(0, len(lines) - LINES),
            fetched=quote(repo),
            name=quote(record.name),
        )
    )


def index_page(records: Sequence[tuple[Record, Path]]) -> str:
    """Return the page that lists all requests, newest first; each with the path of its page."""
    return environment("pipelines.forges").get_template("index.html").render(records=list(reversed(records)))


def file_diffs(lines: Sequence[str]) -> list[FileDiff]:
    """Read a unified diff."""
    files: list[FileDiff] = []
    body: list[DiffLine] = []
    path, old, new = "", 0, 0
    for line in [*lines, "diff --git end"]:
        if line.startswith("diff --git "):
            if body:
                files.append(FileDiff(path, tuple(body)))
            path, body = "", []
        elif line.startswith(("--- ", "+++ ")) and not body:
            name = _unquoted(line[4:].rstrip("\t"))
            path = name[2:] if name != "/dev/null" else path
        elif found := _HUNK.match(line):
            old, new = int(found[1]), int(found[2])
            body.append(DiffLine("hunk", None, None, line))
        elif body and line.startswith("+"):
            body.append(DiffLine("add", None, new, line[1:]))
            new += 1
        elif body and line.startswith("-"):
            body.append(DiffLine("del", old, None, line[1:]))
            old += 1
        elif body and line.startswith(" "):
            body.append(DiffLine("same", old, new, line[1:]))
            old, new = old + 1, new + 1
        elif body and line.startswith("\\"):
            body.append(DiffLine("hunk", None, None, line))
    return files


def _unquoted(name: str) -> str:
    """Return a path as it is, which git puts in quotes when it has odd characters."""
    if not name.startswith('"'):
        return name
    plain = re.sub(rb"\\(\d{3}|.)", _character, name.strip('"').encode())
    return plain.decode(errors="replace")


def _character(found: re.Match[bytes]) -> bytes:
    code = found[1]
    return bytes([int(code, 8)]) if code.isdigit() else _ESCAPES.get(code, code)
