"""Compares the trees of before and after: outside of what the job declared, every node is the same, comments and
whitespace included."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from operators.syntax.module import changed

Fault = tuple[int, str]  # line in the text before (0: unknown), what happened there
_CODE = cst.Module([]).code_for_node


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may change; what is left empty does not restrict, but nothing at all is allowed when all are."""

    nodes: tuple[str, ...] = ()
    """LibCST node classes: a node of one of these may become any node of one of these."""
    names: tuple[str, ...] = ()
    """Globs of qualified names: only inside of such functions and classes."""
    statements: str = ""
    """Regular expression: only statements whose text matches; of a compound statement only its header."""
    imports: bool = False
    """Top-level imports may come and go."""


def outside(before: str, after: str, allowed: Mapping[str, Any]) -> list[Fault]:
    """Return each change that was not allowed (`allowed`: the fields of Allowed).

    Raises Skip when a text does not parse.
    """
    (was, numbers), (becomes, _) = changed(before, after)
    wrapper = MetadataWrapper(was, unsafe_skip_copy=True)
    lines = {
        node: numbers[min(place.start.line, len(numbers)) - 1] if numbers else 0
        for node, place in wrapper.resolve(PositionProvider).items()
    }
    return list(_Walk(Allowed(**allowed), lines).modules(was, becomes))


@dataclass(frozen=True, slots=True)
class _Walk:
    allowed: Allowed
    lines: Mapping[cst.CSTNode, int]

    def modules(self, was: cst.Module, becomes: cst.Module) -> Iterator[Fault]:
        yield from self.sequence(was.header, becomes.header, was, ())
        yield from self.statements(was.body, becomes.body, was, ())
        yield from self.sequence(was.footer, becomes.footer, was, ())

    def compare(self, was: Any, becomes: Any, parent: cst.CSTNode, names: tuple[str, ...]) -> Iterator[Fault]:
        if isinstance(was, cst.CSTNode):
            yield from self.node(was, becomes, parent, names)
        elif isinstance(was, list | tuple):
            yield from self.sequence(was, becomes, parent, names)
        elif was != becomes:
            yield self.fault(parent, f"{_shown(parent)} was changed")

    def node(self, was: cst.CSTNode, becomes: Any, parent: cst.CSTNode, names: tuple[str, ...]) -> Iterator[Fault]:
        if isinstance(was, cst.FunctionDef | cst.ClassDef):
            names = (*names, was.name.value)
        if self.free(was, becomes, names):
            yield from self.kept(was, becomes, names)
        elif type(was) is not type(becomes):
            yield self.fault(was if was in self.lines else parent, f"{_shown(was)} became {_shown(becomes)}")
        elif isinstance(was, cst.IndentedBlock) and isinstance(becomes, cst.IndentedBlock):
            yield from self.compare(was.header, becomes.header, was, names)
            yield from self.statements(was.body, becomes.body, was, names)
            yield from self.sequence(was.footer, becomes.footer, was, names)
        else:
            for field in fields(was):
                yield from self.compare(getattr(was, field.name), getattr(becomes, field.name), was, names)

    def free(self, was: cst.CSTNode, becomes: Any, names: tuple[str, ...]) -> bool:
        """Say whether this node may become that one."""
        rules = self.allowed
        if rules.names and not self.named(names):
            return False
        if rules.nodes:
            return type(was).__name__ in rules.nodes and type(becomes).__name__ in rules.nodes
        if not _statement(was) or not _statement(becomes):
            return False
        return bool(re.search(rules.statements, _head(was))) if rules.statements else bool(rules.names)

    def named(self, names: tuple[str, ...]) -> bool:
        ends = [".".join(names[: count + 1]) for count in range(len(names))]
        return any(fnmatchcase(name, glob) for name in (*ends, *names) for glob in self.allowed.names)

    def kept(self, was: cst.CSTNode, becomes: cst.CSTNode, names: tuple[str, ...]) -> Iterator[Fault]:
        """Check what a free node has to keep all the same: its comments and, for a compound statement, its body."""
        lost = Counter(_comments(was)) - Counter(_comments(becomes))
        if lost:
            yield self.fault(was, f"the comment {next(iter(lost))!r} was lost")
        body = getattr(was, "body", None)
        if self.allowed.statements and not self.allowed.nodes and isinstance(body, cst.BaseSuite):
            yield from self.compare(body, getattr(becomes, "body", None), was, names)

    def sequence(
        self, was: Sequence[Any], becomes: Any, parent: cst.CSTNode, names: tuple[str, ...]
    ) -> Iterator[Fault]:
        if not isinstance(becomes, list | tuple) or len(was) != len(becomes):
            lines = any(isinstance(item, cst.EmptyLine) for item in (*was, *(becomes or ())))
            what = "comments or blank lines above" if lines else "parts of"
            yield self.fault(parent, f"{what} {_shown(parent)} were added or removed")
            return
        for one, other in zip(was, becomes, strict=True):
            yield from self.compare(one, other, parent, names)

    def statements(
        self, was: Sequence[cst.CSTNode], becomes: Sequence[cst.CSTNode], parent: cst.CSTNode, names: tuple[str, ...]
    ) -> Iterator[Fault]:
        if self.allowed.imports and not names:
            was = [node for node in was if not _import(node)]
            becomes = [node for node in becomes if not _import(node)]
        old, new = [_CODE(node) for node in was], [_CODE(node) for node in becomes]
        for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag == "replace" and b - a == d - c:
                yield from self.sequence(was[a:b], becomes[c:d], parent, names)
            elif tag == "replace":
                yield from self.block(was[a:b], becomes[c:d], names)
            elif tag != "equal":
                nodes, what = (was[a:b], "removed") if tag == "delete" else (becomes[c:d], "added")
                yield from (self.fault(node, f"{_shown(node)} was {what}") for node in nodes)

    def block(
        self, was: Sequence[cst.CSTNode], becomes: Sequence[cst.CSTNode], names: tuple[str, ...]
    ) -> Iterator[Fault]:
        """Some statements became more or fewer: each of the old ones must be free to become any of the new."""
        for node in was:
            own = (*names, node.name.value) if isinstance(node, cst.FunctionDef | cst.ClassDef) else names
            if not all(self.free(node, other, own) for other in becomes):
                yield self.fault(node, f"{_shown(node)} was changed")
        lost = Counter(text for node in was for text in _comments(node))
        lost -= Counter(text for node in becomes for text in _comments(node))
        if lost:
            yield self.fault(was[0], f"the comment {next(iter(lost))!r} was lost")

    def fault(self, node: cst.CSTNode, message: str) -> Fault:
        return self.lines.get(node, 0), message


def _statement(node: Any) -> bool:
    return isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement)


def _import(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and all(
        isinstance(part, cst.Import | cst.ImportFrom) for part in node.body
    )


def _head(node: cst.CSTNode) -> str:
    """Return the text of a statement; of a compound one up to its body."""
    if isinstance(node, cst.BaseCompoundStatement):
        return _CODE(node.with_changes(body=cst.SimpleStatementSuite([])))
    return _CODE(node)


def _comments(node: cst.CSTNode) -> list[str]:
    if isinstance(node, cst.Comment):
        return [node.value]
    return [text for child in node.children for text in _comments(child)]


def _shown(node: Any) -> str:
    text = " ".join(_CODE(node).split()) if isinstance(node, cst.CSTNode) else str(node)
    return f"`{text[:60]}...`" if len(text) > 60 else f"`{text}`" if text else "white space"
