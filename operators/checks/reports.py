"""Makes every pytest and every `python -m umbau_unittest` that a command starts report on its tests, and reads what may
be anything by then."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from operators.box import Box
from operators.workspace import Workspace

WORSE = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}
GIVEN = ("umbau_report.py", "umbau_pytest.py", "umbau_unittest.py")
# Files that configure pytest, if they hold these words.
_CONFIGURE = {
    **dict.fromkeys(("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml"), ""),
    **{"pyproject.toml": "[tool.pytest", "tox.ini": "[pytest]", "setup.cfg": "[tool:pytest]"},
}

_RUN = re.compile(r" \(run \d+\)$")

Statement = tuple[int, int, Sequence[str]]
"""First line, last line and the tests that executed it; "" for what ran outside of any."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which tests are to run, and what is to be traced meanwhile."""

    tests: Collection[str] | None = None
    """Ids; None for all."""
    wholes: Collection[str] = ()
    """Files whose tests are all to run."""
    trace: Literal["all"] | Sequence[str] = ()
    apart: Collection[str] = ()
    """Files that alone are collected, whatever the command names: their tests run in a process without any others."""


@dataclass(frozen=True, slots=True)
class Told:
    """What all reports of one run say together."""

    results: Mapping[str, str]
    """Test id to "passed", "skipped", "failed" or "error"."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    known: int = 0
    """Tests that there are, whether asked for or not."""
    honest: bool = True
    """A test that had to fail did."""
    whole: bool = True
    """No report was cut short."""
    fruitless: bool = False
    """One of the reports has no test that passed."""
    files: Mapping[str, Sequence[Statement]] | None = None
    """Statements by file, if they were traced."""


def give(ws: Workspace, box: Box, asked: Asked, tracing: str) -> list[str]:
    """Put the runners into a box and return the options of pytest that make it use ours. `tracing`: folder with a
    `coverage` for want of the repository's own."""
    for name in GIVEN:
        box.give(name, Path(__file__).with_name(name).read_text())
    tests = None if asked.tests is None else list(asked.tests)
    settings = {"left": box.left, "code": box.code, "tests": tests, "wholes": list(asked.wholes)}
    apart = [f"{box.code}/{path}" for path in asked.apart]
    box.give("umbau.json", json.dumps({**settings, "apart": apart, "trace": asked.trace, "tracing": tracing}))
    given = ["-p", "umbau_pytest", "-o", f"cache_dir={box.home}/cache"]
    if not _configured(ws):  # else pytest looks above the checkout
        box.give("none.ini", "[pytest]\n")
        given += ["-c", f"{box.given}/none.ini", f"--rootdir={box.code}", f"--confcutdir={box.code}"]
    return given


def read(files: Mapping[str, bytes]) -> Told | None:
    """Return what the reports say; None when there is none, or anything else in its place."""
    try:
        reports = [_lines(data) for name, data in files.items() if name.endswith(".jsonl")]
        return _merged(reports) if reports else None
    except (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError):
        return None


def once(test: str) -> str:
    """Return the id of a test without the number of its run: a command may run it several times."""
    return _RUN.sub("", test)


def function(test: str) -> str:
    """Return the id without its parameters: those change with names and clocks though no test is lost."""
    return test.partition("[")[0]


def _lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.decode().splitlines()]


def _merged(reports: Sequence[Sequence[Mapping[str, Any]]]) -> Told:
    """Put reports together. What a second one says of the same test is that of another run."""
    ends: dict[str, list[str]] = {}
    seconds: dict[str, float] = {}
    files: dict[str, list[Statement]] | None = None
    last = [report[-1] if report and "honest" in report[-1] else None for report in reports]
    for report in reports:
        for line in report:
            if "id" in line:
                ends.setdefault(line["id"], []).append(_outcome(line))
                seconds[line["id"]] = seconds.get(line["id"], 0.0) + float(line["seconds"])
    for end in last:
        if end and end["files"] is not None:
            files = files or {}
            for path, statements in end["files"].items():
                files[path] = _joined(
                    files.get(path, ()), [(int(a), int(b), list(map(str, c))) for a, b, c in statements]
                )
    results = {
        f"{test} (run {number})" if number > 1 else test: how
        for test, hows in ends.items()
        for number, how in enumerate(sorted(hows, key=WORSE.__getitem__), 1)
    }
    known = max((int(end["known"]) for end in last if end), default=0)
    honest = all(end["honest"] is True for end in last if end)
    told = [report for report, end in zip(reports, last, strict=True) if not (end and end["worker"])]
    fruitless = any(all(line.get("outcome") != "passed" for line in report) for report in told)
    return Told(results, seconds, known, honest, all(last), fruitless, files)


def _outcome(line: Mapping[str, Any]) -> str:
    return line["outcome"] if line["outcome"] in WORSE else "error"


def _joined(one: Sequence[Statement], other: Sequence[Statement]) -> list[Statement]:
    """Return the statements of a file with the tests of both."""
    found: dict[tuple[int, int], set[str]] = {}
    for first, last, tests in (*one, *other):
        found.setdefault((first, last), set()).update(tests)
    return [(first, last, sorted(tests)) for (first, last), tests in sorted(found.items())]


def _configured(ws: Workspace) -> bool:
    for path in ws.paths():
        words = _CONFIGURE.get(path.rpartition("/")[2])
        if words is not None and words in (ws.data(path) or b"").decode(errors="replace"):
            return True
    return False
