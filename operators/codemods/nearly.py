"""`assertAlmostEqual` and `assertNotAlmostEqual` as conditions that hold for exactly the same values.

unittest takes equal values for almost equal before it subtracts them: `inf - inf` is not zero, and a Decimal has no
difference from the float that it equals. So the comparison has to stay, unless both sides are numbers for certain and
one of them is finite; and then both sides are evaluated twice, which calls must not be. Values that must not be almost
equal need it less: that they are equal is as bad as that they cannot be subtracted.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence

import libcst as cst

from operators.codemods.layout import BELOW_COMPARISON, breaks, operand, parsed_expression, text

NUMBERS = ("abs", "round", "complex", "float", "int", "len")
"""The builtins that are written here, or whose results are known to be numbers."""
_PLACES = "7"  # the default of unittest
_STILL = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.UnaryOp, ast.BinOp)
_OTHER = (ast.operator, ast.unaryop, ast.expr_context)
_TIGHT = (cst.Multiply, cst.Divide, cst.FloorDivide, cst.Modulo, cst.Power, cst.MatrixMultiply)

_Values = Sequence[cst.BaseExpression]
_Options = Mapping[str, cst.BaseExpression]


def near(values: _Values, options: _Options, _: cst.BaseParenthesizableWhitespace) -> cst.BaseExpression | None:
    numbers = all(_number(parsed_expression(value)) for value in values)
    return _condition(values, options, "{} or ", ("<=", "=="), numbers)


def far(values: _Values, options: _Options, _: cst.BaseParenthesizableWhitespace) -> cst.BaseExpression | None:
    return _condition(values, options, "not {} and ", (">", "!="), True)


def _condition(
    values: _Values, options: _Options, shortcut: str, operators: tuple[str, str], numbers: bool
) -> cst.BaseExpression | None:
    given = {name: value for name, value in options.items() if text(value) != "None"}
    if breaks(*values, *given.values()) or len(given) > 1:
        return None
    difference = "abs({} - {})".format(*(text(_term(value)) for value in values))
    if "delta" in given:
        if not isinstance(given["delta"], cst.BaseNumber | cst.Call | cst.BinaryOperation):
            return None  # a name may stand for None
        test = f"{difference} {operators[0]} {text(operand(given['delta'], BELOW_COMPARISON))}"
    else:
        places = text(given["places"]) if given else _PLACES
        if not places.isdecimal():
            return None
        test = f"round({difference}, {places}) {operators[1]} 0"
    if numbers and any(_finite(parsed_expression(value)) for value in values):
        return cst.parse_expression(test)
    if not all(isinstance(node, _STILL + _OTHER) for value in values for node in ast.walk(parsed_expression(value))):
        return None
    equal = " == ".join(text(operand(value, BELOW_COMPARISON)) for value in values)
    return cst.parse_expression(shortcut.format(equal) + test)


def _term(value: cst.BaseExpression) -> cst.BaseExpression:
    sum_or_looser = isinstance(value, cst.BinaryOperation) and not isinstance(value.operator, _TIGHT)
    return operand(value, (*BELOW_COMPARISON, cst.BinaryOperation) if sum_or_looser else BELOW_COMPARISON)


def _finite(node: ast.expr) -> bool:
    """Whether this is a number written out, and far from where arithmetic overflows."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and abs(node.value) < 1e100
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub | ast.UAdd) and _finite(node.operand)
    return (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div)
        and all(map(_finite, (node.left, node.right)))
    )


def _number(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in NUMBERS[2:]
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div(), right=right):
            return _number(left) and _number(right)
    return _finite(node)
