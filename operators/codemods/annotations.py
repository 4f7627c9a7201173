"""Rewrites annotations, and type aliases that stand at the top of a module or of a class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set

import libcst as cst

from operators.codemods.facts import Facts
from operators.codemods.joins import Joins
from operators.codemods.layout import parenthesised, text
from operators.codemods.typing_names import BUILTINS, CALLABLE, FORWARD, MOVED, RENAMED, UNIONS, Version
from operators.codemods.unions import operands, union

_DOTTED = re.compile(r"""['"]([^\W\d]\w*(?:\.[^\W\d]\w*)*)['"]""")
_ALIAS = re.compile(r"_*[A-Z]\w*")
_CODE, _ANNOTATION, _VALUE = "code", "annotation", "value of an alias"


class Annotations(cst.CSTTransformer):
    def __init__(
        self, facts: Facts, python: Version, whole: bool, elsewhere: Mapping[str, str], bases: Set[str]
    ) -> None:
        super().__init__()
        self.needs: set[str] = set()
        """Imports that the new code uses, as `collections.deque`."""
        self._facts = facts
        self._python = python
        self._whole = whole
        self._elsewhere = elsewhere
        self._bases = bases
        self._lazy = facts.origin_of("annotations") == "__future__.annotations"
        self._modes = [_CODE]
        self._functions = 0
        self._heads: set[cst.CSTNode] = set()
        self._kept: set[cst.CSTNode] = set()

    # Where we are

    def visit_Annotation(self, node: cst.Annotation) -> None:
        self._modes.append(_ANNOTATION)

    def leave_Annotation(self, original_node: cst.Annotation, updated_node: cst.Annotation) -> cst.Annotation:
        self._modes.pop()
        return updated_node

    def visit_Call(self, node: cst.Call) -> None:
        self._modes.append(_CODE)
        if self._facts.origin(node.func) == "typing.cast" and node.args:
            self._heads.add(node.args[0])

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        self._modes.pop()
        return updated_node

    def visit_Arg(self, node: cst.Arg) -> None:
        self._modes.append(_VALUE if node in self._heads else self._modes[-1])

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        self._modes.pop()
        return updated_node

    def visit_Assign_value(self, node: cst.Assign) -> None:
        names = [text(part.target) for part in node.targets]
        alias = all(map(_ALIAS.fullmatch, names)) and not self._functions and self._generic(node.value)
        self._modes.append(_VALUE if alias and self._derivable(names) else _CODE)

    def leave_Assign_value(self, node: cst.Assign) -> None:
        self._modes.pop()

    def visit_AnnAssign_value(self, node: cst.AnnAssign) -> None:
        declared = text(node.annotation.annotation).rpartition(".")[2] == "TypeAlias"
        self._modes.append(_VALUE if declared and self._derivable([text(node.target)]) else _CODE)

    def leave_AnnAssign_value(self, node: cst.AnnAssign) -> None:
        self._modes.pop()

    def visit_FunctionDef_body(self, node: cst.FunctionDef) -> None:
        self._functions += 1

    def leave_FunctionDef_body(self, node: cst.FunctionDef) -> None:
        self._functions -= 1

    # Expressions

    def visit_Attribute(self, node: cst.Attribute) -> bool:
        return self._modes[-1] == _CODE

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.BaseExpression:
        return self._renamed(original_node, updated_node)

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.BaseExpression:
        return self._renamed(original_node, updated_node)

    def visit_Subscript(self, node: cst.Subscript) -> None:
        self._heads.add(node.value)
        if self._python < FORWARD and any(_quoted(part, self._is_lazy()) for part in node.slice):
            self._kept.add(node.value)

    def leave_Subscript(self, original_node: cst.Subscript, updated_node: cst.Subscript) -> cst.BaseExpression:
        if self._modes[-1] == _CODE:
            return updated_node
        origin = self._origin(original_node.value)
        if origin not in ("typing.Optional", "typing.Union"):
            renamed = text(updated_node.value) != text(original_node.value)
            return (
                updated_node.with_changes(slice=list(map(self._bare, updated_node.slice))) if renamed else updated_node
            )
        parts = operands(updated_node, origin == "typing.Optional") if self._python >= UNIONS else None
        parts = [self._unquoted(part) for part in parts or ()]
        if not parts or not all(self._joins(part) for part in parts):
            return updated_node
        written = union(updated_node, parts)
        unlike = isinstance(written, cst.BinaryOperation) and not written.lpar
        return parenthesised(written) if original_node in self._heads and unlike else written

    def _renamed(
        self, node: cst.Name | cst.Attribute, updated_node: cst.Name | cst.Attribute
    ) -> cst.Name | cst.Attribute:
        mode = self._modes[-1]
        if mode == _CODE or node in self._kept or (mode == _VALUE and node not in self._heads):
            return updated_node
        package, _, name = self._origin(node).rpartition(".")
        new = self._new_name(name, isinstance(node, cst.Attribute)) if package == "typing" else None
        return cst.Name(new, lpar=updated_node.lpar, rpar=updated_node.rpar) if new else updated_node

    def _new_name(self, name: str, dotted: bool) -> str | None:
        if name in BUILTINS:
            new = BUILTINS[name]
            return None if self._redefined(new) else new
        origin = f"collections.{RENAMED[name]}" if name in RENAMED else MOVED.get(name, "") if dotted else ""
        new = origin.rpartition(".")[2]
        early = name == "Callable" and self._python < CALLABLE
        named_so = self._elsewhere.get(new) == origin or self._facts.means(new, origin)
        if not new or not self._whole or early or not named_so:
            return None
        self.needs.add(origin)
        return new

    def _redefined(self, name: str) -> bool:
        known = self._facts
        return name in known.outer or name in known.origins or (bool(self._functions) and name in known.local)

    # Strings, and what may stand beside `|`

    def _joins(self, node: cst.BaseExpression) -> bool:
        if isinstance(node, cst.BaseString):
            return False
        added = {need.rpartition(".")[2] for need in self.needs}
        local = self._facts.local if self._functions else frozenset[str]()
        return Joins(self._facts, added, local, self._is_lazy())(node)

    def _bare(self, element: cst.SubscriptElement) -> cst.SubscriptElement:
        if self._python >= FORWARD or not isinstance(element.slice, cst.Index):
            return element
        return element.with_changes(slice=element.slice.with_changes(value=self._unquoted(element.slice.value)))

    def _unquoted(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """The name in a string, where nothing evaluates it before it exists."""
        named = _DOTTED.fullmatch(text(node)) if self._is_lazy() else None
        return cst.parse_expression(named[1]) if named else node

    def _is_lazy(self) -> bool:
        return self._lazy and self._modes[-1] == _ANNOTATION

    def _origin(self, node: cst.BaseExpression) -> str:
        return self._facts.origin(node, inside=bool(self._functions)) or ""

    def _derivable(self, names: Iterable[str]) -> bool:
        """Whether no class here derives from these: one of a list[T] is no Generic, one of a List[T] is."""
        return self._bases.isdisjoint(names)

    def _generic(self, node: cst.BaseExpression) -> bool:
        return isinstance(node, cst.Subscript) and self._origin(node.value).startswith("typing.")


def _quoted(element: cst.SubscriptElement, lazy: bool) -> bool:
    """Whether this is, or lists, a forward reference that has to stay a string."""
    value = element.slice.value if isinstance(element.slice, cst.Index) else None
    if isinstance(value, cst.List):
        return any(isinstance(part.value, cst.BaseString) for part in value.elements)
    return isinstance(value, cst.BaseString) and not (lazy and _DOTTED.fullmatch(text(value)))
