"""Makes every pytest and every `python -m umbau_unittest` that a command starts write a report of its own, and reads
what may be anything by then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.parsers import expat

from operators.box import Box
from operators.workspace import Workspace

WORSE = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}
_TAGS = {"skipped": "skipped", "failure": "failed", "error": "error"}

# What a test starts is on its own: it may be pytest, on tests that have to fail.
_PLUGIN = """\
import os


def pytest_cmdline_main(config):
    os.environ.pop("PYTEST_ADDOPTS", None)
    config.option.xmlpath = os.path.join({left!r}, "%d.xml" % os.getpid())
"""
# unittest with a report, which is written to where LEFT says.
_RUNNER = "umbau_unittest.py"
_LEFT = 'LEFT = "."'
# Files that configure pytest, if they hold these words.
_CONFIGURE = {
    **dict.fromkeys(("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml"), ""),
    **{"pyproject.toml": "[tool.pytest", "tox.ini": "[pytest]", "setup.cfg": "[tool:pytest]"},
}


def options(ws: Workspace, box: Box) -> list[str]:
    """Return the options of pytest that make it leave its reports in a box; unittest's runner is put there as well."""
    runner = Path(__file__).with_name(_RUNNER).read_text()
    box.give(_RUNNER, runner.replace(_LEFT, f"LEFT = {box.left!r}"))
    box.give("umbau_reports.py", _PLUGIN.format(left=box.left))
    given = ["-p", "umbau_reports", "-o", "junit_family=xunit2", "-o", f"cache_dir={box.home}/cache"]
    if not _configured(ws):  # else pytest looks above the checkout
        box.give("none.ini", "[pytest]\n")
        given += ["-c", f"{box.given}/none.ini", f"--rootdir={box.code}", f"--confcutdir={box.code}"]
    return given


def read(files: Mapping[str, bytes]) -> list[dict[str, str]] | None:
    """Return for each report the test ids and how they ended: "passed", "skipped", "failed" or "error". None when
    there is no report, or anything else in its place."""
    try:
        found = [_results(data) for name, data in files.items() if name.endswith(".xml")]
    except (ValueError, expat.ExpatError):
        return None
    return found or None


def merged(reports: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the results of all reports. What a second one says of the same test is that of another."""
    ends: dict[str, list[str]] = {}
    for report in reports:
        for test, how in report.items():
            ends.setdefault(test, []).append(how)
    return {
        f"{test} (run {number})" if number > 1 else test: how
        for test, hows in ends.items()
        for number, how in enumerate(sorted(hows, key=WORSE.__getitem__), 1)
    }


def _configured(ws: Workspace) -> bool:
    for path in ws.paths():
        words = _CONFIGURE.get(path.rpartition("/")[2])
        if words is not None and words in (ws.data(path) or b"").decode(errors="replace"):
            return True
    return False


def _results(data: bytes) -> dict[str, str]:
    """Raises ExpatError, and ValueError for a document type: entities can make gigabytes of a few lines."""
    results: dict[str, str] = {}
    case, how = "", "passed"

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal case, how
        if tag == "testcase":
            case, how = f"{attributes.get('classname')}::{attributes.get('name')}", "passed"
        else:
            how = max(how, _TAGS.get(tag, how), key=WORSE.__getitem__)

    def end(tag: str) -> None:
        if tag == "testcase":
            results[case] = max(how, results.get(case, how), key=WORSE.__getitem__)

    def refuse(*_: object) -> None:
        raise ValueError("a report has no document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler, parser.StartDoctypeDeclHandler = start, end, refuse
    parser.Parse(data, True)
    return results
