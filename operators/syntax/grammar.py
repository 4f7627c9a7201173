"""Writes the grammar of answers that use no other words than a piece of code does."""

from __future__ import annotations

import keyword
import re
import tokenize
from collections.abc import Iterator, Sequence

from operators.source import split
from operators.syntax.outline import parse
from operators.syntax.words import words

# Lark as llguidance reads it: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
SIMPLE = "start: (line NL)* line | (line NL)* header (NL INDENT line)+"
COMPOUND = "start: INDENT? line (NLS INDENT? line)*"
RULES = r"""
header: words ":" COMMENT?
line: words COMMENT?
words: (first between*)? (WORD between+)* WORD?
first: SIGN | group
between: SIGN | SPACES | group
group: "(" inside ")" | "[" inside "]" | "{" inside "}"
inside: apart* (WORD apart+)* WORD?
apart: between | COMMENT? NL
SIGN: /[,.:;=<>!+*\/%&|^~@\\-]/
SPACES: / +/
NL: /\n/
NLS: /\n+/
INDENT: /[ \t]+/
"""
_APART = re.compile(r"[!-;=?@\[-`{-~]|[\0-\x1f]")  # what a regular expression would not take for itself


def copying(code: str, free: Sequence[str], gone: str = "") -> str:
    """Return a Lark grammar of code whose names and literals all stand in `code`, or are keywords or `free` ones; what
    begins in a match of the pattern `gone` must be free.

    Brackets are balanced, and a line ends inside of them or where a statement does. Where `code` is a simple statement,
    so are the answers, apart from imports above and a block around it. That leaves a small model the choice of what
    goes where, and no way to misspell it. Raises Skip when `code` does not parse.
    """
    simple = not any(hasattr(statement, "body") for statement in parse(code).body)
    kinds = {tokenize.NAME, tokenize.NUMBER, tokenize.STRING}
    found = list(words(code))
    comments = {word.text for word in found if word.kind == tokenize.COMMENT}
    own = {word.text for word in found if word.kind in kinds} - set(_matched(code, gone))
    rules = (SIMPLE if simple else COMPOUND) + (RULES if comments else RULES.replace(" COMMENT?", ""))
    return f"{rules}WORD: {_any({*own, *keyword.kwlist, *free})}\n" + (
        f"COMMENT: {_any(comments)}\n" if comments else ""
    )


def _any(words: set[str]) -> str:
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return f"/{'|'.join(_APART.sub(_escaped, word) for word in longest_first)}/"


def _escaped(match: re.Match[str]) -> str:
    return f"\\x{ord(match[0]):02x}"


def _matched(code: str, pattern: str) -> Iterator[str]:
    """Yield the names that begin in a match of the pattern."""
    for line in split(code) if pattern else ():
        for match in re.finditer(pattern, line):
            yield from (name[0] for name in re.finditer(r"\w+", line) if match.start() <= name.start() < match.end())
