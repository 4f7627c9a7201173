"""Code as the words it is written in."""

from __future__ import annotations

import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO

from operators.source import split

LONGEST_LINE = 100  # characters; people break longer ones
_OPENS, _CLOSES = (getattr(tokenize, f"FSTRING_{name}", None) for name in ("START", "END"))  # from 3.12 on
Place = tuple[int, int]  # line from 1, column from 0


@dataclass(frozen=True, slots=True)
class Word:
    kind: int
    """One of the constants of `tokenize`; STRING for an f-string as well."""
    text: str
    start: Place
    end: Place


def words(code: str) -> Iterator[Word]:
    """Yield the tokens of code that parses; an f-string is one."""
    lines, start, depth = split(code), (0, 0), 0
    for token in tokenize.generate_tokens(StringIO(code).readline):
        if token.type == _OPENS:
            start, depth = (start if depth else token.start), depth + 1
        elif token.type == _CLOSES:
            depth -= 1
            if not depth:
                yield Word(tokenize.STRING, _between(lines, start, token.end), start, token.end)
        elif not depth:
            yield Word(token.type, token.string, token.start, token.end)


def _between(lines: Sequence[str], start: Place, end: Place) -> str:
    own = [*lines[start[0] - 1 : end[0]]]
    own[-1] = own[-1][: end[1]]
    return "".join([own[0][start[1] :], *own[1:]])


def on_one_line(code: str) -> str:
    """Return a simple statement on one line; as it is when it has comments or does not fit."""
    line, last, ended = "", None, False
    for word in words(code):
        if word.kind in {tokenize.NL, tokenize.NEWLINE, tokenize.ENDMARKER}:
            ended = ended or word.kind == tokenize.NEWLINE
            continue
        if ended or word.kind in {tokenize.COMMENT, tokenize.INDENT}:
            return code
        if last and word.start[0] == last.end[0]:
            line += " " * (word.start[1] - last.end[1])
        elif last and last.text not in {"(", "[", "{"} and word.text not in {")", "]", "}"}:
            line += " "
        line, last = line + word.text, word
    return line if len(line) <= LONGEST_LINE else code
