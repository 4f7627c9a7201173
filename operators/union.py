"""The sum of several edits of one commit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from operators.hunks import Conflict, add
from operators.workspace import Workspace

Files = Mapping[str, str | None]


def union(ws: Workspace, edits: Iterable[Files]) -> dict[str, str | None]:
    """Return the files with every one of `edits`, each told against what `ws` shows, in them. Raises Conflict."""
    return {path: _added(ws, path, versions) for path, versions in by_path(edits).items()}


def by_path(edits: Iterable[Files]) -> dict[str, list[str | None]]:
    """Return what each file becomes in each of `edits` that changes it."""
    texts: dict[str, list[str | None]] = defaultdict(list)
    for files in edits:
        for path, text in files.items():
            texts[path].append(text)
    return texts


def _added(ws: Workspace, path: str, versions: Sequence[str | None]) -> str | None:
    texts = [text for text in versions if text is not None]
    if len(versions) == 1 or not texts:
        return versions[0]
    if len(texts) < len(versions):
        raise Conflict(f"{path} is deleted and edited")
    return add(ws.text(path) or "", texts)
