"""The plugin that every pytest is given which a command of a job starts: it runs the tests that are asked for and
reports on them, whatever the repository's own options say about stopping early, reports and coverage.

At the end it has pytest itself run a test of its own that must fail: an edit that makes pytest say "passed" to
everything is seen by that.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from umbau_report import ASKED, Report, Tracer, wanted  # type: ignore[import-not-found] # given beside this file

REPORT, TRACER = Report(), Tracer()
KNOWN: list[str] = []
WORSE = ["passed", "skipped", "failed", "error"]
_ends: dict[str, tuple[str, float]] = {}


@pytest.hookimpl(hookwrapper=True)
def pytest_load_initial_conftests(early_config: Any) -> Any:
    early_config.known_args_namespace.no_cov = True  # pytest-cov starts here, and would take our place
    yield


def pytest_cmdline_main(config: Any) -> None:
    if getattr(config.option, "dist", "no") == "no":  # else pytest-xdist starts those that run the tests, with us
        # What a test starts is on its own: it may be pytest on tests that must fail.
        os.environ.pop("PYTEST_ADDOPTS", None)
    if ASKED["apart"]:
        config.args[:], config.option.keyword, config.option.markexpr = ASKED["apart"], "", ""
    config.option.maxfail = 0
    config.option.no_cov = True


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: Any, items: list[Any]) -> None:
    KNOWN.extend(item.nodeid for item in items)
    left_out = [item for item in items if not wanted(item.nodeid)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if wanted(item.nodeid)]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: Any) -> Any:
    TRACER.within(item.nodeid)
    yield
    TRACER.within("")


@pytest.hookimpl(hookwrapper=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Any:
    """What a fixture does for several tests is not the first one's alone."""
    shared = fixturedef.scope != "function"
    if shared:
        TRACER.within("")
    yield
    if shared:
        TRACER.within(request._pyfuncitem.nodeid if hasattr(request, "_pyfuncitem") else "")


def pytest_runtest_logreport(report: Any) -> None:
    outcome = report.outcome
    if outcome == "rerun" or (outcome == "passed" and report.when != "call"):
        return
    if outcome == "failed" and report.when != "call":
        outcome = "error"
    _ended(report.nodeid, outcome, getattr(report, "duration", 0.0))


def pytest_collectreport(report: Any) -> None:
    if report.outcome != "passed":
        _ended(report.nodeid, "error" if report.outcome == "failed" else "skipped", 0.0)


def _ended(test: str, outcome: str, seconds: float) -> None:
    """Keep the worst that is said of a test: its teardown may fail after it did not."""
    if outcome not in WORSE:
        return
    known, spent = _ends.get(test, (outcome, 0.0))
    _ends[test] = max(outcome, known, key=WORSE.index), spent + seconds


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: Any, exitstatus: Any) -> None:
    honest, files = _honest(session), TRACER.files()
    worker = hasattr(session.config, "workerinput")  # of pytest-xdist: who started it reports on its tests
    if not worker:
        for test, (outcome, seconds) in _ends.items():
            REPORT.say(id=test, outcome=outcome, seconds=round(seconds, 4))
    REPORT.say(code=int(exitstatus), honest=honest, known=len(KNOWN), files=files, worker=worker)


def _honest(session: Any) -> bool:
    """Say whether pytest, as it is by now, says of a test that fails that it does."""
    from _pytest.runner import runtestprotocol

    def fails() -> None:
        raise AssertionError("as it must")

    item = pytest.Function.from_parent(session, name=f"test_umbau_{os.urandom(4).hex()}", callobj=fails)
    ends = {report.outcome for report in runtestprotocol(item, log=False) if report.when != "teardown"}
    return "failed" in ends
