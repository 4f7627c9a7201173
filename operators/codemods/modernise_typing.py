"""From the generic aliases and unions of `typing` to builtin generics (PEP 585) and `|` (PEP 604)."""

from __future__ import annotations

import argparse

import libcst as cst
from libcst.codemod import CodemodContext, VisitorBasedCodemodCommand

from operators.codemods import facts, imports
from operators.codemods.annotations import Annotations
from operators.codemods.bindings import module
from operators.codemods.typing_names import GENERICS, bases, inspects, moved, version


class ModerniseTyping(VisitorBasedCodemodCommand):
    """A file that looks into annotations is left alone: it may tell `Union[int, str]` from `int | str`.

    `python` is the oldest version that the code has to run on. `whole`: the text is a whole module, not an excerpt;
    only then do imports change."""

    DESCRIPTION = "builtin generics and | for the aliases of typing"

    @staticmethod
    def add_args(arg_parser: argparse.ArgumentParser) -> None:
        arg_parser.add_argument("--python", default="3.10", help="oldest Python that the code has to run on")

    def __init__(self, context: CodemodContext, python: str = "3.10", whole: bool = True) -> None:
        super().__init__(context)
        self.python = version(python)
        self.whole = whole

    def transform_module(self, tree: cst.Module) -> cst.Module:
        # Not LibCST's own: that copies the tree for metadata, and its import visitors take longer than all the rest.
        return self.transform_module_impl(tree)

    def transform_module_impl(self, tree: cst.Module) -> cst.Module:
        text = self.context.scratch.get("text", tree.code)
        before = facts.read(text)
        typing = any(_typing(origin) for origin in before.origins.values())
        if self.python < GENERICS or not typing or inspects(before):
            return tree
        elsewhere = moved(module(text), before, self.python) if self.whole else {}
        annotations = Annotations(before, self.python, self.whole, elsewhere, set(bases(module(text))))
        after = cst.ensure_type(tree.visit(annotations), cst.Module)
        if not self.whole:
            return after
        after = imports.dropped(after, elsewhere)
        bound = imports.names(after)
        needs = [
            origin if origin.endswith(f".{name}") else f"{origin} as {name}"
            for name, origin in elsewhere.items()
            if name not in bound
        ]
        for need in sorted({*annotations.needs, *needs}):
            package, _, name = need.rpartition(".")
            after = imports.added(after, f"from {package} import {name}")
        gone = facts.read(tree.code).used - facts.read(after.code).used
        return imports.dropped(after, {name for name in gone if _typing(before.origin_of(name))})


def _typing(origin: str) -> bool:
    return origin.partition(".")[0] == "typing"


