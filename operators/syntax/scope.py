"""Compares the trees of before and after: outside of what the job declared, every node is the same, comments and
whitespace included."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from difflib import SequenceMatcher, get_close_matches
from fnmatch import fnmatchcase
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider

from operators.syntax.module import changed
from operators.syntax.statements import (
    INNER,
    after_imports,
    close,
    code,
    comments,
    head,
    imports,
    inner,
    shown,
    statement,
)

Fault = tuple[int, str]  # line in the text before (0: unknown), what happened there
_Fault = tuple[Sequence[cst.CSTNode], str]  # the same with nodes, of which the first that stands there tells the line


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may change. What is left empty does not restrict, but nothing at all is allowed when all are."""

    nodes: tuple[str, ...] = ()
    """LibCST node classes: a node of one of these may become any node of one of these."""
    names: tuple[str, ...] = ()
    """Globs of qualified names: only inside of such functions and classes."""
    statements: str = ""
    """Regular expression: only statements whose text matches; of a compound statement only its header."""
    imports: bool = False
    """Top-level imports may come and go, with the blank lines below them."""


def outside(before: str, after: str, allowed: Mapping[str, Any]) -> list[Fault]:
    """Return each change that was not allowed (`allowed`: the fields of Allowed).

    Raises Skip when a text does not parse.
    """
    (was, numbers), (becomes, _) = changed(before, after)
    found = list(_Walk(Allowed(**allowed), was, becomes).modules())
    if not found:
        return []  # where nodes stand takes as long to find out as all the rest
    places = MetadataWrapper(was, unsafe_skip_copy=True).resolve(PositionProvider)
    return [(_line(nodes, places, numbers), message) for nodes, message in found]


def unknown(nodes: Sequence[str]) -> str:
    """Return which of these is no LibCST node class, and what may have been meant; "" when all are."""
    known = [name for name, kind in vars(cst).items() if isinstance(kind, type) and issubclass(kind, cst.CSTNode)]
    for name in nodes:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            return f"LibCST has no node {name}" + (f"; did you mean {near[0]}?" if near else "")
    return ""


