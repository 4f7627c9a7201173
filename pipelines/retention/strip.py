"""What stays of an outcome when its words, or its code, are not kept for longer: status, counts, costs, places."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from operators.data import Finding, Outcome, Verdict


def purged(day: str) -> str:
    """Return what stands in the place of words that are gone."""
    return f"purged on {day}"


def without_words(outcome: Outcome, day: str) -> Outcome:
    """Return an outcome without what models said: their replies, what could not be used of them, and the edits of all
    attempts but the last one, which are nothing else. That something was said still shows."""
    last = outcome.verdicts[-1:]
    earlier = [_silent(one, day, keep=False) for one in outcome.verdicts[:-1]]
    return replace(outcome, verdicts=(*earlier, *(_silent(one, day, keep=True) for one in last)), wordless=day)


def _silent(verdict: Verdict, day: str, *, keep: bool) -> Verdict:
    edit, gone = verdict.edit, purged(day)
    pins = [_silent(one, day, keep=keep and one is verdict.evidence[-1]) for one in verdict.evidence]
    said, trouble = (gone if text else "" for text in (edit.said, edit.trouble))
    files = edit.files if keep else {}
    return replace(verdict, edit=replace(edit, said=said, trouble=trouble, pairs=(), files=files), evidence=tuple(pins))


def without_code(outcome: Outcome, day: str) -> Outcome:
    """Return an outcome without words and code: edits, generated tests, what findings and commands quote."""
    status, gone = outcome.status, purged(day)
    silent = outcome if outcome.wordless else without_words(outcome, day)
    verdicts = tuple(_bare(one, gone) for one in silent.verdicts)
    error, skipped = (gone if text else "" for text in (outcome.error, outcome.skipped))
    return replace(silent, verdicts=verdicts, error=error, skipped=skipped, codeless=day, ended=status)


def _bare(verdict: Verdict, gone: str) -> Verdict:
    findings = tuple(Finding(one.judge, gone, one.place) for one in verdict.findings)
    notes = (gone,) if verdict.edit.files or verdict.edit.notes else ()
    edit = replace(verdict.edit, files={}, notes=notes)
    return replace(verdict, edit=edit, findings=findings, evidence=tuple(_bare(one, gone) for one in verdict.evidence))


STRIPPED: dict[int, Callable[[Outcome, str], Outcome]] = {1: without_words, 2: without_code}
"""By how much is purged: words, code as well."""
