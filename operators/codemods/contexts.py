"""`with self.assertRaises(...) as cm`: what `cm` is used for decides whether it may become pytest's ExceptionInfo."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst

# What unittest's other contexts offer; a name may stand for one of them here and for an expected error there.
_ELSEWHERE = frozenset({"output", "records", "warning", "warnings", "filename", "lineno"})
_ELSEWHERE_FROM = frozenset({"assertLogs", "assertNoLogs", "assertWarns", "assertWarnsRegex"})


def settle(function: cst.FunctionDef, waiting: Mapping[cst.WithItem, cst.Call], receiver: str) -> cst.FunctionDef:
    """Replace the calls of the `waiting` items where their name is only asked for `.exception`, which becomes
    `.value`. Every `with` of the function that binds the name must be among them, or be one of another kind."""
    uses = _Uses(waiting, receiver)
    function.visit(uses)
    names = uses.bound - uses.spoiled
    return cst.ensure_type(function.visit(_Rename(waiting, names)), cst.FunctionDef) if names else function


class _Uses(cst.CSTVisitor):
    def __init__(self, waiting: Mapping[cst.WithItem, cst.Call], receiver: str) -> None:
        self.waiting = waiting
        self.receiver = receiver
        self.bound: set[str] = set()
        self.spoiled: set[str] = set()

    def visit_WithItem(self, node: cst.WithItem) -> None:
        name = _name(node)
        if node in self.waiting:
            self.bound.add(name)
        elif name and not self._elsewhere(node.item):
            self.spoiled.add(name)

    def _elsewhere(self, item: cst.BaseExpression) -> bool:
        match item:
            case cst.Call(func=cst.Attribute(value=cst.Name(value=receiver), attr=cst.Name(value=method))):
                return receiver == self.receiver and method in _ELSEWHERE_FROM
        return False

    def visit_AsName(self, node: cst.AsName) -> bool:
        return False

    def visit_ExceptHandler(self, node: cst.ExceptHandler) -> None:
        if node.name and isinstance(node.name.name, cst.Name):
            self.spoiled.add(node.name.name.value)

    def visit_ImportAlias(self, node: cst.ImportAlias) -> bool:
        self.spoiled.update(
            part.value for part in (node.asname.name if node.asname else None, node.name) if isinstance(part, cst.Name)
        )
        return False

    def visit_Attribute(self, node: cst.Attribute) -> bool:
        if isinstance(node.value, cst.Name):
            if node.attr.value not in {"exception", *_ELSEWHERE}:
                self.spoiled.add(node.value.value)
            return False
        node.value.visit(self)
        return False

    def visit_AssignTarget(self, node: cst.AssignTarget) -> None:
        self._stored(node.target)

    def visit_Del(self, node: cst.Del) -> None:
        self._stored(node.target)

    def _stored(self, target: cst.BaseExpression) -> None:
        if isinstance(target, cst.Attribute) and isinstance(target.value, cst.Name):
            self.spoiled.add(target.value.value)

    def visit_Name(self, node: cst.Name) -> None:
        self.spoiled.add(node.value)


class _Rename(cst.CSTTransformer):
    def __init__(self, waiting: Mapping[cst.WithItem, cst.Call], names: set[str]) -> None:
        self.waiting = waiting
        self.names = names

    def leave_WithItem(self, original_node: cst.WithItem, updated_node: cst.WithItem) -> cst.WithItem:
        if original_node in self.waiting and _name(original_node) in self.names:
            return updated_node.with_changes(item=self.waiting[original_node])
        return updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        match updated_node:
            case cst.Attribute(value=cst.Name(value=name), attr=cst.Name(value="exception")) if name in self.names:
                return updated_node.with_changes(attr=cst.Name("value"))
        return updated_node


def _name(item: cst.WithItem) -> str:
    name = item.asname.name if item.asname else None
    return name.value if isinstance(name, cst.Name) else ""
