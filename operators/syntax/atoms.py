"""Compares what a text is made of: its names, its literals and its operators, however they are put together."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from operators.syntax.outline import parse

_FORMS = (
    *(ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
    *(ast.Lambda, ast.IfExp, ast.Await, ast.Yield, ast.YieldFrom, ast.Starred, ast.Slice),
)
_SINGLETONS = (None, True, False, ...)


def differences(before: str, after: str, free: Sequence[str]) -> list[str]:
    """Return, in words, each atom that stands in one of the two texts more often than in the other. `free`: globs of
    names that may come and go. Imports do not count, nor do comparisons, `not`, None, True and False.

    Raises Skip when a text does not parse.
    """
    was, becomes = (Counter(_atoms(parse(text))) for text in (before, after))

    def bound(atom: str) -> bool:
        return not any(fnmatchcase(atom, glob) for glob in free)

    gone = [f"{atom} is gone" for atom in (was - becomes) if bound(atom)]
    return gone + [f"{atom} is new" for atom in (becomes - was) if bound(atom)]


def _atoms(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                yield from names
            case ast.keyword(arg=str(name)):
                yield f"{name}="
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield f"{name}()"
            case ast.Constant(value=value) if not any(value is one for one in _SINGLETONS):
                yield repr(value)
            case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op):
                yield f"operator {type(op).__name__}"
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Invert() as op):
                yield f"operator {type(op).__name__}"
            case ast.FormattedValue(conversion=conversion) if conversion >= 0:
                yield f"!{chr(conversion)}"
            case _ if isinstance(node, _FORMS):
                yield f"a {type(node).__name__}"
