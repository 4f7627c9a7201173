"""How an expression has to be written to stand somewhere else: which parentheses it needs, where its lines break."""

from __future__ import annotations

import ast
from typing import TypeVar

import libcst as cst

from operators.codemods.bindings import parsed

_Expression = TypeVar("_Expression", bound=cst.BaseExpression)
_EMPTY = cst.Module(body=())

WIDTH = 79  # what stood on several lines becomes one when that fits the narrowest of the usual limits

SPACE = cst.SimpleWhitespace(" ")
NOTHING = cst.SimpleWhitespace("")
INDENTED = cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace("    "))
DEDENTED = cst.ParenthesizedWhitespace(indent=True)

# What binds no tighter than a comparison, `not`, or the comma after the condition of an `assert`.
BELOW_COMMA = (cst.NamedExpr, cst.Yield, cst.GeneratorExp, cst.Tuple)
BELOW_NOT = (*BELOW_COMMA, cst.Lambda, cst.IfExp, cst.BooleanOperation)
BELOW_COMPARISON = (*BELOW_NOT, cst.Comparison)


def text(node: cst.CSTNode) -> str:
    """Return the node's own source text."""
    return _EMPTY.code_for_node(node)


def operand(node: _Expression, loose: tuple[type[cst.CSTNode], ...]) -> _Expression:
    """Parenthesise `node` when it is one of the `loose` types, or when a line would end within it."""
    if node.lpar:
        return node
    if isinstance(node, loose) or _negation_under(node, loose) or dangles(node):
        return parenthesised(node)
    return node


def parenthesised(
    node: _Expression,
    before: cst.BaseParenthesizableWhitespace = NOTHING,
    after: cst.BaseParenthesizableWhitespace = NOTHING,
) -> _Expression:
    # Parentheses that hug the expression already do for both.
    hugged = [text(paren) for paren in (*node.lpar, *node.rpar)] == ["(", ")"]
    left, right = ([], []) if hugged else (node.lpar, node.rpar)
    return node.with_changes(
        lpar=[cst.LeftParen(whitespace_after=before), *left],
        rpar=[*right, cst.RightParen(whitespace_before=after)],
    )


def parsed_expression(node: cst.BaseExpression) -> ast.expr:
    statement = parsed(f"({text(node)})").body[0]
    assert isinstance(statement, ast.Expr)
    return statement.value


def is_string(node: cst.BaseExpression) -> bool:
    """Whether this is a string for certain."""
    match node:
        case cst.SimpleString() | cst.FormattedString() | cst.ConcatenatedString():
            return not text(node).lower().startswith(("b", "rb"))
        case cst.BinaryOperation(left=left, operator=cst.Modulo() | cst.Add()):
            return is_string(left)
        case cst.Call(func=cst.Name(value=name)):
            return name in ("str", "repr")
        case cst.Call(func=cst.Attribute(value=value, attr=cst.Name(value=name))):
            return name in ("format", "join") and is_string(value)
    return False


def dangles(node: cst.CSTNode) -> bool:
    """Whether the text breaks a line outside of brackets, so that it only parses within some."""
    code = text(node)
    if "\n" not in code:
        return False
    try:
        return len(parsed(code).body) != 1
    except SyntaxError:
        return True


def breaks(*nodes: cst.CSTNode) -> bool:
    return any("\n" in text(node) for node in nodes)


def _negation_under(node: cst.CSTNode, loose: tuple[type[cst.CSTNode], ...]) -> bool:
    negation = isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Not)
    return negation and cst.Comparison in loose
