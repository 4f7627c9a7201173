"""`python -m umbau_unittest ARGUMENTS` is `python -m unittest ARGUMENTS` with a report, test by test (umbau_report).

A command finds it as a module of its own: it runs on the repository's Python. At the end a test of its own is run that
must fail.
"""

from __future__ import annotations

import os
import sys
import time
import unittest
from typing import Any

from umbau_report import ASKED, Report, Tracer, wanted  # type: ignore[import-not-found] # given beside this file

REPORT, TRACER = Report(), Tracer()
WORSE = ["passed", "skipped", "failed", "error"]


class Result(unittest.TextTestResult):
    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.ends: dict[str, str] = {}
        self.seconds: dict[str, float] = {}
        self.began = 0.0

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

    def startTest(self, test: Any) -> None:
        self.began = time.perf_counter()
        TRACER.within(test.id())
        super().startTest(test)

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        TRACER.within("")
        self.seconds[test.id()] = round(time.perf_counter() - self.began, 4)

    def _ended(self, test: Any, how: str) -> None:
        """Keep the worst that is said of a test: its clean-up may fail after it did not."""
        self.ends[test.id()] = max(how, self.ends.get(test.id(), how), key=WORSE.index)


class Runner(unittest.TextTestRunner):
    resultclass = Result

    def run(self, test: Any) -> Any:
        chosen = unittest.TestSuite(one for one in _each(test) if wanted(one.id()))
        result: Any = super().run(chosen)
        files = TRACER.files()
        for name, how in result.ends.items():
            REPORT.say(id=name, outcome=how, seconds=result.seconds.get(name, 0.0))
        code = int(not result.wasSuccessful())
        REPORT.say(code=code, honest=_honest(), known=test.countTestCases(), files=files, worker=False)
        return result


class _Fails(unittest.TestCase):
    def runTest(self) -> None:
        self.assertTrue(False)


def _each(suite: Any) -> Any:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _each(test)
        else:
            yield test


def _apart() -> Any:
    """Return the tests of those files that alone are asked for."""
    loaders = [(unittest.TestLoader(), *os.path.split(path)) for path in ASKED["apart"]]
    return unittest.TestSuite(loader.discover(folder, name) for loader, folder, name in loaders)


def _honest() -> bool:
    """Say whether unittest, as it is by now, says of a test that fails that it does."""
    result = unittest.TestResult()
    _Fails().run(result)
    return not result.wasSuccessful() and len(result.failures) == 1


if __name__ == "__main__":
    if ASKED["apart"]:
        sys.exit(not Runner().run(_apart()).wasSuccessful())
    unittest.main(module=None, testRunner=Runner)
