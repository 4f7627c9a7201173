"""What others may use of a module: its public names and how its functions are called."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from operators.data import Skip
from operators.syntax.outline import parse

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_KINDS = ("property", "cached_property", "staticmethod", "classmethod", "contextmanager", "asynccontextmanager")
_LITERALS = (ast.Constant, ast.UnaryOp, ast.Tuple, ast.List, ast.Dict, ast.Set)


@dataclass(slots=True)
class _Public:
    names: dict[str, int] = field(default_factory=dict)
    """Qualified name to its line."""
    sure: set[str] = field(default_factory=set)
    """Those of them that are defined under no condition."""
    calls: dict[str, list[str]] = field(default_factory=dict)
    """Of functions, the ways in which they can be called; several where one is defined more than once."""
    imports: set[str] = field(default_factory=set)
    listed: list[str] | None = None
    """`__all__`, where it is written out."""

    def bind(self, name: str, line: int, sure: bool) -> None:
        self.names[name] = line
        self.sure.update([name] if sure else [])


def differences(before: str, after: str, allow: Sequence[str]) -> list[tuple[int, str]]:
    """Return line and words for each public name that is gone and each function that is called otherwise. `allow`:
    globs of qualified names that may change, with all below them.

    Annotations, and defaults that are no literals, may be written in another way; what is defined under a condition,
    such as the version of Python, may go. Raises Skip when the new text does not parse; what did not parse before had
    no names.
    """
    try:
        old = _public(before)
    except Skip:
        return []
    new = _public(after)
    found = [*_gone(old, new), *_called(old, new), *_listed(old, new)]
    return [(line, words) for line, name, words in found if not _allowed(name, allow)]


def _gone(old: _Public, new: _Public) -> Iterator[tuple[int, str, str]]:
    for name in old.names:
        if name in old.sure and name not in new.names and name not in new.imports:
            yield 0, name, f"the public name `{name}` is gone"


def _called(old: _Public, new: _Public) -> Iterator[tuple[int, str, str]]:
    for name, calls in old.calls.items():
        now = new.calls.get(name, [])
        if name in old.sure and name in new.names and not {*now} <= {*calls}:
            other = next(call for call in now if call not in calls)
            yield new.names[name], name, f"`{calls[-1]}` is now `{other}`"
        elif name in old.sure and name in new.names and not now:
            yield new.names[name], name, f"`{calls[-1]}` is now no function"


def _listed(old: _Public, new: _Public) -> Iterator[tuple[int, str, str]]:
    for name in old.listed or ():
        if new.listed is None or name not in new.listed:
            yield 0, name, f"`{name}` is no longer in `__all__`"
        elif name in old.imports and name not in new.imports and name not in new.names:
            yield 0, name, f"`{name}` stands in `__all__` and is not imported any more"


def _allowed(name: str, allow: Sequence[str]) -> bool:
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[:end]), glob) for end in range(1, len(parts) + 1) for glob in allow)


def _public(text: str) -> _Public:
    found = _Public()
    _collect(parse(text).body, "", True, found)
    return found


def _collect(body: Sequence[ast.stmt], prefix: str, sure: bool, found: _Public) -> None:
    """Add the names that statements bind. `sure`: they stand under no condition."""
    for node in body:
        match node:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) if _is_public(name):
                found.bind(prefix + name, node.lineno, sure)
                found.calls.setdefault(prefix + name, []).append(_signature(node))
            case ast.ClassDef(name, body=members) if _is_public(name):
                found.bind(prefix + name, node.lineno, sure)
                _collect(members, f"{prefix}{name}.", sure, found)
            case ast.Import(names) | ast.ImportFrom(names=names):
                found.imports.update(prefix + (one.asname or one.name.partition(".")[0]) for one in names)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                _assigned(node, prefix, sure, found)
            case ast.If() | ast.Try() | ast.TryStar() | ast.With() | ast.For() | ast.While():
                for inner in ("body", "orelse", "finalbody"):
                    _collect(getattr(node, inner, []), prefix, False, found)
                for handler in getattr(node, "handlers", []):
                    _collect(handler.body, prefix, False, found)


def _assigned(node: ast.Assign | ast.AnnAssign | ast.AugAssign, prefix: str, sure: bool, found: _Public) -> None:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for one in (one for target in targets for one in ast.walk(target)):
        match one:
            case ast.Name("__all__") if not prefix:
                found.listed = (found.listed or []) + _texts(node.value)
            case ast.Name(name, ast.Store()) if _is_public(name):
                found.bind(prefix + name, node.lineno, sure)


def _texts(value: ast.expr | None) -> list[str]:
    every = getattr(value, "elts", [])
    return [one.value for one in every if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def _is_public(name: str) -> bool:
    special = name.startswith("__") and name.endswith("__") and name != "__metaclass__"  # which is of Python 2
    return special or not name.startswith("_")


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Write how a function is called, such as `@staticmethod async def f(a, /, b=1, *, c=...)`."""
    given, kinds = node.args, []
    for decorator in node.decorator_list:
        kind = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
        if kind.rpartition(".")[2] in (*_KINDS, "setter", "deleter"):
            kinds.append(f"@{kind.rpartition('.')[2]} ")
    every = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [None] * (len(every) - len(given.defaults)) + [*given.defaults]
    words = [_parameter(one, default) for one, default in zip(every, defaults, strict=True)]
    if given.posonlyargs:
        words.insert(len(given.posonlyargs), "/")
    if given.vararg or given.kwonlyargs:
        words.append(f"*{given.vararg.arg if given.vararg else ''}")
    words += [_parameter(one, default) for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    words += [f"**{given.kwarg.arg}"] if given.kwarg else []
    how = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return f"{''.join(sorted(kinds))}{how} {node.name}({', '.join(words)})"


def _parameter(one: ast.arg, default: ast.expr | None) -> str:
    if default is None:
        return one.arg
    try:
        literal = isinstance(default, _LITERALS) and repr(ast.literal_eval(default))
    except (ValueError, TypeError, RecursionError):
        literal = False
    return f"{one.arg}={literal or '...'}"
