"""Who may wait for the AssertionError of a failure, anywhere in a file: pytest's own exception would pass them by."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache

from operators.codemods.bindings import module
from operators.codemods.raises import CATCHING, may_catch

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Waiting:
    caught: bool
    """Whether something catches, or expects, a class of errors that AssertionError may be of."""
    handed: Set[str]
    """Names of functions that somebody else may call, who may wait: what is not simply called, and what is defined
    within a function and is no plain function."""

    def by(self, functions: Set[str]) -> bool:
        """Whether what one of these raises may be waited for."""
        return self.caught or not self.handed.isdisjoint(functions)


@lru_cache(maxsize=2)
def read(source: str) -> Waiting:
    """Raises SkipFile when this Python cannot parse `source`."""
    nodes = list(ast.walk(module(source)))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    handed = {name for node in nodes if id(node) not in called for name in _read(node)}
    for node in nodes:
        if isinstance(node, _Function):
            handed.update(_inner(node))
    return Waiting(any(may_catch(ast.unparse(kind)) for node in nodes for kind in _caught(node)), handed)


def _caught(node: ast.AST) -> Iterator[ast.expr]:
    """The classes that this catches. A bare `except` takes pytest's exceptions as well."""
    match node:
        case ast.ExceptHandler(type=ast.expr() as kind):
            yield kind
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if CATCHING.search(name):
            yield from node.args[:1]
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "expected_exception")


def _read(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name, ctx=ast.Load()):
            yield name
        case ast.Constant(value=str(name)) if name.isidentifier():  # for getattr
            yield name


def _inner(function: _Function) -> Iterator[str]:
    for node in ast.walk(function):
        match node:
            case ast.ClassDef():
                yield from (child.name for child in node.body if isinstance(child, _Function))
            case ast.AsyncFunctionDef(name=name) if node is not function:
                yield name
            case ast.FunctionDef(name=name) if node is not function and (node.decorator_list or _generates(node)):
                yield name


def _generates(function: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function))


# What a decorator is called that may catch errors.
_CATCHES = re.compile(r"raises|suppress|expect|fail|flaky|retry", re.IGNORECASE)


def catches(decorator: str, origin: str) -> bool:
    """Whether a decorator, by its code and by where it comes from, may wait for errors."""
    if origin.partition(".")[0] in ("unittest", "pytest"):
        return "raises" in decorator
    return "AssertionError" in decorator or bool(_CATCHES.search(decorator.partition("(")[0]))
