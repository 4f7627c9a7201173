"""Makes every pytest that a command starts write a report of its own, and reads what may be anything by then."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from stat import S_ISREG
from xml.parsers import expat

from operators.checkout import Tree

LARGEST = 32 << 20  # bytes of all reports; a test that passed takes about 150
MOST = 1000  # reports
WORSE = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}
_TAGS = {"skipped": "skipped", "failure": "failed", "error": "error"}

# What a test starts is on its own: it may be pytest, on tests that have to fail.
_PLUGIN = """\
import os


def pytest_cmdline_main(config):
    os.environ.pop("PYTEST_ADDOPTS", None)
    config.option.xmlpath = os.path.join(os.path.dirname(__file__), "%d.xml" % os.getpid())
"""
# Files that configure pytest, if they hold these words.
_CONFIGURE = {
    **dict.fromkeys(("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml"), ""),
    **{"pyproject.toml": "[tool.pytest", "tox.ini": "[pytest]", "setup.cfg": "[tool:pytest]"},
}


def options(folder: Path, own: Tree) -> list[str]:
    """Return the options of pytest, given modules from `folder`, that make it leave its reports there."""
    (folder / "umbau_reports.py").write_text(_PLUGIN)
    given = ["-p", "umbau_reports", "-o", "junit_family=xunit2", "-o", f"cache_dir={folder}/cache"]
    if not _configured(own):  # else pytest looks above the checkout
        (folder / "none.ini").write_text("[pytest]\n")
        given += ["-c", f"{folder}/none.ini", f"--rootdir={own.folder}", f"--confcutdir={own.folder}"]
    return given


def read(folder: Path) -> list[dict[str, str]] | None:
    """Return for each report the test ids and how they ended: "passed", "skipped", "failed" or "error". None when
    there is no report, or anything else in its place."""
    found, left = [], LARGEST
    try:
        reports = [path for path in folder.iterdir() if path.suffix == ".xml"]
        for report in reports if len(reports) <= MOST else ():
            data = _bytes(report, left)
            left -= len(data)
            found.append(_results(data))
    except (OSError, ValueError, expat.ExpatError):
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


def _configured(own: Tree) -> bool:
    for path in own.files():
        words = _CONFIGURE.get(path.rpartition("/")[2])
        if words is not None and words in (own.folder / path).read_text(errors="replace"):
            return True
    return False


def _bytes(report: Path, most: int) -> bytes:
    """Read a regular file; a pipe would keep us waiting for ever. Raises OSError, ValueError beyond `most` bytes."""
    with os.fdopen(os.open(report, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        if not S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{report} is no file")
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"more than {most} bytes")
    return data


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
