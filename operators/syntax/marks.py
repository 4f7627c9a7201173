"""What code uses, by the names that it was imported under, and what of it is new."""

from __future__ import annotations

import ast
import builtins
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

MAIN = "__main__"  # where the code below `if __name__ == "__main__"` stands
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_NAMED = _FUNCTIONS | ast.ClassDef
_NAMING = ast.Name | ast.Attribute | ast.Call | ast.Subscript
_BUILTINS = frozenset(dir(builtins)) | {"__builtins__"}


@dataclass(frozen=True, slots=True)
class Mark:
    """Something in the code that a rule is about. Marks of one rule and `what` can stand for each other."""

    rule: str
    what: str
    where: str
    """The innermost function's own name, or class's; "" for the module."""
    line: int
    shown: str


@dataclass(frozen=True, slots=True)
class Spot:
    """A node and what is around it."""

    node: ast.AST
    parent: ast.AST | None = None
    where: str = ""
    own: frozenset[str] = frozenset()
    """Names that functions around it bind, so that they are not those of the module's imports."""
    decorates: bool = False

    @property
    def line(self) -> int:
        return getattr(self.node, "lineno", 0)

    @property
    def called(self) -> bool:
        return isinstance(self.parent, ast.Call) and self.parent.func is self.node

    def mark(self, rule: str, what: str, shown: str) -> Mark:
        return Mark(rule, what, self.where, self.line, shown)


@dataclass(frozen=True, slots=True)
class Code:
    """A module, walked once."""

    tree: ast.Module
    spots: Sequence[Spot] = field(init=False)
    imports: dict[str, str] = field(init=False)
    """Name to what was imported under it: `{"b": "a.b"}`; relative ones begin with dots."""
    modules: frozenset[str] = field(init=False)
    """Those of the names that stand for modules for certain."""
    functions: frozenset[str] = field(init=False)
    """The own names of all functions and classes."""
    named: Sequence[tuple[Spot, str]] = field(init=False)
    """Each expression that names something, the whole of `a.b.c` only, with what it names."""

    def __post_init__(self) -> None:
        spots = list(_walk(Spot(self.tree)))
        imports, modules = _imports(spot.node for spot in spots)
        named = frozenset(spot.node.name for spot in spots if isinstance(spot.node, _NAMED))
        values = {"spots": spots, "imports": imports, "modules": modules, "functions": named}
        for name, value in values.items():
            object.__setattr__(self, name, value)
        whole = [
            spot for spot in spots if isinstance(spot.node, _NAMING) and not isinstance(spot.parent, ast.Attribute)
        ]
        found = [(spot, name) for spot in whole if (name := self.dotted(spot.node, spot.own))]
        object.__setattr__(self, "named", found)

    def dotted(self, node: ast.AST, own: frozenset[str] = frozenset()) -> str:
        """Return what an expression names, such as `os.path.join` for `p.join` after `import os.path as p`; "" when it
        names nothing that was imported or built in."""
        match node:
            case ast.Name(name) if name not in own:
                return self.imports.get(name, name if name in _BUILTINS else "")
            case ast.Attribute(value, name):
                base = self.dotted(value, own)
                return f"{base}.{name}".removeprefix("builtins.") if base else ""
            case ast.Call(ast.Name("getattr"), [value, ast.Constant(str(name)), *_]):
                base = self.dotted(value, own)
                return f"{base}.{name}".removeprefix("builtins.") if base else ""
            case ast.Call(function, [ast.Constant(str(name)), *_]) if self.dotted(function, own) in _IMPORTING:
                return name
            case ast.Subscript(value, ast.Constant(str(name))) if self.dotted(value, own) == "sys.modules":
                return name
        return ""


_IMPORTING = ("__import__", "importlib.import_module")