EXAMPLES: list[tuple[str, str]] = [
    (
        """\
from typing import Any, Dict, List, Optional, Union


def first(rows: List[Dict[str, Any]], default: Optional[str] = None) -> Union[str, int, None]:
    kinds: List = list(rows)
    return kinds[0] if kinds else default
""",
        """\
from typing import Any


def first(rows: list[dict[str, Any]], default: str | None = None) -> str | int | None:
    kinds: list = list(rows)
    return kinds[0] if kinds else default
""",
    ),
    (
        """\
import typing as t
from typing import Callable, Iterable, Mapping as Table

Rows = t.List[t.Tuple[int, ...]]
Handler = Callable[[Iterable[int]], t.Optional[Table[str, int]]]


def rows(path: str) -> t.Iterator[t.Type[Exception]]:
    return iter(t.cast(t.List[t.Any], read(path)))
""",
        """\
import typing as t
from collections.abc import Callable, Iterable, Iterator, Mapping as Table

Rows = list[tuple[int, ...]]
Handler = Callable[[Iterable[int]], Table[str, int] | None]


def rows(path: str) -> Iterator[type[Exception]]:
    return iter(t.cast(list[t.Any], read(path)))
""",
    ),
    (
        """\
from collections import OrderedDict
from typing import Counter, DefaultDict, Deque, FrozenSet, Set


class Queue:
    waiting: Deque[int]
    seen: Set[int]
    sizes: DefaultDict[str, Counter[int]]
    names: FrozenSet[str] = frozenset()
""",
        """\
from collections import Counter, OrderedDict, defaultdict, deque


class Queue:
    waiting: deque[int]
    seen: set[int]
    sizes: defaultdict[str, Counter[int]]
    names: frozenset[str] = frozenset()
""",
    ),
    (
        """\
from typing import Optional, Union


class Node:
    parent: Optional["Node"]  # a string cannot be joined to None
    value: Union[
        int,  # exact
        float,  # measured
    ]
    left: Optional[Union[int, None]]
    on_change: Optional[callable] = None
    only: Union[int]
""",
        """\
from typing import Optional, Union


class Node:
    parent: Optional["Node"]  # a string cannot be joined to None
    value: (
        int  # exact
        | float  # measured
    )
    left: int | None
    on_change: Optional[callable] = None
    only: Union[int]
""",
    ),
    (
        """\
from __future__ import annotations

from typing import Dict, List, Optional


class Node:
    parent: Optional["Node"]
    children: Dict[str, List["Node"]]
    text: "Optional[str]"
""",
        """\
from __future__ import annotations

from typing import Optional


class Node:
    parent: Node | None
    children: dict[str, list[Node]]
    text: "Optional[str]"
""",
    ),
    (
        """\
from threading import Lock
from typing import Generic, Iterable, List, Optional, TypeVar

try:
    from pictures import Picture
except ImportError:
    Picture = None

T = TypeVar("T")


class Bag(Iterable[T], Generic[T]):
    lock: Optional[Lock] = None  # a function, before Python 3.13
    cover: Optional[Picture] = None  # None cannot be joined to None
    first: Optional[T] = None

    def known(self, items: List[T]) -> bool:
        return isinstance(items, List)
""",
        """\
from threading import Lock
from typing import Generic, Iterable, List, Optional, TypeVar

try:
    from pictures import Picture
except ImportError:
    Picture = None

T = TypeVar("T")


class Bag(Iterable[T], Generic[T]):
    lock: Optional[Lock] = None  # a function, before Python 3.13
    cover: Optional[Picture] = None  # None cannot be joined to None
    first: T | None = None

    def known(self, items: list[T]) -> bool:
        return isinstance(items, List)
""",
    ),
    (
        """\
from typing import Callable, Optional, Union, get_origin, get_type_hints


class Command:
    port: Optional[int] = None
    done: Optional[Callable[[], None]] = None


def optional(kind: type) -> list[str]:
    # Of int | None, the origin is not Union; left alone.
    return [name for name, hint in get_type_hints(kind).items() if get_origin(hint) is Union]
""",
        """\
from typing import Callable, Optional, Union, get_origin, get_type_hints


class Command:
    port: Optional[int] = None
    done: Optional[Callable[[], None]] = None


def optional(kind: type) -> list[str]:
    # Of int | None, the origin is not Union; left alone.
    return [name for name, hint in get_type_hints(kind).items() if get_origin(hint) is Union]
""",
    ),
    (
        """\
from typing import List, Set


class Shelf:
    def list(self) -> List[str]:
        return []

    def set(self, names: Set[str]) -> List[str]:
        return sorted(names)
""",
        """\
from typing import List, Set


class Shelf:
    def list(self) -> List[str]:
        return []

    def set(self, names: Set[str]) -> List[str]:
        return sorted(names)
""",
    ),
    (
        """\
from typing import (
    TYPE_CHECKING,
    Dict,
    Sequence,  # noqa: UP035
)

if TYPE_CHECKING:
    from typing import List, Type


def build(kind: "Type[int]", names: Sequence[str]) -> "List[int]":
    table: Dict[str, int] = {}
    return table
""",
        """\
from typing import (
    TYPE_CHECKING,
    Sequence,  # noqa: UP035
)

if TYPE_CHECKING:
    from typing import List, Type


def build(kind: "Type[int]", names: Sequence[str]) -> "List[int]":
    table: dict[str, int] = {}
    return table
""",
    ),
]
