"""Makes LibCST's transformers cheaper to create.

Each new one is searched, attribute by attribute and four times over, for matcher decorators: 10 ms, and codemods make
one per node (ConvertFormatStringCommand spent four fifths of its time on it). What a class decorates does not change,
so the answer "nothing" is remembered by class. Where a LibCST has other internals, nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libcst.matchers import _visitors

SEARCHES = ("_gather_matchers", "_gather_constructed_visit_funcs", "_gather_constructed_leave_funcs")


def install() -> None:
    """Wrap the searches; to be called once in a process."""
    for name in SEARCHES:
        search = getattr(_visitors, name, None)
        if search:
            setattr(_visitors, name, _remembering(search))


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
