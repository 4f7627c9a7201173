"""Spares LibCST's codemods work that does nothing. Where a LibCST has other internals, nothing is done.

Each new transformer is searched, attribute by attribute and four times over, for matcher decorators: 10 ms, and
codemods make one per node (ConvertFormatStringCommand spent four fifths of its time on it). What a class decorates does
not change, so the answer "nothing" is remembered by class.

Each codemod is given a copy of its tree, in case a node stands in two places of it: a fifth of what is left. A tree
that comes right from the parser has no such node.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

from libcst import Module
from libcst.codemod import _codemod
from libcst.matchers import _visitors

SEARCHES = ("_gather_matchers", "_gather_constructed_visit_funcs", "_gather_constructed_leave_funcs")


def install() -> None:
    """Wrap what is too slow; to be called once in a process."""
    for name in SEARCHES:
        _wrap(_visitors, name, _remembering)
    _wrap(_codemod, "MetadataWrapper", lambda wrapper: partial(_wrapped, wrapper))


def _wrap(module: ModuleType, name: str, wrapping: Callable[[Any], Any]) -> None:
    if hasattr(module, name):
        setattr(module, name, wrapping(getattr(module, name)))


def parsed(tree: Module) -> Module:
    """Say of a tree, which is returned, that it comes right from the parser and that nobody else needs it."""
    _fresh[:] = [tree]
    return tree


_fresh: list[Module] = []


def _wrapped(wrapper: Callable[..., Any], tree: Module, *args: Any, **settings: Any) -> Any:
    if _fresh and _fresh.pop() is tree:
        settings = {"unsafe_skip_copy": True, **settings}
    return wrapper(tree, *args, **settings)


def _remembering(search: Callable[[object], dict[Any, Any]]) -> Callable[[object], dict[Any, Any]]:
    empty: set[type] = set()

    def remembered(transformer: object) -> dict[Any, Any]:
        if type(transformer) in empty:
            return {}
        found = search(transformer)
        if not found:
            empty.add(type(transformer))
        return found

    return remembered
