"""What `scope` wants to know of single nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import dropwhile, pairwise
from typing import Any

import libcst as cst

INNER = ("body", "handlers", "orelse", "finalbody", "cases")  # what a compound statement holds besides its header
code = cst.Module([]).code_for_node


def statement(node: Any) -> bool:
    return isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement)


def imports(node: cst.CSTNode) -> bool:
    """Say whether a statement imports and does nothing else."""
    return isinstance(node, cst.SimpleStatementLine) and all(
        isinstance(part, cst.Import | cst.ImportFrom) for part in node.body
    )


def head(node: cst.CSTNode) -> str:
    """Return the text of a statement without what stands above it; of a compound one up to its body."""
    text = code(node.with_changes(leading_lines=()))
    if isinstance(node, cst.Match):
        return text.partition(code(node.cases[0]).partition("\n")[0])[0]
    return text.partition(code(node.body))[0] if isinstance(node, cst.BaseCompoundStatement) else text


def inner(node: Any) -> list[str]:
    """Return the text of each part of a compound statement besides its header; of a simple one nothing."""
    if not isinstance(node, cst.BaseCompoundStatement):
        return []
    parts = [getattr(node, name, None) for name in INNER]
    return [code(part) for one in parts if one for part in (one if isinstance(one, Sequence) else [one])]


def comments(node: cst.CSTNode) -> list[str]:
    if isinstance(node, cst.Comment):
        return [node.value]
    return [text for child in node.children for text in comments(child)]


def shown(node: Any) -> str:
    """Quote a node in a finding."""
    text = " ".join(code(node).split()) if isinstance(node, cst.CSTNode) else str(node)
    return f"`{text[:60]}...`" if len(text) > 60 else f"`{text}`" if text else "white space"


def close(node: cst.CSTNode) -> cst.CSTNode:
    """Return a statement without the blank lines right above it and its comments."""
    lines: Sequence[cst.EmptyLine] = getattr(node, "leading_lines", ())
    return node.with_changes(leading_lines=tuple(dropwhile(lambda line: not line.comment, lines)))


def after_imports(body: Sequence[cst.CSTNode]) -> Iterator[str]:
    """Yield the text of each statement that stands right below an import, without the blank lines between them."""
    for above, node in pairwise(body):
        if imports(above) and not imports(node):
            yield code(close(node))
