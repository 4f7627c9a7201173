"""Between lines as a model writes them, without endings, and a file's text with its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from operators.hunks import Hunk, apply, diff
from operators.source import ending, newline, split

_WORDS = r"\b(?:rest|existing|unchanged|remaining|same|code)\b"
_DOTS = r"(?:\.\.\.|…)"
_PLACEHOLDER = re.compile(
    rf"(?:#|//|<!--)\s*(?:{_DOTS}.*{_WORDS}|.*{_WORDS}.*{_DOTS}|(?:the )?rest of\b.*\bunchanged\b)", re.I
)


def contents(text: str) -> list[str]:
    """Return the lines of a text without their endings."""
    return [line.rstrip("\r\n") for line in split(text)]


def revised(text: str, hunks: Sequence[Hunk]) -> str:
    """Return `text` with the hunks (in order, told without line endings) in it.

    Lines that stay keep their ending and one that takes another's place takes its ending. Further ones end like the
    line before them in the hunk, or as most of the file does; the end of the file stays as it is.
    """
    lines, bare, usual = split(text), contents(text), newline(text)
    parts = [
        Hunk(hunk.first + part.first, hunk.first + part.last, tuple(_ended(lines[hunk.first :], part, usual)))
        for hunk in hunks
        for part in diff(bare[hunk.first : hunk.last], hunk.lines)
    ]
    after = apply([line if ending(line) else line + usual for line in lines], parts)
    if after and lines and not ending(lines[-1]):
        after[-1] = after[-1].rstrip("\r\n")
    return "".join(after)


def placeholder(before: Sequence[str], lines: Sequence[str]) -> str:
    """Return the first of some lines that stands for code that was left out and is not among those of before, or ""."""
    found = [line.strip() for line in lines if _PLACEHOLDER.search(line)]
    known = {line.strip() for line in before} if found else set()
    return next((line for line in found if line not in known), "")


def _ended(lines: Sequence[str], part: Hunk, usual: str) -> Iterator[str]:
    end = (ending(lines[part.first - 1]) if part.first else "") or usual
    for at, line in enumerate(part.lines, part.first):
        end = (ending(lines[at]) if at < part.last else end) or usual
        yield line + end
