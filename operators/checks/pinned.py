"""Check: a generated test holds what code did before an edit, and would notice if the code did anything else.

It is the output of a model: it is read before it is run, and runs in processes without any other test, so that nothing
it does can make these look green.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from operators import guard
from operators.characterise import DIFFERS, in_question, names
from operators.checks.reports import Asked, function
from operators.checks.runs import Run
from operators.checks.select import covered
from operators.checks.shares import gained, share, without
from operators.checks.tests import ran
from operators.data import Covered, Edit, Finding, Ruling, Shard, Skip
from operators.proc import ended
from operators.source import split
from operators.syntax.outline import Lines
from operators.workspace import Workspace

MOST = 20  # times that code is broken; with more statements than that, neighbours are broken together
SHOWN = 3000  # characters of output in a finding, from its end
NAMED = 5  # lines in a finding
LONGEST = 120.0  # seconds that a run of small tests may take, with all that the command does around it
UNSTEADY = "it does not come out the same each time that it is run"
PATIENCE = 10.0  # seconds that broken code may take beyond five times those of the code as it is
USUAL, OTHER = "0", "1"  # seeds of hashes: sets have another order with another one


@dataclass(frozen=True, slots=True)
class Pinned:
    """The test passes on the untouched commit and with the edit, twice each, executes what no test of the repository
    does, and fails whenever one of these statements does something else."""

    command: str
    """Runs the repository's tests."""
    timeout: float
    edit: Edit
    seen: tuple[Covered, ...]
    """Which statements of the edit the repository's tests execute, one value for each file."""
    least: float
    """The share of statements to be executed, by these tests and the generated one."""

    local = False

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        """`ws` shows the untouched commit with the test laid over it, and `edit` is the test alone."""
        ((path, text),) = edit.files.items()
        after = ws.over(self.edit)
        if found := self._read(ws, path, text or "") or self._untouched(ws, path):
            return Ruling((Finding("pinned", found),))
        began = time.monotonic()
        run = apart(after, self.command, self.timeout, [path], self.edit)
        timeout = PATIENCE + 5 * (time.monotonic() - began)
        if amiss(run):
            unsteady = not amiss(self._run(after, path)) or amiss(self._run(ws, path))
            return Ruling((Finding("pinned", UNSTEADY) if unsteady else Finding(DIFFERS, _shown(run)),))
        executed = gained(self.seen, traced(after, self.edit, run))
        if not any(one.generated for one in executed):
            return Ruling((Finding("pinned", f"it executes nothing that is in question: {self._left(ws, executed)}"),))
        found, missed = self._noticed(after, path, executed, timeout)
        seen = without(executed, missed)
        if not found and share(seen) < self.least:
            found = "\n".join(self._lacking(ws, executed, missed))
        return Ruling((Finding("pinned", found),)) if found else Ruling((), covered=seen, sandbox=ws.sandbox)

    def _read(self, ws: Workspace, path: str, text: str) -> str:
        """Return what is wrong with the test by its text alone."""
        files = in_question(ws, self.edit, self.seen)
        modules = [name for file in files for name in names(ws, file)]
        own = {name.partition(".")[0] for file in ws.paths() for name in names(ws, file)}
        about = [ws.base_text(file) for file in files]
        try:
            faults = guard.call("pinned:faults", text=text, modules=modules, about=about, own=sorted(own))
        except Skip as why:
            return f"{path}: {why}"
        return "\n".join(f"{path}{f':{line}' if line else ''}: {what}" for line, what in faults)

    def _untouched(self, ws: Workspace, path: str) -> str:
        """Return what is wrong with the test on the untouched commit."""
        first = self._run(ws, path)
        if amiss(first):
            return f"it does not pass on the code as it is: {_shown(first)}"
        again = self._run(ws, path, hashes=OTHER)
        return UNSTEADY if amiss(again) or _tests(again) != _tests(first) else ""

    def _noticed(
        self, after: Workspace, path: str, seen: Sequence[Covered], timeout: float
    ) -> tuple[str, Mapping[str, Sequence[Lines]]]:
        """Return what is wrong with the test on the edit as broken code is written, nothing being broken yet, and by
        file the statements which the test does not notice to do something else."""
        files = {one.path: one.generated for one in seen if one.generated}
        texts = {name: after.text(name) or "" for name in files}
        plain = Edit({name: guard.call("broken:rewritten", text=text) for name, text in texts.items()})
        if amiss(self._run(after.over(plain), path, hashes=OTHER)):
            return UNSTEADY, {}
        size = ceil(sum(map(len, files.values())) / MOST)
        missed: dict[str, list[Lines]] = {}
        for name, lines in files.items():
            groups = [lines[at : at + size] for at in range(0, len(lines), size)]
            broken = guard.call("broken:broken", text=texts[name], groups=groups)
            for group, text in zip(groups, broken, strict=True):
                if text and not amiss(self._run(after.over(Edit({name: text})), path, timeout)):
                    missed.setdefault(name, []).extend(group)
        return "", missed

    def _lacking(
        self, ws: Workspace, executed: Sequence[Covered], missed: Mapping[str, Sequence[Lines]]
    ) -> Iterator[str]:
        """Say what the test would have to do besides, in lines of the untouched commit."""
        if missed:
            unseen = [Covered(name, tuple((*lines, False) for lines in own)) for name, own in missed.items()]
            yield f"it still passes when this does something else: {self._left(ws, unseen)}. Assert what comes of it"
        if left := self._left(ws, executed):
            yield f"it does not execute {left}"

    def _left(self, ws: Workspace, seen: Sequence[Covered]) -> str:
        """Name statements that are not executed by the lines of the untouched commit that they were."""
        told = []
        for path, numbers in in_question(ws, self.edit, seen).items():
            lines = split(ws.base_text(path) or "")
            told += [f"line {number} of {path}, `{lines[number - 1].strip()}`" for number in numbers]
        return "; ".join(told[:NAMED])

    def _run(self, ws: Workspace, path: str, timeout: float = LONGEST, hashes: str = USUAL) -> Run:
        return apart(ws, self.command, min(timeout, self.timeout), [path], hashes=hashes)


