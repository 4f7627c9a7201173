"""`Optional[X]` and `Union[X, Y]` written with `|`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import libcst as cst

from operators.codemods.layout import SPACE, breaks, parenthesised, text

_SHORT = 60  # characters; what stood on several lines becomes one when it is no longer


def operands(node: cst.Subscript, optional: bool) -> list[cst.BaseExpression] | None:
    """What the union is of; None for what is not one, like `Union[X]`, or cannot be known, like `Union[*Xs]`."""
    found: list[cst.BaseExpression] = []
    for element in node.slice:
        if not isinstance(element.slice, cst.Index) or element.slice.star:
            return None
        found.append(element.slice.value)
    if optional:
        found = [*found, cst.Name("None")] if len(found) == 1 else []
    return found if len(found) > 1 else None


def union(node: cst.Subscript, parts: Sequence[cst.BaseExpression]) -> cst.BaseExpression:
    """`parts` joined, on the lines of `node`; `node` itself when a comment would be lost."""
    flat = list(dict.fromkeys(leaf for part in parts for leaf in _leaves(part)))
    names = [text(leaf) for leaf in flat]
    flat = [leaf for at, leaf in enumerate(flat) if names[at] != "None" or "None" not in names[:at]]
    if len(flat) < 2:
        return node
    joined = _joined(flat, [SPACE] * len(flat))
    gaps = [element.comma.whitespace_after for element in node.slice if isinstance(element.comma, cst.Comma)]
    opening, closing = node.lbracket.whitespace_after, node.rbracket.whitespace_before
    if len(gaps) == len(node.slice):
        closing = gaps.pop()
    spaces = [opening, *gaps, closing]
    remarks = any("#" in text(space) for space in spaces)
    if remarks or (breaks(*spaces) and (breaks(joined) or len(text(joined)) > _SHORT)):
        between = [gap if breaks(gap) else SPACE for gap in gaps]
        between += [SPACE] * (len(flat) - 1 - len(between))
        joined = parenthesised(_joined(flat, between), opening, closing)
    return joined if text(joined).count("#") == text(node).count("#") else node


def _leaves(node: cst.BaseExpression) -> Iterator[cst.BaseExpression]:
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.BitOr) and not node.lpar:
        yield from _leaves(node.left)
        yield from _leaves(node.right)
    else:
        yield node


def _joined(
    parts: Sequence[cst.BaseExpression], gaps: Sequence[cst.BaseParenthesizableWhitespace]
) -> cst.BaseExpression:
    whole = parts[0]
    for part, gap in zip(parts[1:], gaps, strict=False):
        whole = cst.BinaryOperation(whole, cst.BitOr(whitespace_before=gap), part)
    return whole