def _line(nodes: Sequence[cst.CSTNode], places: Mapping[cst.CSTNode, Any], numbers: Sequence[int]) -> int:
    """Return the line of the first of `nodes` that stands in the text before, 0 when none does."""
    lines = [places[node].start.line for node in nodes if node in places]
    return numbers[min(lines[0], len(numbers)) - 1] if lines and numbers else 0


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in the text before we are."""

    names: tuple[str, ...] = ()
    """Of the functions and classes around, outermost first."""
    matches: bool = False
    """Whether the innermost statement around matches `Allowed.statements`."""


@dataclass(frozen=True, slots=True)
class _Walk:
    allowed: Allowed
    before: cst.Module
    after: cst.Module
    bared: dict[cst.CSTNode, cst.CSTNode] = field(default_factory=dict)
    """Statement without the blank lines above it, to the one that stands in the text."""

    def modules(self) -> Iterator[_Fault]:
        was, becomes = self.before, self.after
        yield from self.sequence(was.header, becomes.header, was, _Place())
        yield from self.statements(was.body, becomes.body, was, _Place())
        yield from self.sequence(was.footer, becomes.footer, was, _Place())

    def compare(self, was: Any, becomes: Any, parent: cst.CSTNode, place: _Place) -> Iterator[_Fault]:
        if isinstance(was, cst.CSTNode):
            yield from self.node(was, becomes, parent, place)
        elif isinstance(was, list | tuple):
            yield from self.sequence(was, becomes, parent, place)
        elif was != becomes:
            yield self.fault(parent, f"{shown(parent)} was changed")

    def node(self, was: cst.CSTNode, becomes: Any, parent: cst.CSTNode, around: _Place) -> Iterator[_Fault]:
        place = self.at(was, around)
        if self.free(was, becomes, place):
            yield from self.kept(was, becomes, place)
        elif type(was) is not type(becomes):
            how = f"became {shown(becomes)}" if isinstance(becomes, cst.CSTNode) else "was removed"
            yield self.fault(was, f"{shown(was)} {how}", parent)
        elif isinstance(was, cst.IndentedBlock) and isinstance(becomes, cst.IndentedBlock):
            if (was.indent or self.before.default_indent) != (becomes.indent or self.after.default_indent):
                yield self.fault(parent, f"the indentation below {shown(parent)} was changed")
            yield from self.compare(was.header, becomes.header, was, place)
            yield from self.statements(was.body, becomes.body, was, place)
            yield from self.sequence(was.footer, becomes.footer, was, place)
        else:
            for own in fields(was):
                yield from self.compare(getattr(was, own.name), getattr(becomes, own.name), was, place)

    def at(self, node: cst.CSTNode, around: _Place) -> _Place:
        names, matches = around.names, around.matches
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            names = (*names, node.name.value)
        if statement(node) and self.allowed.statements:
            matches = bool(re.search(self.allowed.statements, head(node)))
        return _Place(names, matches)

    def free(self, was: cst.CSTNode, becomes: Any, place: _Place) -> bool:
        """Say whether this node, which stands at `place`, may become that one."""
        rules = self.allowed
        if (rules.names and not self.named(place.names)) or (rules.statements and not place.matches):
            return False
        if rules.nodes:
            return type(was).__name__ in rules.nodes and type(becomes).__name__ in rules.nodes
        return bool(rules.names or rules.statements) and statement(was) and statement(becomes)

    def named(self, names: tuple[str, ...]) -> bool:
        ends = [".".join(names[: count + 1]) for count in range(len(names))]
        return any(fnmatchcase(name, glob) for name in (*ends, *names) for glob in self.allowed.names)

    @property
    def headers(self) -> bool:
        """Whether of a compound statement only the header is free."""
        return bool(self.allowed.statements) and not self.allowed.nodes

    def kept(self, was: cst.CSTNode, becomes: cst.CSTNode, place: _Place) -> Iterator[_Fault]:
        """Check what a free node has to keep all the same: its comments and what is inside of it."""
        yield from self.lost([was], [becomes])
        if self.headers and isinstance(was, cst.BaseCompoundStatement):
            for name in INNER:
                if getattr(was, name, None) or getattr(becomes, name, None):
                    yield from self.compare(getattr(was, name, None), getattr(becomes, name, None), was, place)

    def lost(self, was: Sequence[cst.CSTNode], becomes: Sequence[cst.CSTNode]) -> Iterator[_Fault]:
        gone = Counter(text for node in was for text in comments(node))
        gone -= Counter(text for node in becomes for text in comments(node))
        if gone:
            yield self.fault(was[0], f"the comment {next(iter(gone))!r} was lost")

    def sequence(self, was: Sequence[Any], becomes: Any, parent: cst.CSTNode, place: _Place) -> Iterator[_Fault]:
        if not isinstance(becomes, list | tuple) or len(was) != len(becomes):
            lines = any(isinstance(item, cst.EmptyLine) for item in (*was, *(becomes or ())))
            what = "comments or blank lines above" if lines else "parts of"
            yield self.fault(parent, f"{what} {shown(parent)} were added or removed")
            return
        for one, other in zip(was, becomes, strict=True):
            yield from self.compare(one, other, parent, place)

    def statements(
        self, was: Sequence[cst.CSTNode], becomes: Sequence[cst.CSTNode], parent: cst.CSTNode, place: _Place
    ) -> Iterator[_Fault]:
        if self.allowed.imports and not place.names:
            loose = {*after_imports(was), *after_imports(becomes)}
            was, becomes = self.beyond_imports(was, loose), self.beyond_imports(becomes, loose)
        old, new = list(map(self.before.code_for_node, was)), list(map(self.after.code_for_node, becomes))
        for tag, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if tag == "replace" and b - a == d - c:
                yield from self.sequence(was[a:b], becomes[c:d], parent, place)
            elif tag == "replace":
                yield from self.block(was[a:b], becomes[c:d], place)
            elif tag != "equal":
                nodes, what = (was[a:b], "removed") if tag == "delete" else (becomes[c:d], "added")
                yield from (self.fault(node, f"{shown(node)} was {what}") for node in nodes)

    def beyond_imports(self, body: Sequence[cst.CSTNode], loose: set[str]) -> list[cst.CSTNode]:
        """Return the statements that are no imports; those that stand below one, before or after, without the blank
        lines between."""
        rest = []
        for node in body:
            bare = close(node)
            self.bared[bare] = node
            if not imports(node):
                rest.append(bare if code(bare) in loose else node)
        return rest

    def block(self, was: Sequence[cst.CSTNode], becomes: Sequence[cst.CSTNode], around: _Place) -> Iterator[_Fault]:
        """Some statements became more or fewer: each of the old ones must be free to become any of the new."""
        for node in was:
            place = self.at(node, around)
            if not all(self.free(node, other, place) for other in becomes):
                yield self.fault(node, f"{shown(node)} was changed")
            elif self.headers and inner(node) and not any(inner(node) == inner(other) for other in becomes):
                yield self.fault(node, f"what is inside of {shown(node)} was changed")
        yield from self.lost(was, becomes)

    def fault(self, node: cst.CSTNode, message: str, parent: cst.CSTNode | None = None) -> _Fault:
        """`parent`: what tells the line where the node itself stands on none."""
        return [self.bared.get(one, one) for one in (node, parent) if one], message
