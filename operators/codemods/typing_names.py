"""What PEP 585 and PEP 604 put in the place of names from `typing`, and where those fit."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator

import libcst as cst

from operators.codemods.facts import Facts
from operators.codemods.layout import text

Version = tuple[int, int]

BUILTINS = {"List": "list", "Dict": "dict", "Set": "set", "FrozenSet": "frozenset", "Tuple": "tuple", "Type": "type"}
RENAMED = {"Deque": "deque", "DefaultDict": "defaultdict"}  # to collections, under another name
_ABC = """AsyncGenerator AsyncIterable AsyncIterator Awaitable Callable Collection Container Coroutine Generator
Hashable ItemsView Iterable Iterator KeysView Mapping MappingView MutableMapping MutableSequence MutableSet Reversible
Sequence Sized ValuesView"""
MOVED = {
    **{name: f"collections.abc.{name}" for name in _ABC.split()},
    **{name: f"collections.{name}" for name in ("ChainMap", "Counter", "OrderedDict")},
    "AbstractSet": "collections.abc.Set",
}
GENERICS: Version = (3, 9)
UNIONS: Version = (3, 10)
# Callable lists no argument types as such before 3.9.2: https://github.com/python/cpython/issues/86361
CALLABLE: Version = (3, 10)
# get_type_hints sees no forward references in builtin generics before: https://github.com/python/cpython/issues/85542
FORWARD: Version = (3, 11)

# Functions that are named, and annotated with, as if they were classes: `|` with them raises where Optional did not.
_FUNCTIONS = re.compile(
    r"threading\.R?Lock$|multiprocessing\.(?!Process$)|(tempfile\.)?(Named)?TemporaryFile$|typing\.(NamedTuple|TypedDict)$"
)
_LOWER_CASE_CLASSES = {"date", "datetime", "time", "timedelta", "timezone", "deque", "defaultdict", "ndarray", "dtype"}


def version(written: str) -> Version:
    """Raises ValueError for what is not a version of Python 3 that anyone uses."""
    parts = str(written).split(".")
    if len(parts) < 2 or not all(part.isdecimal() for part in parts[:2]) or (int(parts[0]), int(parts[1])) < (3, 5):
        raise ValueError(f"no Python version: {written!r} (YAML takes 3.10 for 3.1 unless it is quoted)")
    return int(parts[0]), int(parts[1])


def moved(tree: ast.Module, facts: Facts, python: Version) -> dict[str, str]:
    """Local names whose import may come from elsewhere: name -> `collections.abc.X`.

    Not the names of which a class derives: that would take typing.Generic from its bases.
    """
    kept = set(_bases(tree))
    if python < FORWARD:
        kept.update(_forward(tree))
    if python < CALLABLE:
        kept.update(name for name, origin in facts.origins.items() if origin == "typing.Callable")
    found: dict[str, str] = {}
    for name, origin in facts.origins.items():
        package, _, original = origin.rpartition(".")
        if package == "typing" and original in MOVED and name in facts.top and name not in kept:
            found[name] = MOVED[original]
    return found


def _bases(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in (*node.bases, *(keyword.value for keyword in node.keywords)):
                yield from (child.id for child in ast.walk(base) if isinstance(child, ast.Name))


def _forward(tree: ast.Module) -> Iterator[str]:
    """Names that are subscripted with a string, as in `Callable[["Node"], None]`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            inner = [part for outer in parts for part in (outer.elts if isinstance(outer, ast.List) else [outer])]
            if any(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in inner):
                yield node.value.id


def joins(node: cst.BaseExpression, facts: Facts) -> bool:
    """Whether `|` may be applied when this annotation is evaluated: it is a class, for all that its name tells."""
    if isinstance(node, cst.Subscript):
        return joins(node.value, facts)
    if isinstance(node, cst.BinaryOperation):
        return isinstance(node.operator, cst.BitOr)
    if not isinstance(node, cst.Name | cst.Attribute) or _FUNCTIONS.match(facts.origin(node, inside=False) or ""):
        return False
    name = text(node).rpartition(".")[2]
    if isinstance(node, cst.Name) and hasattr(builtins, name):
        return name == "None" or isinstance(getattr(builtins, name), type)
    return name.lstrip("_")[:1].isupper() or name in _LOWER_CASE_CLASSES
