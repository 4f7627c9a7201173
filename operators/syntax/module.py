"""Text to LibCST module, believed only when it round-trips."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import libcst

from operators.data import Skip
from operators.hunks import diff
from operators.proc import run
from operators.source import split
from operators.syntax import outline
from operators.syntax.excerpt import excerpt

# As text, whatever its cookie says. Nothing of it is run.
_PROGRAM = "import sys; compile(sys.stdin.buffer.read().decode(), '', 'exec', int(sys.argv[1]), dont_inherit=True)"
Part = tuple[libcst.Module, tuple[int, ...]]  # a tree and, for each line of it, the line's number in the file


def check(before: str, after: str, python: str = "") -> None:
    """Raise Skip unless the interpreter compiles `after`, or at least parses it where it did not compile `before`
    either, and LibCST parses what differs from `before`."""
    try:
        accepted(after, python, code=True)
    except Skip:
        if _compiles(before, python):
            raise
        accepted(after, python)
    try:
        changed(before, after)
    except Skip:
        module(after)  # it may have mended what did not parse before


def accepted(text: str, python: str = "", *, code: bool = False) -> None:
    """Raise Skip unless the interpreter `python` (empty: the one that runs this) parses `text` or, with `code`, also
    compiles it."""
    if not python:
        (outline.compiles if code else outline.outline)(text)
        return
    flags = 0 if code else ast.PyCF_ONLY_AST
    asked = [python, "-I", "-W", "ignore", "-c", _PROGRAM, str(flags)]
    done = run(asked, cwd=Path("/"), env={}, stdin=text.encode(errors="surrogatepass"), timeout=20)
    if done.code:
        raise Skip(f"does not parse with the environment's Python: {done.out.strip().rpartition(chr(10))[2]}")


def _compiles(text: str, python: str) -> bool:
    try:
        accepted(text, python, code=True)
    except Skip:
        return False
    return True


def module(text: str) -> libcst.Module:
    """Parse with LibCST alone. Raises Skip."""
    try:
        tree = libcst.parse_module(text)
    except libcst.ParserSyntaxError as error:
        raise Skip(f"syntax error on line {error.editor_line}: {error.message}") from None
    if tree.code != text:
        raise Skip("LibCST does not give the same text back")
    return tree


@lru_cache(maxsize=1)  # `parses` asks first, then `scope`
def changed(before: str, after: str) -> tuple[Part, Part]:
    """Parse what differs: the innermost functions and top-level statements that an edit touches, and those next to
    it. Equal text is an equal tree, and LibCST takes some 3 seconds for a megabyte. Raises Skip."""
    lines = split(before)
    old, new = _Touched(), _Touched()
    shift = 0
    for hunk in diff(lines, split(after)):
        above, below = _code(lines, hunk.first - 1, -1), _code(lines, hunk.last, 1)
        old.add((above, below), range(hunk.first, hunk.last))
        new.add((above + shift, below + shift + hunk.grows), range(hunk.first + shift, hunk.last + shift + hunk.grows))
        shift += hunk.grows
    was, becomes = _part(before, old), _part(after, new)
    return (was, becomes) if was and becomes else (_all(before), _all(after))


@dataclass(slots=True)
class _Touched:
    lines: set[int] = field(default_factory=set)
    """What differs. All numbers are 1-based."""
    ranges: list[outline.Lines] = field(default_factory=list)
    """With the code around it."""

    def add(self, around: outline.Lines, inner: range) -> None:
        self.ranges.append((around[0] + 1, around[1] + 1))
        self.lines.update(number + 1 for number in inner)


def _code(lines: Sequence[str], at: int, step: int) -> int:
    """Return the place of the nearest line, from `at` on, that is neither blank nor a comment."""
    while 0 <= at < len(lines) and lines[at].strip()[:1] in {"", "#"}:
        at += step
    return at


def _part(text: str, touched: _Touched) -> Part | None:
    """Return None when only the whole file will do."""

    def wanted(first: int, last: int) -> bool:
        return any(first <= end and start <= last for start, end in touched.ranges)

    try:
        found = outline.outline(text)
        part = excerpt(text, found, outline.innermost(found.units, wanted))
        # A comment between two functions belongs to neither.
        return (module(part.text), part.numbers) if touched.lines.issubset(part.numbers) else None
    except Skip:  # newer syntax than this Python's
        return None


def _all(text: str) -> Part:
    return module(text), tuple(range(1, len(split(text)) + 1))
