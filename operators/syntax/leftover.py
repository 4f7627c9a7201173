"""Where names and patterns still stand in code."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator, Sequence
from io import StringIO

from operators.data import Skip
from operators.source import split
from operators.syntax.atoms import names
from operators.syntax.marks import Code
from operators.syntax.outline import parse

Found = tuple[int, str]  # line, what stands there


def leftover(code: str, wanted: Sequence[str], pattern: str) -> list[Found]:
    """Return each place where one of the names `wanted` stands, or the code of a line matches `pattern`; comments and
    strings are no code, but what stands within the braces of an f-string is.

    A name such as `np.int` or `iteritems` is found as a whole and within longer ones, a name such as `numpy.int` also
    under what it was imported as. Raises Skip when the code does not parse.
    """
    tree = parse(code)
    found = {(line, one) for line, name in _named(Code(tree)) for one in wanted if f".{one}." in f".{name}."}
    if pattern:
        found |= {(line, text) for line, text in matching(_bare(code), pattern)}
    return sorted(found)


def matching(lines: Sequence[str], pattern: str) -> Iterator[Found]:
    """Yield each line in which a pattern matches, with what it matches."""
    for number, line in enumerate(lines, 1):
        if found := re.search(pattern, line):
            yield number, found[0]


def _named(code: Code) -> Iterator[Found]:
    """Yield lines and names, dotted ones as they are written and as they were imported."""
    for spot in code.spots:
        node = spot.node
        match node:
            case ast.Attribute() | ast.Name():
                if isinstance(spot.parent, ast.Attribute):
                    continue
                yield spot.line, _chain(node)
                yield spot.line, code.dotted(node, spot.own)
            case ast.Import(names=every):
                yield from ((node.lineno, one.name) for one in every)
            case ast.ImportFrom(module=module, names=every):
                yield from ((node.lineno, f"{module or ''}.{one.name}") for one in every)
            case _:
                line = getattr(node, "lineno", getattr(spot.parent, "lineno", 0))
                yield from ((line, name.removesuffix("=")) for name in names(node))


def _chain(node: ast.expr) -> str:
    """Write the dotted end of an expression: `a.b` of itself, `c` of `f().c`."""
    match node:
        case ast.Name(name):
            return name
        case ast.Attribute(value, name):
            return f"{_chain(value)}.{name}"
    return ""


def _bare(code: str) -> list[str]:
    """Return the lines with blanks for comments and strings."""
    lines = [line.rstrip("\r\n") for line in split(code)]
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    try:
        for token in tokenize.generate_tokens(StringIO(code).readline):
            if token.type in kinds:
                (first, left), (last, right) = token.start, token.end
                for number in range(first, last + 1):
                    line = lines[number - 1]
                    a, b = left if number == first else 0, right if number == last else len(line)
                    lines[number - 1] = line[:a] + " " * (b - a) + line[b:]
    except (tokenize.TokenError, SyntaxError) as error:
        raise Skip(f"cannot be cut into words: {error}") from None
    return lines
