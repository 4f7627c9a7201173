"""What may stand beside `|`: `Optional` and `Union` take anything, `|` takes classes and what typing makes."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Set
from dataclasses import dataclass

import libcst as cst

from operators.codemods.facts import Facts
from operators.codemods.layout import parsed_expression

# Functions and modules that are named, and annotated with, as if they were classes.
_OTHERS = re.compile(
    r"threading\.R?Lock$|multiprocessing\.(?!Process$)|(tempfile\.)?(Named)?TemporaryFile$"
    r"|typing\.(NamedTuple|TypedDict)$|lxml\.etree\.[A-Z]|PIL\.\w+$|xml\.etree\.ElementTree$"
)
_MAKERS = re.compile(r"collections\.namedtuple$|typing(_extensions)?\.(TypeVar|NewType|NamedTuple|TypedDict)$")
_LOWER_CASE_CLASSES = {"date", "datetime", "time", "timedelta", "timezone", "deque", "defaultdict", "ndarray", "dtype"}


@dataclass(frozen=True)
class Joins:
    facts: Facts
    added: Set[str]
    """Classes whose import is still to come."""
    local: Set[str]
    """Names that mean something else here than in the module."""
    lazy: bool
    """Whether the annotation is only evaluated when somebody asks for it: then it is enough when nothing in the file
    tells that it is no class."""

    def __call__(self, node: cst.BaseExpression) -> bool:
        """Whether `|` may be applied to this annotation, for all that its name and the file tell."""
        return self._joins(parsed_expression(node))

    def _joins(self, node: ast.expr) -> bool:
        match node:
            case ast.Constant(value=None) | ast.BinOp(op=ast.BitOr()):
                return True
            case ast.Subscript(value=value):
                return self._joins(value)
            case ast.Name(id=name) if name in self.facts.values and name not in self.local:
                return self._made(self.facts.values[name])
            case ast.Name() | ast.Attribute():
                return self._named(ast.unparse(node))
        return self.lazy

    def _named(self, chain: str) -> bool:
        root, *rest = chain.split(".")
        name = rest[-1] if rest else root
        if root in self.local:
            return self.lazy
        if root in self.added or root in self.facts.classes:
            return not rest or self.lazy or name in self.facts.classes
        if root in self.facts.outer:
            return False
        if root in self.facts.origins:
            other = _OTHERS.match(".".join([self.facts.origins[root], *rest]))
            return not other and (self.lazy or name.lstrip("_")[:1].isupper() or name in _LOWER_CASE_CLASSES)
        return isinstance(getattr(builtins, root), type) if hasattr(builtins, root) else self.lazy

    def _made(self, value: ast.expr) -> bool:
        """Whether a name may be joined that stands for this value: an alias, a type variable, a named tuple."""
        match value:
            case ast.Call(func=function):
                root, _, rest = ast.unparse(function).partition(".")
                return bool(_MAKERS.match(".".join(filter(None, (self.facts.origin_of(root), rest)))))
            case (ast.Name() | ast.Attribute() as head) | ast.Subscript(value=ast.Name() | ast.Attribute() as head):
                return self._named(ast.unparse(head))
            case ast.BinOp(op=ast.BitOr()):
                return True
        return False
