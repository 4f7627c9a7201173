"""Code in which some statements do something else than they say: a test that still passes does not notice them."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Sequence

from operators.syntax.cases import FUNCTIONS
from operators.syntax.outline import Lines, parse

# Another value of the same kind, so that what uses it goes on as far as it can and only its result is wrong.
_OTHER = """\
(lambda it: not it if isinstance(it, bool) else it + 1 if isinstance(it, (int, float, complex))
 else it + '?' if isinstance(it, str) else it + b'?' if isinstance(it, bytes) else object() if it is None else None)(it)
"""
_CODING = re.compile(r"[ \t\f]*#.*?coding[:=][ \t]*[-\w.]+")  # PEP 263


def broken(text: str, groups: Sequence[Sequence[Lines]]) -> list[str]:
    """Return the module once for each group of statements, with these broken; "" where that leaves it as it is.

    A statement is told by its first and last line, of a compound one those of its header. Only statements of functions
    are broken: what runs when a module is imported is noticed by whoever imports it. Raises Skip.
    """
    parse(text)
    return [_broken(text, {first for first, _ in group}) for group in groups]


def rewritten(text: str) -> str:
    """Return the module as `broken` writes one, nothing in it broken. Raises Skip."""
    return _written(text, parse(text))


def _broken(text: str, first: Collection[int]) -> str:
    breaker = _Breaker(first)
    tree = parse(text)
    breaker.visit(tree)
    return _written(text, tree) if breaker.count else ""


def _written(text: str, tree: ast.Module) -> str:
    """Comments are lost, but for one that says how the file is encoded."""
    coding = [line for line in text.split("\n")[:2] if _CODING.match(line)]
    return "\n".join([*coding, ast.unparse(ast.fix_missing_locations(tree)), ""])


class _Breaker(ast.NodeTransformer):
    def __init__(self, first: Collection[int]) -> None:
        self._first, self._within = first, 0
        self.count = 0

    def visit(self, node: ast.AST) -> ast.AST:
        function = isinstance(node, FUNCTIONS)
        here = self._within and isinstance(node, ast.stmt | ast.ExceptHandler) and self._begin(node) in self._first
        self._within += function
        made = self.generic_visit(node)
        self._within -= function
        if not here or isinstance(node, ast.Try | ast.TryStar):  # `try:` does nothing by itself
            return made
        self.count += 1
        return ast.copy_location(_wrong(made), node)

    def _begin(self, node: ast.stmt | ast.ExceptHandler) -> int:
        decorators: list[ast.expr] = getattr(node, "decorator_list", [])
        return min([node.lineno, *(one.lineno for one in decorators)])


def _wrong(node: ast.AST) -> ast.AST:
    """Return a statement, whose inner ones stay, that does something else."""
    match node:
        case ast.Return() | ast.Assign() | ast.AugAssign() | ast.AnnAssign(value=ast.expr()):
            node.value = _other(node.value)
        case ast.Expr(ast.Yield() as inner):
            inner.value = _other(inner.value)
        case ast.If(test) | ast.Assert(test):
            node.test = ast.UnaryOp(ast.Not(), test)
        case ast.While():
            node.test = ast.Constant(False)  # and no loop without an end
        case ast.For():
            node.iter = ast.Tuple([], ast.Load())
        case ast.Match(subject):
            node.subject = _other(subject)
        case ast.ExceptHandler():
            node.type = ast.Tuple([], ast.Load())
        case ast.With(_, body):
            return ast.If(ast.Constant(True), body, [])
        case _:
            return ast.Pass()
    return node


def _other(value: ast.expr | None) -> ast.expr:
    call = ast.parse(_OTHER.strip(), mode="eval").body
    assert isinstance(call, ast.Call)
    call.args = [value or ast.Constant(None)]
    return call
