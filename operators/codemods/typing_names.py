"""What PEP 585 and PEP 604 put in the place of names from `typing`, and where those fit."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from operators.codemods.facts import Facts

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

_LOOKS = """get_origin get_args get_type_hints get_annotations get_original_bases evaluate_forward_ref ForwardRef
_GenericAlias _UnionGenericAlias _SpecialForm GenericAlias UnionType __annotations__ __args__ __origin__ __parameters__
__orig_bases__"""
_LOOKERS = {"beartype", "typeguard", "typing_inspect"}  # packages for files that want to know


def version(written: str) -> Version:
    """Raises ValueError for what is not a version of Python 3 that anyone uses."""
    parts = str(written).split(".")
    if len(parts) < 2 or not all(part.isdecimal() for part in parts[:2]) or (int(parts[0]), int(parts[1])) < (3, 5):
        raise ValueError(f"no Python version: {written!r} (YAML takes 3.10 for 3.1 unless it is quoted)")
    return int(parts[0]), int(parts[1])


def inspects(facts: Facts) -> bool:
    """Whether the file looks into annotations, and might see another object than before."""
    packages = {origin.partition(".")[0] for origin in facts.origins.values()}
    signatures = "inspect" in packages and facts.mentions("annotation", "return_annotation")
    return signatures or facts.mentions(*_LOOKS.split()) or not _LOOKERS.isdisjoint(packages)


def moved(tree: ast.Module, facts: Facts, python: Version) -> dict[str, str]:
    """Local names whose import may come from elsewhere: name -> `collections.abc.X`.

    Not the names of which a class derives, nor those that other modules may derive from: that would take
    typing.Generic from its bases.
    """
    kept = {*bases(tree), *_offered(tree)}
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


def bases(tree: ast.Module) -> Iterator[str]:
    """Names that stand in the headers of classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in (*node.bases, *(keyword.value for keyword in node.keywords)):
                yield from (child.id for child in ast.walk(base) if isinstance(child, ast.Name))


def _offered(tree: ast.Module) -> Iterator[str]:
    """Names in `__all__`, and those that are imported as themselves."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if alias.name == alias.asname)
    for statement in tree.body:
        parts = list(ast.walk(statement))
        if any(isinstance(part, ast.Name) and part.id == "__all__" for part in parts):
            yield from (part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))


def _forward(tree: ast.Module) -> Iterator[str]:
    """Names that are subscripted with a string, as in `Callable[["Node"], None]`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            inner = [part for outer in parts for part in (outer.elts if isinstance(outer, ast.List) else [outer])]
            if any(isinstance(part, ast.Constant) and isinstance(part.value, str) for part in inner):
                yield node.value.id
