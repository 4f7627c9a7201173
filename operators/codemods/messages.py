"""Whether a message may wait: TestCase's methods are called with it, `assert` evaluates it only when it fails."""

from __future__ import annotations

import ast

import libcst as cst

from operators.codemods.facts import Facts
from operators.codemods.layout import parsed_expression

_BUILTINS = {"len", "repr", "str", "type"}
_METHODS = {"format", "join"}


def may_wait(message: cst.BaseExpression, facts: Facts) -> bool:
    """Whether nobody misses the evaluation of `message`: it does nothing but tell what is there."""
    return all(_tells(node, facts) for node in ast.walk(parsed_expression(message)))


def _tells(node: ast.AST, facts: Facts) -> bool:
    match node:
        case ast.NamedExpr() | ast.Await() | ast.Yield() | ast.YieldFrom():
            return False
        case ast.Call(func=ast.Name(id=name)):
            return name in _BUILTINS and facts.means(name, None)
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in _METHODS and bool(node.args or node.keywords)  # thread.join() waits for a thread
        case ast.Call():
            return False
    return True
