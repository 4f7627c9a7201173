"""What checks that compare the syntax of before and after have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from operators import guard
from operators.data import Edit, Finding, Skip
from operators.workspace import Workspace

SHOWN = 5  # findings per file
# Where pytest and unittest look for tests, and what lies about there.
_TESTS = re.compile(r"(?:^|/)(?:tests?|testing)/|(?:^|/)(?:test[^/]*|[^/]*_tests?|conftest)\.pyi?$")


def faults(ws: Workspace, edit: Edit, judge: str, function: str, **arguments: Any) -> tuple[Finding, ...]:
    """Return what `function`, which gives differences in words, says of each Python file that an edit changes."""
    return tuple(
        Finding(judge, f"Not as before: {fault}.", path)
        for path, found in compared(ws, edit, function, **arguments)
        for fault in ([found] if isinstance(found, str) else found[:SHOWN])
    )


def compared(ws: Workspace, edit: Edit, function: str, **arguments: Any) -> Iterator[tuple[str, list[Any] | str]]:
    """Yield each Python file that an edit changes, with what `function` of operators.syntax says of its two texts, or
    why they cannot be compared."""
    for path, text in edit.files.items():
        if text is not None and path.endswith((".py", ".pyi")):
            try:
                yield path, guard.call(function, before=ws.base_text(path) or "", after=text, **arguments)
            except Skip as why:
                yield path, f"the file cannot be compared: {why}"


def faulty(judge: str, found: Iterable[tuple[str, list[Any] | str]], words: str) -> tuple[Finding, ...]:
    """Make findings of what `compared` yields for a function that gives lines (0: none) and faults. `words` says what a
    fault is, which it shows as `{}`."""
    findings = []
    for path, faults in found:
        for line, fault in [(0, faults)] if isinstance(faults, str) else faults[:SHOWN]:
            told = words.format(fault)
            findings.append(Finding(judge, f"{told[:1].upper()}{told[1:]}", f"{path}:{line}" if line else path))
    return tuple(findings)


def of_tests(path: str) -> bool:
    """Say whether a file holds tests, or what they share."""
    return bool(_TESTS.search(path))
