"""Which assertions of a test are reached, as its statements run, and can fail it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from operators.syntax.cases import FUNCTIONS
from operators.syntax.claims import condition
from operators.syntax.marks import Code
from operators.syntax.trivial import never, trivial

_ASSERTS = re.compile(r"assert\w*|fail|fail(If|Unless)\w*|raises|warns|deprecated_call|ok_|eq_")
_ENDS = re.compile(r"skip|skipTest|exit|_exit|xfail")
BROAD = ("Exception", "BaseException", "AssertionError")  # what a failed assertion is caught by


def asserted(code: Code, function: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[int, int]:
    """Return how many assertions of a function can fail a test, and how many of them stand under no condition."""
    found = list(_Reach(code, function).block(function.body, True))
    generator = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _shallow(function.body))
    if generator and function.name.startswith("test"):  # unittest calls it and runs nothing of it
        return 0, 0
    return len(found), sum(found)


def broad(code: Code, kind: ast.expr | None, kinds: Sequence[str] = BROAD) -> bool:
    """Say whether an `except` of this type catches a failed assertion. `kind`: None for a bare one."""
    if kind is None:
        return True
    every = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(code.dotted(one) in kinds for one in every)


def swallows(code: Code, handler: ast.ExceptHandler) -> bool:
    """Say whether a failed assertion ends in an `except` and nothing fails instead."""
    fails = any(
        isinstance(node, ast.Raise | ast.Assert) or (isinstance(node, ast.Call) and _ASSERTS.fullmatch(last(node)))
        for node in _shallow(handler.body)
    )
    return broad(code, handler.type) and not fails


def last(call: ast.Call) -> str:
    """Return the last part of what is called."""
    match call.func:
        case ast.Name(name) | ast.Attribute(_, name):
            return name
    return ""


def _shallow(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Yield all nodes that are in no function or class of their own."""
    for node in body:
        yield node
        if not isinstance(node, FUNCTIONS | ast.ClassDef | ast.Lambda):
            yield from _shallow(list(ast.iter_child_nodes(node)))


@dataclass(frozen=True, slots=True)
class _Reach:
    """Follows the statements of a function as they run. Yields for each assertion whether it stands under no
    condition."""

    code: Code
    function: ast.FunctionDef | ast.AsyncFunctionDef

    def block(self, body: Sequence[ast.stmt], sure: bool) -> Iterator[bool]:
        for node in body:
            yield from self.statement(node, sure)
            if isinstance(node, ast.Return | ast.Raise | ast.Continue | ast.Break) or self.ends(node):
                return
            if not isinstance(node, FUNCTIONS | ast.ClassDef) and self.leaves(node):
                sure = False

    def ends(self, node: ast.stmt) -> bool:
        return (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and bool(_ENDS.fullmatch(last(node.value)))
        )

    def leaves(self, node: ast.stmt) -> bool:
        """Say whether a compound statement may end the function."""
        inner = _shallow(list(ast.iter_child_nodes(node)))
        return any(isinstance(one, ast.Return) or (isinstance(one, ast.stmt) and self.ends(one)) for one in inner)

    def statement(self, node: ast.stmt, sure: bool) -> Iterator[bool]:
        match node:
            case ast.FunctionDef(name, _, body) | ast.AsyncFunctionDef(name, _, body) | ast.ClassDef(name, body=body):
                yield from self.block(body, sure) if self.used(name) else ()
            case ast.Assert(test):
                yield from () if trivial(test) else [sure]
                yield from self.calls([test], sure)
            case ast.Raise(exc) if exc and "AssertionError" in ast.unparse(exc):
                yield sure
            case ast.Try() | ast.TryStar():
                yield from self.attempt(node, sure)
            case ast.If() | ast.While() | ast.For() | ast.AsyncFor() | ast.With() | ast.AsyncWith() | ast.Match():
                yield from self.compound(node, sure)
            case _:
                yield from self.calls([node], sure)

    def compound(self, node: ast.stmt, sure: bool) -> Iterator[bool]:
        match node:
            case ast.If(test, body, other):
                yield from self.calls([test], sure)
                yield from () if never(test) else self.block(body, sure and trivial(test))
                yield from () if trivial(test) else self.block(other, sure and never(test))
            case ast.While(test, body, other) | ast.For(_, test, body, other) | ast.AsyncFor(_, test, body, other):
                yield from () if never(test) else self.block(body, sure)
                yield from self.block(other, sure)
            case ast.With(items, body) | ast.AsyncWith(items, body):
                yield from self.calls(items, sure)
                yield from () if any(map(self.suppresses, items)) else self.block(body, sure)
            case ast.Match(_, cases):
                for case in cases:
                    yield from self.block(case.body, False)

    def attempt(self, node: ast.Try | ast.TryStar, sure: bool) -> Iterator[bool]:
        returns = any(isinstance(one, ast.Return) for one in _shallow(node.finalbody))  # which ends any exception
        if not returns and not any(swallows(self.code, handler) for handler in node.handlers):
            yield from self.block(node.body, sure)
        for statements in (node.orelse, node.finalbody):
            yield from self.block(statements, sure)
        for handler in node.handlers:
            yield from self.block(handler.body, False)

    def calls(self, nodes: Sequence[ast.AST], sure: bool) -> Iterator[bool]:
        for top in nodes:
            for node in _shallow([top]):
                if isinstance(node, ast.Call) and _ASSERTS.fullmatch(last(node)) and not empty(node):
                    yield sure

    def suppresses(self, item: ast.withitem) -> bool:
        call = item.context_expr
        return (
            isinstance(call, ast.Call) and last(call) == "suppress" and any(broad(self.code, one) for one in call.args)
        )

    def used(self, name: str) -> bool:
        return any(
            (isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load))
            or (isinstance(node, ast.Attribute) and node.attr == name)
            for node in ast.walk(self.function)
        )


def empty(call: ast.Call) -> bool:
    """Say whether an assertion method of unittest is given what holds whatever the code does."""
    test = condition(call)
    return test is not None and trivial(test)
