"""What of other files each shard is shown with: definitions of what it uses, and places that use it.

Found by text search; parsed is only what has a name that is looked for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from operators.data import Span
from pipelines.callers import callers
from pipelines.data import Repo
from pipelines.definitions import definitions
from pipelines.select import Cut, Selection


def related(repo: Repo, chosen: Selection, cuts: Sequence[Cut], show: Collection[str]) -> list[tuple[Span, ...]]:
    """Return for each shard what else it is shown with; nothing unless `show` holds "definitions" or "callers".

    Python only. A file that does not parse has nothing to show. Raises GitError, Broken.
    """
    files = {path: entry.blob for path, entry in chosen.entries.items() if path.endswith((".py", ".pyi"))}
    mirror, none = Path(repo.mirror), [list[Span]()] * len(cuts)
    defined = definitions(mirror, files, cuts) if "definitions" in show else none
    used = callers(mirror, repo.commit, files, cuts) if "callers" in show else none
    return [(*first, *_others(first, second)) for first, second in zip(defined, used, strict=True)]


def _others(known: Sequence[Span], more: Sequence[Span]) -> list[Span]:
    """Leave out what is shown anyway: a symbol may both be used by a shard and use it."""
    shown = {(span.path, span.symbol) for span in known}
    return [span for span in more if (span.path, span.symbol) not in shown]