def within(name: str, prefixes: Iterable[str]) -> bool:
    """Say whether a dotted name is one of `prefixes` or stands below one."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def uses(code: Code, rule: str, prefixes: Sequence[str]) -> Iterator[Mark]:
    """Yield a mark for each use of what stands below `prefixes`: a call, or a name that is no class's or constant's."""
    for spot, name in code.named:
        if within(name, prefixes) and (spot.called or spot.decorates or name.rpartition(".")[2].islower()):
            yield spot.mark(rule, rule, name)


def imported(code: Code, prefixes: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield line and name of each import of what stands below `prefixes`."""
    for spot in code.spots:
        if isinstance(spot.node, ast.Import | ast.ImportFrom):
            for name in _imports([spot.node])[0].values() if isinstance(spot.node, ast.ImportFrom) else _whole(spot):
                if within(name, prefixes):
                    yield spot.line, name


def newly(before: Iterable[Mark], after: Iterable[Mark], was: frozenset[str], becomes: frozenset[str]) -> list[Mark]:
    """Return the marks that there were not before. `was`, `becomes`: the functions of each side.

    Moved code is not new: what a function lost may turn up in one that is new, and what one that is gone had in any.
    """
    old = Counter((mark.rule, mark.what, mark.where) for mark in before)
    new: dict[tuple[str, str, str], list[Mark]] = defaultdict(list)
    for mark in after:
        new[mark.rule, mark.what, mark.where].append(mark)
    lost = Counter({key: count - len(new.get(key, ())) for key, count in old.items() if count > len(new.get(key, ()))})
    found = []
    for (rule, what, where), marks in new.items():
        for mark in marks[old[rule, what, where] :]:
            came = next(
                (
                    key
                    for key, count in lost.items()
                    if count and key[:2] == (rule, what) and (_is_new(where, was) or _is_new(key[2], becomes))
                ),
                None,
            )
            if came:
                lost[came] -= 1
            else:
                found.append(mark)
    return found


def _is_new(where: str, functions: frozenset[str]) -> bool:
    return where not in functions and where not in {"", MAIN}


def _walk(spot: Spot) -> Iterator[Spot]:
    yield spot
    node = spot.node
    inner = Spot(node, node, spot.where, spot.own)
    if isinstance(node, _NAMED):
        inner = replace(inner, where=node.name)
        if isinstance(node, _FUNCTIONS):
            inner = replace(inner, own=spot.own | _bound(node))
        for decorator in node.decorator_list:
            yield from _walk(Spot(decorator, node, node.name, spot.own, decorates=True))
    elif isinstance(node, ast.Lambda):
        inner = replace(inner, own=spot.own | _parameters(node.args))
    elif isinstance(node, ast.If) and ast.unparse(node.test) == f"__name__ == '{MAIN}'":
        inner = replace(inner, where=MAIN)
    decorators = {id(one) for one in getattr(node, "decorator_list", ())}
    # `@a.b(c)` decorates by the call; what is called counts as decorating as well.
    decorates = spot.decorates and isinstance(node, ast.Call)
    for child in ast.iter_child_nodes(node):
        if id(child) not in decorators:
            yield from _walk(replace(inner, node=child, decorates=decorates and child is getattr(node, "func", None)))


def _bound(function: ast.FunctionDef | ast.AsyncFunctionDef) -> frozenset[str]:
    """Return the names that are a function's own."""
    names, loose = set(_parameters(function.args)), set()
    todo: list[ast.AST] = [*function.body]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            loose.update(node.names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            loose.update(_imports([node])[0])
        if isinstance(node, _NAMED):
            names.add(node.name)
        elif not isinstance(node, ast.Lambda):
            todo += ast.iter_child_nodes(node)
    return frozenset(names - loose)


def _parameters(arguments: ast.arguments) -> frozenset[str]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return frozenset(one.arg for one in every if one)


def _imports(nodes: Iterable[ast.AST]) -> tuple[dict[str, str], frozenset[str]]:
    found: dict[str, str] = {}
    modules = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
                modules.add(alias.asname or top)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (f"{node.module}." if node.module else "")
            found.update({alias.asname or alias.name: base + alias.name for alias in node.names})
            modules.update(alias.asname or alias.name for alias in node.names if not node.module)
    return found, frozenset(modules)


def _whole(spot: Spot) -> Iterator[str]:
    assert isinstance(spot.node, ast.Import)
    yield from (alias.name for alias in spot.node.names)
