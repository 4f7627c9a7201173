"""Which things of other modules some code uses, from `ast`: names are followed to the imports that bind them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from operators.syntax.outline import Lines, parse

Dotted = tuple[int, str]
"""How many leading dots an import has, and the dotted name of the thing itself: `from ..a import b` is (2, "a.b")."""

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_SCOPES = _FUNCTIONS | ast.ClassDef
_NAMING = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.ExceptHandler | ast.MatchAs | ast.MatchStar


@dataclass(slots=True)
class _Scope:
    names: dict[str, list[Dotted]]
    """Each name that is bound here, to what it may be imported from; to nothing when it is bound otherwise."""
    of_class: bool = False
    free: set[str] = field(default_factory=set)
    """Names that it declares to be another scope's."""


def used(text: str, parts: Sequence[Sequence[Lines]]) -> list[list[Dotted]]:
    """Return for each part of a module, told as lines (none: all of it), what it uses that is imported, in the order
    of first use, attributes included: `m.f` after `from a import m` is (0, "a.m.f").

    A name that is also bound otherwise where it is looked up is left out, and so is what a star imports. Raises Skip
    when the text does not parse.
    """
    tree = parse(text)
    uses = list(_uses(tree, (_scope(tree),)))
    return [
        list(dict.fromkeys(one for number, one in uses if not spans or any(a <= number <= b for a, b in spans)))
        for spans in parts
    ]


def _uses(node: ast.AST, scopes: tuple[_Scope, ...]) -> Iterator[tuple[int, Dotted]]:
    """Yield the line and name of each use below a node, `scopes` being those around it, innermost last."""
    if isinstance(node, ast.Attribute | ast.Name):
        first, rest = _unwound(node)
        if isinstance(first, ast.Name):
            for level, dotted in _imported(first.id, scopes):
                yield node.lineno, (level, ".".join([dotted, *rest]))
            return
    inner = scopes
    if isinstance(node, _SCOPES | _COMPREHENSIONS):
        inner = (*scopes, _scope(node))
    own = {id(child) for child in _body(node)}
    for child in ast.iter_child_nodes(node):
        yield from _uses(child, inner if id(child) in own else scopes)


def _unwound(node: ast.expr) -> tuple[ast.expr, list[str]]:
    """Return what stands before the first dot of `a.b.c`, and the names behind it."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return node, names


def _imported(name: str, scopes: Sequence[_Scope]) -> list[Dotted]:
    for number, scope in enumerate(reversed(scopes)):
        if name in scope.names and name not in scope.free and not (scope.of_class and number):
            return scope.names[name]
    return []


def _body(node: ast.AST) -> list[ast.AST]:
    """Return the children of a node that are looked up in its own scope: decorators, defaults and bases are not."""
    if isinstance(node, ast.Lambda):
        return [node.body]
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
        return [*node.body]
    return list(ast.iter_child_nodes(node))


def _scope(node: ast.AST) -> _Scope:
    scope = _Scope({}, isinstance(node, ast.ClassDef))
    if isinstance(node, _FUNCTIONS):
        scope.names.update((one.arg, []) for one in _arguments(node.args))
    otherwise: set[str] = set()
    todo = _body(node)
    while todo:
        child = todo.pop(0)
        if isinstance(child, ast.Import | ast.ImportFrom):
            for name, dotted in bound(child):
                scope.names.setdefault(name, []).append(dotted)
            continue
        otherwise.update(_names(child))
        if isinstance(child, ast.Global | ast.Nonlocal):
            scope.free.update(child.names)
        if not isinstance(child, _SCOPES | _COMPREHENSIONS):
            todo += ast.iter_child_nodes(child)
    scope.names.update((name, []) for name in otherwise)
    return scope


def _arguments(node: ast.arguments) -> list[ast.arg]:
    found = [*node.posonlyargs, *node.args, *node.kwonlyargs, node.vararg, node.kwarg]
    return [one for one in found if one]


def bound(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, Dotted]]:
    """Yield each name that an import binds, and to what."""
    for alias in node.names:
        if isinstance(node, ast.Import):
            whole = alias.name if alias.asname else alias.name.partition(".")[0]
            yield alias.asname or whole, (0, whole)
        elif alias.name != "*":
            yield alias.asname or alias.name, (node.level, ".".join(filter(None, [node.module, alias.name])))


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the names that a node binds by itself, imports aside."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, _NAMING) and node.name:
        yield node.name
    elif isinstance(node, ast.MatchMapping) and node.rest:
        yield node.rest
