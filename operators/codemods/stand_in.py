"""Writes an `assert` statement where a call stood, over the same lines and with the same comments."""

from __future__ import annotations

from collections.abc import Callable

import libcst as cst

from operators.codemods.layout import (
    BELOW_COMMA,
    DEDENTED,
    INDENTED,
    NOTHING,
    SPACE,
    WIDTH,
    breaks,
    operand,
    parenthesised,
    text,
)

Space = cst.BaseParenthesizableWhitespace
Condition = Callable[[Space], cst.BaseExpression | None]


def stand_in(
    call: cst.Call, condition: Condition, message: cst.Arg | None, count: int, indent: int
) -> cst.Assert | None:
    """`condition(gap)` builds the expression, with `gap` between its `count` operands. None when a comment of the
    call would be lost."""
    said = operand(message.value, BELOW_COMMA) if message and text(message.value) != "None" else None
    plain = condition(SPACE)
    if plain is None:
        return None
    gaps = [
        arg.comma.whitespace_after if isinstance(arg.comma, cst.Comma) else arg.whitespace_after_arg
        for arg in call.args
    ]
    spaces = [call.whitespace_before_args, *gaps]
    statement = cst.Assert(plain, said)
    if any("#" in text(space) for space in spaces):
        statement = _same_lines(condition, spaces, said, count)
    elif breaks(*spaces):
        statement = _broken(condition, spaces, said, count, indent)
    kept = text(statement).count("#") == text(call).count("#")
    return statement if kept else None


def _broken(
    condition: Condition, spaces: list[Space], said: cst.BaseExpression | None, count: int, indent: int
) -> cst.Assert:
    plain = _built(condition, SPACE)
    statement = cst.Assert(plain, said)
    if breaks(statement):
        return _same_lines(condition, spaces, said, count)
    if indent + len(text(statement)) <= WIDTH:
        return statement
    if said and indent + len(text(cst.Assert(plain))) + len(", (") <= WIDTH:
        return cst.Assert(plain, parenthesised(said, INDENTED, DEDENTED))
    return cst.Assert(parenthesised(_built(condition, INDENTED), INDENTED, DEDENTED), said)


def _same_lines(condition: Condition, spaces: list[Space], said: cst.BaseExpression | None, count: int) -> cst.Assert:
    opening, between, closing = spaces[0], spaces[1] if count > 1 else SPACE, spaces[-1]
    if not breaks(opening, between):
        return cst.Assert(_built(condition, SPACE), said)
    after = spaces[count]
    if "#" not in text(after):
        after = closing if breaks(opening) else NOTHING
    elif isinstance(after, cst.ParenthesizedWhitespace) and isinstance(closing, cst.ParenthesizedWhitespace):
        after = after.with_changes(indent=closing.indent, last_line=closing.last_line)
    return cst.Assert(parenthesised(_built(condition, between), opening, after), said)


def _built(condition: Condition, gap: Space) -> cst.BaseExpression:
    built = condition(gap if breaks(gap) else SPACE)
    assert built is not None  # it was built before, with another gap
    return built