def apart(
    ws: Workspace, command: str, timeout: float, paths: Sequence[str], edit: Edit | None = None, hashes: str = USUAL
) -> Run:
    """Run generated tests, and none besides, by the command that runs the repository's; `edit`: whose files are traced
    meanwhile."""
    trace = [path for path, text in edit.files.items() if text and path.endswith(".py")] if edit else ()
    return ran(ws, command, min(timeout, LONGEST), Asked(apart=paths, trace=trace), PYTHONHASHSEED=hashes)


def traced(ws: Workspace, edit: Edit, run: Run) -> list[Covered]:
    """Return which changed statements a run executed, of the files that it imported."""
    files = (run.told.files if run.told else None) or {}
    return [one for one in covered(ws, edit, run.told) if one.path in files] if run.told else []


def amiss(run: Run) -> str:
    """Say what keeps a run of generated tests from being one in which all passed, "" when nothing does."""
    told = run.told
    if not told or not told.results:
        return f"ended with {ended(run.code)} and without a report"
    if not told.whole:
        return f"ended with {ended(run.code)} before all tests were reported on"
    if not told.honest:
        return "the test runner has been tampered with: a test that must fail was said not to"
    bad = [f"{test} {how}" for test, how in told.results.items() if how != "passed"]
    if bad:
        return ", ".join(bad[:NAMED])
    return f"ended with {ended(run.code)} though every test passed" if run.code else ""


def _shown(run: Run) -> str:
    return f"{amiss(run)}\n{run.out.strip()[-SHOWN:]}"


def _tests(run: Run) -> Counter[str]:
    return Counter(map(function, run.told.results)) if run.told else Counter()
