"""Which tests can see an edit, by what each of them executed of the untouched commit; and which changed statements
passing tests executed.

What an edit changes within functions is seen by the tests that executed those statements; what it changes in a file of
tests by these, and by the tests that executed anything of that file. All tests are needed where that cannot be told:
files that are new, gone, no Python or conftest.py; statements that run when a module is imported, or in a fixture for
several tests; new functions, classes and decorators; statements that no test executed. Tests that start processes of
their own may execute anything there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operators.checks.reports import Statement, Told, function, once
from operators.data import Covered, Edit
from operators.hunks import Hunk, diff
from operators.source import split
from operators.workspace import Workspace

LARGEST = 8 << 20  # bytes of a map: beyond that, all tests are run
ELSEWHERE = ""  # in a map, the file of what ran in processes that tests started
OUTSIDE = -1  # in a map, the number of what ran outside of any test
_DEFINES = re.compile(r"\s*(?:@|def\b|class\b|async\s+def\b)")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Tests: by id, and all that stand in some files."""

    tests: frozenset[str]
    files: frozenset[str] = frozenset()

    def __contains__(self, test: str) -> bool:
        return once(test) in self.tests or test.partition("::")[0] in self.files

    def sees(self, name: str) -> bool:
        """Say whether one of these tests is that of a function, whatever its parameters."""
        return name.partition("::")[0] in self.files or any(function(test) == name for test in self.tests)

    def __bool__(self) -> bool:
        return bool(self.tests or self.files)


def packed(files: Mapping[str, Sequence[Statement]] | None) -> dict[str, Any] | None:
    """Return what tests executed in a short form that can be kept; None when there is nothing, or too much."""
    numbers: dict[str, int] = {"": OUTSIDE}
    found: dict[str, list[tuple[int, int, list[int]]]] = {}
    for path, statements in (files or {}).items():
        found[path] = [
            (first, last, [numbers.setdefault(test, len(numbers) - 1) for test in tests])
            for first, last, tests in statements
        ]
    made = {"tests": list(numbers)[1:], "files": found}
    return made if files and len(json.dumps(made, separators=(",", ":"))) <= LARGEST else None


def chosen(known: Mapping[str, Any] | None, tests: Collection[str], ws: Workspace, edit: Edit) -> Chosen | None:
    """Return the tests that can see an edit, None for all of them. `known`: see `packed`; `tests`: all ids."""
    if known is None:
        return None
    ids: set[int] = set()
    files: set[str] = set()
    for path, text in edit.files.items():
        before, statements = ws.base_text(path), known["files"].get(path)
        if before is None or text is None or not path.endswith(".py") or path.rpartition("/")[2] == "conftest.py":
            return None
        if any(test.startswith(f"{path}::") for test in tests):
            files.add(path)
            ids.update(number for _, _, executed in statements or () for number in executed)
            continue
        for hunk in diff(split(before), split(text)):
            executed = _executed(statements or (), hunk, split(before))
            if executed is None:
                return None
            if executed:
                ids |= executed.union(*(numbers for _, _, numbers in known["files"].get(ELSEWHERE, ())))
    ids.discard(OUTSIDE)
    return Chosen(frozenset(known["tests"][number] for number in ids), frozenset(files))


def _executed(statements: Sequence[Sequence[Any]], hunk: Hunk, before: Sequence[str]) -> set[int] | None:
    """Return the numbers of the tests that executed what a hunk changes, None when that cannot be told."""
    old = before[hunk.first : hunk.last]
    if not any(_code(line) for line in (*old, *hunk.lines)):
        return set()
    if any(_DEFINES.match(line) for line in (*old, *hunk.lines)):
        return None
    touched = [one for one in statements if one[0] <= hunk.last and one[1] > hunk.first]
    if not touched:  # it stands between two: what runs before it or after it runs it
        if any(_code(line) and not line[0].isspace() for line in hunk.lines):
            return None
        above = [one for one in statements if one[1] <= hunk.first][-1:]
        below = [one for one in statements if one[0] > hunk.last][:1]
        touched = [one for one in (*above, *below) if one[2] and OUTSIDE not in one[2]]
    if not touched or any(not one[2] or OUTSIDE in one[2] for one in touched):
        return None
    return {number for one in touched for number in one[2]}


def _code(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def covered(ws: Workspace, edit: Edit, told: Told) -> tuple[Covered, ...]:
    """Return, for each Python file of an edit, its changed statements and whether a passing test executed them.
    `ws` shows the edit."""
    return tuple(_covered(ws, path, text, told) for path, text in edit.files.items() if text and path.endswith(".py"))


def _covered(ws: Workspace, path: str, text: str, told: Told) -> Covered:
    changed = list(_changed(ws.base_text(path) or "", text))
    statements = (told.files or {}).get(path)
    if statements is None:  # nobody imported it
        lines = split(text)
        return Covered(path, tuple((line, line, False) for line in changed if _code(lines[line - 1])))
    passed = {test for test, how in told.results.items() if how == "passed"} | {""}
    return Covered(
        path,
        tuple(
            (first, last, not passed.isdisjoint(tests))
            for first, last, tests in statements
            if any(first <= line <= last for line in changed)
        ),
    )


def _changed(before: str, after: str) -> Iterator[int]:
    """Yield the lines of `after` (1-based) that are not in `before`."""
    shift = 0
    for hunk in diff(split(before), split(after)):
        yield from range(hunk.first + shift + 1, hunk.first + shift + len(hunk.lines) + 1)
        shift += hunk.grows


def own(ws: Workspace, edit: Edit, whole: Workspace, told: Sequence[Covered]) -> tuple[Covered, ...]:
    """Return of a sum's changed statements those of one edit in it, by their lines in the sum. `ws` shows the edit,
    `whole` the sum."""
    found = []
    for one in told:
        text = edit.files.get(one.path)
        if text:
            moved = _moved(split(text), split(whole.text(one.path) or ""))
            lines = {moved[line] for line in _changed(ws.base_text(one.path) or "", text) if line in moved}
            inside = [part for part in one.statements if any(part[0] <= line <= part[1] for line in lines)]
            found.append(Covered(one.path, tuple(inside)))
    return tuple(found)


def _moved(one: Sequence[str], other: Sequence[str]) -> dict[int, int]:
    """Return where each line that both texts have stands in the other one, 1-based."""
    places: dict[int, int] = {}
    at, shift = 0, 0
    for hunk in [*diff(one, other), Hunk(len(one), len(one), ())]:
        places |= {line + 1: line + shift + 1 for line in range(at, hunk.first)}
        at, shift = hunk.last, shift + hunk.grows
    return places
