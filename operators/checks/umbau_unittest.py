"""`python -m umbau_unittest ARGUMENTS` is `python -m unittest ARGUMENTS` with a report, test by test.

A command finds it as a module of its own (operators.checks.reports): it runs on the repository's Python and knows
nothing of Umbau. The report is in the form of pytest's, and is written when all tests have ended; it is not there when
they are cut short.
"""

from __future__ import annotations

import os
import unittest
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

LEFT = "."  # folder for the report, written in when the file is given to a command
_TAGS = {"passed": "", "skipped": "<skipped/>", "failed": "<failure/>", "error": "<error/>"}
_WORSE = list(_TAGS)
_UNTOLD = str.maketrans(dict.fromkeys(map(chr, range(32)), "?"))  # XML cannot hold them


class Result(unittest.TextTestResult):
    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.ends: dict[str, str] = {}

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        self._ended(test, "passed")

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._ended(test, "error")

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._ended(test, "failed")

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self._ended(test, "skipped")

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self._ended(test, "skipped")  # as pytest's reports have it

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self._ended(test, "failed")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err:
            self._ended(test, "failed")

    def stopTestRun(self) -> None:
        super().stopTestRun()
        cases = []
        for test, how in self.ends.items():
            where, _, name = test.translate(_UNTOLD).rpartition(".")
            cases.append(f"<testcase classname={quoteattr(where)} name={quoteattr(name)}>{_TAGS[how]}</testcase>\n")
        report = Path(LEFT, f"{os.getpid()}.xml")
        report.write_text(f"<testsuite>\n{''.join(cases)}</testsuite>\n", "utf-8", errors="replace")

    def _ended(self, test: Any, how: str) -> None:
        """Keep the worst that is said of a test: its clean-up may fail after it did not."""
        self.ends[test.id()] = max(how, self.ends.get(test.id(), how), key=_WORSE.index)


class Runner(unittest.TextTestRunner):
    resultclass = Result


if __name__ == "__main__":
    unittest.main(module=None, testRunner=Runner)
