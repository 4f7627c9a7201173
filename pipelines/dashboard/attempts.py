"""All that was tried of one shard, as a page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from operators.data import Edit, Outcome, Shard, Skip, Trouble, Verdict
from operators.proc import GitError
from operators.veiled import Hidden
from pipelines.data import Repo
from pipelines.forges.page import LINES, FileDiff, file_diffs
from pipelines.masking import rules
from pipelines.printed import diff

SAID = 20_000  # characters of a model that are shown


@dataclass(frozen=True, slots=True)
class Attempt:
    number: int
    verdict: Verdict
    said: str
    cut: int
    """Characters of the model that are not shown."""
    files: Sequence[FileDiff]
    texts: Sequence[tuple[str, str]] = ()
    """Path and new text, where there is nothing to compare it with."""
    left_out: int = 0
    """Lines of the diff that are not shown."""
    pins: Sequence[Attempt] = ()
    """Attempts at a test of what the code did before."""


def attempts(outcome: Outcome, repo: Repo | None) -> list[Attempt]:
    """Return the attempts of one go. `repo`: where its base is looked up; None when it has left the plan."""
    return [_attempt(number, one, outcome.shard, repo) for number, one in enumerate(outcome.verdicts, 1)]


def _attempt(number: int, verdict: Verdict, shard: Shard, repo: Repo | None) -> Attempt:
    said = verdict.edit.said.strip()
    pins = [_attempt(count, pin, shard, repo) for count, pin in enumerate(verdict.evidence, 1)]
    shown = Attempt(number, verdict, said[:SAID], max(0, len(said) - SAID), (), pins=pins)
    try:
        lines = list(_lines(verdict.edit, shard, repo)) if repo else None
    except (GitError, Trouble, Skip, OSError):
        lines = None  # the repository lies on the driver's machine
    if lines is None:
        texts = [(path, (text or "")[:SAID]) for path, text in verdict.edit.files.items()]
        return replace(shown, texts=texts)
    return replace(shown, files=file_diffs(lines[:LINES]), left_out=max(0, len(lines) - LINES))


def _lines(edit: Edit, shard: Shard, repo: Repo) -> Iterator[str]:
    ws = Hidden.of(replace(repo.base, commit=shard.commit or repo.commit), shard, rules())
    for path, text in edit.files.items():
        yield f"diff --git a/{path} b/{path}"
        yield from diff(ws, replace(edit, files={path: text}))
