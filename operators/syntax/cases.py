"""The tests of a file as a runner collects them, and how many cases each of them has."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from operators.syntax.trivial import never, trivial

FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_HIDES = ("fixture", "property", "cached_property", "overload")


@dataclass(frozen=True, slots=True)
class Case:
    node: ast.FunctionDef | ast.AsyncFunctionDef
    sure: bool
    """It stands under no condition."""


def collected(body: Sequence[ast.stmt], prefix: str = "", sure: bool = True) -> dict[str, Case]:
    """Return the tests by qualified name, as pytest and unittest would find them. Of two with one name the last counts,
    and what binds the name again hides it."""
    found: dict[str, Case] = {}
    for node in body:
        if isinstance(node, FUNCTIONS):
            found.pop(f"{prefix}{node.name}", None)
            if node.name.startswith("test") and not any(map(_hides, node.decorator_list)):
                found[f"{prefix}{node.name}"] = Case(node, sure)
        elif isinstance(node, ast.ClassDef):
            for name in [name for name in found if name.startswith(f"{prefix}{node.name}.")]:
                del found[name]
            if _collectable(node):
                found |= collected(node.body, f"{prefix}{node.name}.", sure)
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
            for inner, always in _branches(node):
                found |= collected(inner, prefix, sure and always)
        else:
            for name in _rebound(node):
                for hidden in [one for one in found if f"{one}.".startswith(f"{prefix}{name}.")]:
                    del found[hidden]
    return found


def _branches(node: ast.stmt) -> Iterator[tuple[list[ast.stmt], bool]]:
    match node:
        case ast.If(test, body, other) if trivial(test) or never(test):
            yield (body if trivial(test) else other), True
        case ast.If(_, body, other):
            yield from ((body, False), (other, False))
        case ast.Try(body, handlers, other, final):
            yield from ((body, True), (other, True), (final, True))
            yield from ((handler.body, False) for handler in handlers)
        case ast.With(_, body):
            yield body, True
        case ast.For(_, _, body) | ast.While(_, body):
            yield body, False


def _hides(decorator: ast.expr) -> bool:
    function = decorator.func if isinstance(decorator, ast.Call) else decorator
    return ast.unparse(function).rpartition(".")[2] in _HIDES


def _collectable(node: ast.ClassDef) -> bool:
    for one in node.body:
        match one:
            case ast.Assign([ast.Name("__test__")], value) if never(value):
                return False
            case ast.FunctionDef("__init__" | "__new__") if not node.bases:
                return False
    return bool(node.bases) or node.name.startswith("Test")


def _rebound(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a simple statement binds anew, or deletes."""
    for one in ast.walk(node):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store | ast.Del):
            yield one.id
        elif isinstance(one, ast.Attribute) and one.attr == "__test__":
            yield ast.unparse(one.value)


def functions(
    body: Sequence[ast.stmt], prefix: str = ""
) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield functions and methods, not those within functions, with their qualified names."""
    for node in body:
        if isinstance(node, FUNCTIONS):
            yield f"{prefix}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from functions(node.body, f"{prefix}{node.name}.")
        else:
            for inner, _ in _branches(node):
                yield from functions(inner, prefix)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int | None:
    """Return how many cases a test is run with, None where its decorators do not tell."""
    counts = []
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func).endswith("parametrize"):
            named = {keyword.arg: keyword.value for keyword in decorator.keywords}
            values = decorator.args[1] if len(decorator.args) > 1 else named.get("argvalues")
            if not isinstance(values, ast.List | ast.Tuple | ast.Set):
                return None
            if any(isinstance(one, ast.Starred) for one in values.elts):
                return None
            counts.append(len(values.elts))
    return prod(counts)
