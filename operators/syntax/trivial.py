"""Conditions that hold whatever the code does."""

from __future__ import annotations

import ast


def trivial(test: ast.expr) -> bool:
    """Say whether a condition holds by its form alone: `True`, `x == x`, `x or True`, `(x == 1, "message")`."""
    match test:
        case ast.Constant(value):
            return bool(value)
        case ast.UnaryOp(ast.Not(), inner):
            return never(inner)
        case ast.BoolOp(ast.Or(), values):
            return any(map(trivial, values))
        case ast.BoolOp(ast.And(), values):
            return all(map(trivial, values))
        case ast.IfExp(_, body, other):
            return trivial(body) and trivial(other)
        case ast.NamedExpr(_, value):
            return trivial(value)
        case ast.Tuple(elts) | ast.List(elts) | ast.Set(elts):
            return any(not isinstance(one, ast.Starred) for one in elts)
        case ast.Dict(keys):
            return any(keys)
        case ast.Lambda() | ast.GeneratorExp():
            return True
        case ast.Call(ast.Name("bool"), [value]):
            return trivial(value)
        case ast.Call(ast.Name("isinstance"), [_, ast.Name("object")]):
            return True
        case ast.Compare(left, [operator], [right]):
            return _compares(left, operator, right)
    return False


def never(test: ast.expr) -> bool:
    """Say whether a condition is false by its form alone."""
    match test:
        case ast.Constant(value):
            return not value
        case ast.UnaryOp(ast.Not(), inner):
            return trivial(inner)
        case ast.BoolOp(ast.And(), values):
            return any(map(never, values))
        case ast.Tuple([]) | ast.List([]) | ast.Dict([]):
            return True
        case ast.Compare(left, [ast.NotEq() | ast.IsNot() | ast.Lt() | ast.Gt()], [right]):
            return _same(left, right)
    return False


def _compares(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> bool:
    match operator, left, right:
        case ((ast.Eq() | ast.Is() | ast.LtE() | ast.GtE()), _, _) if _same(left, right):
            return True
        case _, ast.Constant(), ast.Constant():
            return True  # or never: nothing of the code is in it
        case ast.In(), _, ast.List(elts) | ast.Tuple(elts) | ast.Set(elts):
            return any(_same(left, one) for one in elts)
        case ast.GtE(), ast.Call(ast.Name("len"), [_]), ast.Constant(0):
            return True
        case ast.Gt(), ast.Call(ast.Name("len"), [_]), ast.UnaryOp(ast.USub(), ast.Constant(1)):
            return True
        case ast.IsNot(), ast.Constant() | ast.List() | ast.Tuple() | ast.Dict() | ast.JoinedStr(), ast.Constant(None):
            return True
    return False


def _same(left: ast.expr, right: ast.expr) -> bool:
    return ast.unparse(left) == ast.unparse(right)
