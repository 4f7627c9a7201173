"""What the runners of tests, `umbau_pytest` and `umbau_unittest`, say and how; it runs on the repository's Python and
knows nothing of Umbau.

Each process that runs tests leaves a file of JSON lines, written at its end:
`{"id", "outcome": "passed" | "skipped" | "failed" | "error", "seconds"}` for each test, and as the last one
`{"code", "honest", "known", "files", "worker"}`: how the run ended, whether a test that must fail did, how many tests
there are, what was executed (see `Tracer.files`), and whether another process reports on its tests.
"""

from __future__ import annotations

import ast
import json
import os
import sys
from pathlib import Path
from typing import Any

ASKED: dict[str, Any] = json.loads(Path(__file__).with_name("umbau.json").read_text("utf-8"))
"""left: folder for reports; code: root of the checkout; tests: ids to run, null for all; wholes: files to run whole;
apart: files, by their whole paths, that alone are collected, [] for what the command names; trace: "all", or paths to
trace; tracing: folder with a `coverage`, for want of another."""


class Report:
    def __init__(self) -> None:
        self._pid = os.getpid()
        self._file = Path(ASKED["left"], f"{self._pid}.jsonl").open(  # noqa: SIM115 - as long as we live
            "a", encoding="utf-8", errors="replace"
        )

    def say(self, **values: Any) -> None:
        if os.getpid() == self._pid:  # not a child that was forked off
            self._file.write(json.dumps(values) + "\n")
            self._file.flush()


def wanted(test: str) -> bool:
    """Say whether a test is asked for."""
    return ASKED["tests"] is None or test in _WANTED or test.partition("::")[0] in ASKED["wholes"]


_WANTED = frozenset(ASKED["tests"] or ())


STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "os.spawn"})


class Tracer:
    """Tells which statements each test executed. Does nothing unless asked."""

    def __init__(self) -> None:
        self._coverage: Any = None
        self._test, self._starting = "", set[str]()
        if not ASKED["trace"]:
            return
        try:
            import coverage
        except ImportError:
            sys.path.append(ASKED["tracing"])
            try:
                import coverage
            except ImportError:
                return
        code, trace = ASKED["code"], ASKED["trace"]
        where = {"source": [code]} if trace == "all" else {"include": [f"{code}/{path}" for path in trace]}
        self._coverage = coverage.Coverage(data_file=None, config_file=False, messages=False, **where)
        self._coverage.start()
        sys.addaudithook(self._heard)

    def _heard(self, event: str, _: object) -> None:
        if event in STARTS and self._test:
            self._starting.add(self._test)

    def within(self, test: str) -> None:
        """Say which test runs from now on; "" for none."""
        self._test = test
        if self._coverage:
            try:
                self._coverage.switch_context(test)
            except Exception:  # a test has stopped it: what it saw of it is not to be believed
                self._coverage = None

    def files(self) -> dict[str, Any] | None:
        """Return, for each file by its path, its statements: first line, last line (of a compound one those of its
        header) and the tests that executed it, "" for what ran outside of any. Under "" itself: the tests that started
        other processes, of which nobody knows what they executed."""
        if not self._coverage:
            return None
        self._coverage.stop()
        data = self._coverage.get_data()
        found: dict[str, Any] = {"": [(0, 0, sorted(self._starting))]}
        for path in data.measured_files():
            name = os.path.relpath(path, ASKED["code"])
            if not name.startswith(".."):
                found[name] = statements(path, data.contexts_by_lineno(path))
        return found


def statements(path: str, executed: dict[int, list[str]]) -> list[tuple[int, int, list[str]]]:
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, (ast.stmt, ast.excepthandler)) or _silent(node):
            continue
        first, last = _begin(node), getattr(node, "end_lineno", None) or node.lineno
        body = getattr(node, "body", None)
        if isinstance(body, list) and body:
            last = max(first, _begin(body[0]) - 1)
        tests = {test for line in range(first, last + 1) for test in executed.get(line, ())}
        found.append((first, last, sorted(tests)))
    return sorted(found)


def _begin(node: Any) -> int:
    lines = [node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))]
    return int(min(lines))


def _silent(node: Any) -> bool:
    """Say whether a statement executes nothing: a docstring, `global`."""
    if isinstance(node, (ast.Global, ast.Nonlocal)):
        return True
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
