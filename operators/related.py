"""What a model is shown of other files: the lines that planning found for a shard."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from operators.data import Shard, Skip, Span
from operators.source import split
from operators.workspace import Workspace


def excerpts(ws: Workspace, shard: Shard) -> dict[str, str]:
    """Return `path::symbol` to its lines as they are at the base commit, `...` for what is left out in between."""
    found: dict[str, list[Span]] = defaultdict(list)
    for span in shard.related:
        found[f"{span.path}::{span.symbol}"].append(span)
    texts = {name: _lines(ws, spans) for name, spans in found.items()}
    return {name: text for name, text in texts.items() if text}


def _lines(ws: Workspace, spans: list[Span]) -> str:
    try:
        lines = split(ws.base_text(spans[0].path) or "")
    except Skip:  # it cannot be read, which is no reason to leave the shard alone
        return ""
    shown = "".join(lines[spans[0].first - 1 : spans[0].last])
    for before, span in pairwise(spans):
        line = lines[before.last] if before.last < len(lines) else ""
        indent = line[: len(line) - len(line.lstrip())].strip("\r\n")
        shown += f"{indent}...\n" + "".join(lines[span.first - 1 : span.last])
    return shown
