"""Text to LibCST module, believed only when it round-trips."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import libcst

from operators.data import Skip
from operators.hunks import diff
from operators.proc import run
from operators.source import split
from operators.syntax import outline
from operators.syntax.excerpt import excerpt

_PROGRAM = "import ast, sys; ast.parse(sys.stdin.buffer.read())"
Part = tuple[libcst.Module, tuple[int, ...]]  # a tree and, for each line of it, the line's number in the file


def check(before: str, after: str, python: str = "") -> None:
    """Raise Skip unless the interpreter parses `after` and LibCST what differs from `before`."""
    accepted(after, python)
    changed(before, after)


def accepted(text: str, python: str = "") -> None:
    """Raise Skip unless the interpreter `python` (empty: the one that runs this) parses `text`."""
    if not python:
        outline.outline(text)
        return
    done = run([python, "-I", "-c", _PROGRAM], cwd=Path("/"), env={}, stdin=text.encode(), timeout=20)
    if done.code:
        raise Skip(f"does not parse with the environment's Python: {done.out.strip().rpartition(chr(10))[2]}")


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
    """Parse the innermost functions and top-level statements of both texts that differ: equal text is an equal tree,
    and LibCST takes some 3 seconds for a megabyte. Raises Skip."""
    old: list[outline.Lines] = []
    new: list[outline.Lines] = []
    shift = 0
    for hunk in diff(split(before), split(after)):  # with a line around each, so that both sides show the neighbours
        old.append((hunk.first, hunk.last + 1))
        new.append((hunk.first + shift, hunk.first + shift + len(hunk.lines) + 1))
        shift += hunk.grows
    return _part(before, old), _part(after, new)


def _part(text: str, ranges: Sequence[outline.Lines]) -> Part:
    def touched(first: int, last: int) -> bool:
        return any(first <= end and start <= last for start, end in ranges)

    try:
        found = outline.outline(text)
        part = excerpt(text, found, outline.innermost(found.units, touched))
        return module(part.text), part.numbers
    except Skip:  # newer syntax than this Python's, or a class header without its body
        return module(text), tuple(range(1, len(split(text)) + 1))
