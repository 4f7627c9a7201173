"""Compares what code is made of: its names, its literals and its forms, however they are put together."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from types import EllipsisType
from typing import Any

from operators.syntax.outline import parse

LONGEST = 80  # characters of a literal that are told
HUGE = 1_000  # bits of an integer that Python would not write in decimals
Atom = tuple[str, str]  # where it stands (`Class.method`, "" at the top level), what it is

_DEFINES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_FORMS = (
    *(ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
    *(ast.IfExp, ast.Await, ast.Yield, ast.YieldFrom, ast.Starred, ast.Slice, ast.Subscript, ast.NamedExpr),
    *(ast.JoinedStr, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.For, ast.While, ast.If, ast.Match),
    *(ast.Return, ast.Raise, ast.Delete, ast.Global, ast.Nonlocal, ast.Break, ast.Continue, ast.MatchOr),
    *(ast.MatchSequence, ast.MatchMapping, ast.MatchClass),
)


def differences(before: str, after: str, free: Sequence[str]) -> list[str]:
    """Return, in words, each atom that stands in a function, method or class body, or at the top level, more often in
    one of the two texts than in the other. `free`: globs of names that may come and go; of an argument's name with the
    `=` behind it.

    Not looked at: imports, comparisons, `not`, `assert`, calls, None, True and False, and in which order all stand.
    Raises Skip when a text does not parse.
    """
    was, becomes = (Counter(_atoms(parse(text), "", free)) for text in (before, after))
    gone = [f"{_told(atom)} is gone" for atom in was - becomes]
    return gone + [f"{_told(atom)} is new" for atom in becomes - was]


def _told(atom: Atom) -> str:
    where, what = atom
    short = what if len(what) <= LONGEST else f"{what[: LONGEST - 3]}..."
    return f"in {where}, {short}" if where else short


def _atoms(node: ast.AST, where: str, free: Sequence[str]) -> Iterator[Atom]:
    for name in names(node):
        if not any(fnmatchcase(name, glob) for glob in free):
            yield where, name
    yield from ((where, what) for what in _others(node))
    inner = f"{where}.{node.name}".lstrip(".") if isinstance(node, _DEFINES) else where
    for child in ast.iter_child_nodes(node):
        yield from _atoms(child, inner, free)


def names(node: ast.AST) -> Iterator[str]:
    """Yield the names that stand in a node itself; those of arguments in calls and of class patterns with a `=`."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
            yield name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.keyword(arg=str(name)):
            yield f"{name}="
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name
        case ast.MatchClass(kwd_attrs=every):
            yield from (f"{name}=" for name in every)
        case ast.Global(names=every) | ast.Nonlocal(names=every):
            yield from every


def _others(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Constant(value=value) if not isinstance(value, bool | None | EllipsisType):
            yield _literal(value)
        case ast.BinOp() | ast.AugAssign() | ast.BoolOp() | ast.UnaryOp() if not isinstance(node.op, ast.Not):
            yield f"operator {type(node.op).__name__}"
        case ast.FormattedValue(conversion=conversion) if conversion >= 0:
            yield f"!{chr(conversion)}"
        case ast.keyword(arg=None):
            yield "**"
        case ast.arguments(vararg=vararg, kwonlyargs=only, posonlyargs=first, kwarg=kwarg):
            marks = {"a *argument": vararg, "a **argument": kwarg, "a keyword-only argument": only, "a /": first}
            yield from (mark for mark, there in marks.items() if there)
    if isinstance(node, _FORMS):
        yield f"a {type(node).__name__}"


def _literal(value: Any) -> str:
    return hex(value) if isinstance(value, int) and value.bit_length() > HUGE else repr(value)
