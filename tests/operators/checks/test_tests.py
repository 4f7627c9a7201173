from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.checks.reports import Told
from operators.checks.runs import Run, findings
from operators.checks.tests import BaseBroken
from operators.checks.tests import Tests as Check
from operators.data import Covered, Edit, Ruling
from operators.probe import proven
from operators.proc import git
from operators.workspace import NoCommand, Workspace
from tests.operators.conftest import MakeWorkspace, shard_of

APP = "def double(x):\n    return 2 * x\n"
SUITE = """\
import pytest
from app import double


@pytest.mark.parametrize("x", [1, 2])
def test_double(x):
    assert double(x) == 2 * x


def test_known_to_fail():
    assert double(1) == 3


@pytest.mark.skip
def test_skipped(): ...
"""
FILES = {"app.py": APP, "tests/test_app.py": SUITE}


def judge(ws: Workspace, files: dict[str, str | None], command: str = "pytest -q", timeout: float = 60.0) -> Ruling:
    edit = Edit(files)
    return Check(command, timeout).judge(ws.over(edit), shard_of(ws.base, *files), edit)


TEST = "def test_a(): ...\n"
KNOWN = {
    "code": 1,
    "results": {
        "tests/test_app.py::test_double[1]": "passed",
        "tests/test_app.py::test_double[2]": "passed",
        "tests/test_app.py::test_known_to_fail": "failed",
        "tests/test_app.py::test_skipped": "skipped",
    },
}


def known(ws: Workspace, command: str = "pytest -q") -> Workspace:
    """The workspace with what the tests say of the untouched commit."""
    return Workspace(replace(ws.base, facts={command: KNOWN}))


def test_the_untouched_commit_is_looked_at_first(workspace: MakeWorkspace) -> None:
    ws = workspace(FILES)
    found = Check("pytest -q").baseline(ws)
    assert {name: found[name] for name in KNOWN} == KNOWN
    assert (found["flaky"], found["honest"], found["whole"]) == ([], True, True)
    assert found["tree"] == git(Path(ws.base.mirror), "rev-parse", "HEAD^{tree}").decode().strip()
    assert found["map"]["tests"] == [test for test in KNOWN["results"] if "skipped" not in test]
    assert found["map"]["files"]["app.py"] == [(1, 1, [-1]), (2, 2, [0, 1, 2])]


def test_without_that_knowledge_it_is_looked_at_now(workspace: MakeWorkspace) -> None:
    assert "(untouched: 2 passed, 1 failing)" in judge(workspace(FILES), {"app.py": APP + "A = 1\n"}).proof


def test_what_failed_before_may_fail_and_what_passed_must_pass(workspace: MakeWorkspace) -> None:
    ws = known(workspace(FILES))
    fine = judge(ws, {"app.py": APP.replace("2 * x", "x + x")})
    proof = "tests: `pytest -q` 2 passed (untouched: 2 passed, 1 failing)"
    assert fine == Ruling((), proof, (Covered("app.py", ((2, 2, True),)),), sandbox=proven())
    (broken,) = judge(ws, {"app.py": APP.replace("2 * x", "3 * x")}).findings
    assert (
        "`pytest -q`: 2 newly failing: tests/test_app.py::test_double[1], tests/test_app.py::test_double[2]\n"
        in broken.message
    )
    assert "test_known_to_fail" not in broken.message.splitlines()[0]
    new, lost = judge(ws, {"app.py": "import nowhere\n"}).findings
    assert "newly failing" in new.message
    assert "2 passed before and did not pass or run now: tests/test_app.py::test_double" in lost.message
    assert "No module named 'nowhere'" in lost.message


MOODY = """\
from pathlib import Path

RUNS = Path({runs!r})


def test_moody():
    RUNS.write_text(RUNS.read_text() + ".")
    assert len(RUNS.read_text()) not in {bad}


def test_steady(): ...
"""


@pytest.mark.parametrize(("bad", "runs", "passes"), [({1}, 3, True), ({1, 2}, 2, False), ({1, 3}, 3, False)])
def test_a_test_that_fails_now_and_then_has_a_second_chance(
    workspace: MakeWorkspace, tmp_path: Path, bad: set[int], runs: int, passes: bool
) -> None:
    """Alone, and if it passes there, with the tests around it."""
    counter = tmp_path / "runs"
    counter.write_text("")
    ws = workspace({"app.py": APP, "test_app.py": MOODY.format(runs=str(counter), bad=bad)})
    results = {"test_app.py::test_moody": "passed", "test_app.py::test_steady": "passed"}
    ws = Workspace(replace(ws.base, sandbox="none", facts={"pytest -q": {"code": 0, "results": results}}))
    ruling = judge(ws, {"app.py": APP + "\n"})
    assert len(counter.read_text()) == runs
    if passes:
        assert ruling.proof == "tests: `pytest -q` 2 passed, 1 of them not every time (untouched: 2 passed)"
    else:
        assert "1 newly failing: test_app.py::test_moody" in ruling.findings[0].message
        assert ruling.failing == {"test_app.py::test_moody"}


@pytest.mark.parametrize(
    "cheat",
    [
        SUITE.replace("[1, 2]", "[1]"),
        SUITE.replace("def test_double", "def double_is_not_tested"),
        SUITE.replace("@pytest.mark.param", "@pytest.mark.skip\n@pytest.mark.param"),
        SUITE.replace("assert double(x) == 2 * x", "pytest.skip('later')"),
        "import pytest\n\npytest.skip(allow_module_level=True)\n",
        "import os\n\nos._exit(0)\n",
        "",
    ],
)
def test_tests_may_not_get_lost(workspace: MakeWorkspace, cheat: str) -> None:
    ws = known(workspace(FILES))
    ruling = judge(ws, {"tests/test_app.py": cheat})
    assert ruling.findings
    messages = " ".join(finding.message for finding in ruling.findings)
    assert re.search(
        r"passed before and did not pass or run now|before all tests were reported on|without a report", messages
    )


def test_a_command_without_a_report_is_judged_by_its_exit_code(workspace: MakeWorkspace) -> None:
    command = "python -c 'import app; assert app.double(1) == 2'"
    ws = workspace(FILES)
    assert Check(command).baseline(ws) == {"code": 0, "results": None}
    assert judge(ws, {"app.py": APP + "\n"}, command) == Ruling((), f"tests: `{command}` passed", sandbox=proven())
    (finding,) = judge(ws, {"app.py": APP.replace("2 *", "3 *")}, command).findings
    assert "ended with exit code 1\n" in finding.message
    assert "AssertionError" in finding.message


def test_pytest_behind_another_command_is_read_all_the_same(workspace: MakeWorkspace) -> None:
    command = "sh run-tests.sh"
    ws = workspace({**FILES, "run-tests.sh": "exec python -m pytest -q\n"})
    assert Check(command).baseline(ws)["results"] == KNOWN["results"]
    ws = known(ws, command)
    assert "2 newly failing" in judge(ws, {"app.py": APP.replace("2 *", "3 *")}, command).findings[0].message


@pytest.mark.parametrize(
    ("files", "command", "told"),
    [
        ({"app.py": APP}, "pytest -q", "`pytest -q` finds no test on the untouched commit:"),
        (
            {"app.py": APP},
            "pytest -q missing.py",
            "`pytest -q missing.py` ends with exit code 4 on the untouched commit",
        ),
        ({"app.py": APP}, "pytest --no-such-option", "unrecognized arguments: --no-such-option"),
        ({"app.py": APP}, "python -c 'import nowhere'", "No module named 'nowhere'"),
        ({"conftest.py": "raise RuntimeError('broken base')\n"}, "pytest -q", "RuntimeError: broken base"),
        (
            {"a/test_a.py": TEST, "b/test_b.py": "import nowhere\n"},
            "pytest -q",
            "has a run in which no test passes on the untouched commit. What cannot be collected is left out with "
            "--continue-on-collection-errors:\n",
        ),
        (
            {"a/test_a.py": TEST, "b/test_b.py": "import nowhere\n"},
            "pytest -q a; pytest -q b",
            "has a run in which no test passes on the untouched commit",
        ),
        (
            {"test_a.py": TEST, "test_b.py": "import pytest\n\n\ndef test_b():\n    pytest.exit('enough', 3)\n"},
            "pytest -q",
            "`pytest -q` ends with exit code 3 on the untouched commit",
        ),
        (
            {"test_a.py": "import pytest\npytest.skip(allow_module_level=True)\n"},
            "pytest -q",
            "in which no test passes",
        ),
        ({"test_a.py": TEST}, "PYTEST_ADDOPTS= pytest -q", "writes no report on the untouched commit"),
    ],
)
def test_a_base_that_cannot_be_tested_is_an_error_of_ours(
    workspace: MakeWorkspace, files: dict[str, str], command: str, told: str
) -> None:
    with pytest.raises(BaseBroken) as error:
        Check(command).baseline(workspace(files))
    assert told in str(error.value)


def test_a_share_of_coverage_needs_a_report(workspace: MakeWorkspace) -> None:
    with pytest.raises(BaseBroken, match="`covered` needs pytest or `python -m umbau_unittest`"):
        Check("python -c 'import app'", covered=0.5).baseline(workspace(FILES))


def test_a_runner_that_is_not_installed_is_an_error_of_ours(workspace: MakeWorkspace) -> None:
    with pytest.raises(NoCommand):
        Check("no-such-runner").baseline(workspace(FILES))


def test_a_file_that_cannot_be_collected_does_not_hide_the_others(workspace: MakeWorkspace) -> None:
    ws = workspace({"app.py": APP, "tests/test_a.py": TEST, "tests/test_b.py": "import nowhere\n"})
    found = Check("pytest -q --continue-on-collection-errors").baseline(ws)
    assert found["code"] == 1
    assert found["results"] == {"tests/test_a.py::test_a": "passed", "tests/test_b.py": "error"}


TWICE = {"app.py": APP, "a/test_a.py": SUITE, "b/test_b.py": "from app import double\n\n\ndef test_b(): ...\n"}


@pytest.mark.parametrize(
    "command", ["pytest -q a; pytest -q b", "pytest -q a & pytest -q b; wait", "cd a; pytest -q; cd ../b; pytest -q"]
)
def test_every_pytest_of_a_command_is_read(workspace: MakeWorkspace, command: str) -> None:
    found = Check(command).baseline(workspace(TWICE))
    assert Counter(found["results"].values()) == {"passed": 3, "failed": 1, "skipped": 1}
    assert found["results"]["b/test_b.py::test_b"] == "passed"


def test_a_run_that_gets_lost_is_noticed_though_another_runs_the_same_tests(workspace: MakeWorkspace) -> None:
    files = {"app.py": "", "test_a.py": "import app\n\n\ndef test_a(): ...\n"}
    twice = "ONCE=1 pytest -q; pytest -q"
    ruling = judge(workspace(files), {"app.py": "import os\nif 'ONCE' in os.environ: os._exit(1)\n"}, twice)
    assert "before all tests were reported on" in ruling.findings[0].message


PYTEST_BY_A_TEST = """\
import subprocess, sys

def test_a(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\\naddopts = -v")
    (tmp_path / "test_inner.py").write_text("def test_inner(): assert 0")
    done = subprocess.run([sys.executable, "-m", "pytest"], cwd=tmp_path, capture_output=True, text=True)
    assert "configfile: pytest.ini" in done.stdout and "test_inner FAILED" in done.stdout
"""
PYTEST_IN_A_TEST = """\
import pytest

def test_a(tmp_path):
    (tmp_path / "test_inner.py").write_text("def test_inner(): assert 0")
    assert pytest.main([str(tmp_path)]) == 1
"""


@pytest.mark.parametrize("inner", [PYTEST_BY_A_TEST, PYTEST_IN_A_TEST])
def test_what_tests_themselves_test_is_not_reported(workspace: MakeWorkspace, inner: str) -> None:
    found = Check("pytest -q").baseline(workspace({"test_a.py": inner}))
    assert (found["code"], found["results"], found["flaky"]) == (0, {"test_a.py::test_a": "passed"}, [])


INSTEAD = """\
import os

def pytest_unconfigure(config):
    from umbau_pytest import REPORT
    path = REPORT._file.name
    os.remove(path)
    {}
"""


@pytest.mark.parametrize(
    "code",
    [
        "os.mkfifo(path)",
        "os.symlink('/dev/zero', path)",
        "os.mkdir(path)",
        "os.mknod(path)",
        "open(path, 'w').write('{' * 10)",
        "open(path, 'w').write('[' * 1_000_000)",
        "open(path, 'w').write('{}')",
        "open(path, 'wb').write(bytes(range(256)))",
        'open(path, \'w\').write(\'{"id": "a", "outcome": [], "seconds": 1}\')',
        'open(path, \'w\').write(\'{"id": "a", "outcome": "passed", "seconds": 0}\\n\' * 1_000_000)',
        "[open(os.path.dirname(path) + f'/{number}.jsonl', 'w') for number in range(1001)]",
    ],
)
def test_what_stands_in_the_place_of_a_report_is_not_taken_for_one(workspace: MakeWorkspace, code: str) -> None:
    ws = known(workspace(FILES))
    start = time.monotonic()
    (finding,) = judge(ws, {"conftest.py": INSTEAD.replace("{}", code), "app.py": APP + "\n"}).findings
    assert re.search("ended with exit code 1 (and without a report|before all tests were reported on)", finding.message)
    assert time.monotonic() - start < 20


SHOWN_CONFIG = """\
def test_b(pytestconfig):
    print("rootdir", pytestconfig.rootpath, "strict", bool(pytestconfig.option.strict_markers))
    assert 0
"""


@pytest.mark.parametrize(
    ("files", "rootdir", "strict"),
    [
        ({"pyproject.toml": "[project]\nname = 'app'\n"}, "", False),
        ({"pytest.ini": "[pytest]\naddopts = --strict-markers\n"}, "", True),
        ({"pyproject.toml": "[tool.pytest.ini_options]\naddopts = '--strict-markers'\n"}, "", True),
        ({"tests/tox.ini": "[pytest]\naddopts = --strict-markers\n"}, "tests", True),
        ({"setup.py": "", "setup.cfg": "[tool:pytest]\naddopts = --strict-markers\n"}, "", True),
    ],
)
def test_no_configuration_but_the_repositorys_own_is_used(
    workspace: MakeWorkspace, files: dict[str, str], rootdir: str, strict: bool
) -> None:
    walled = workspace({"tests/test_a.py": TEST, "tests/test_b.py": SHOWN_CONFIG, **files})
    assert f"rootdir {Path('/ws', rootdir)} strict {strict}\n" in Check("pytest -q tests")._run(walled).out
    ws = Workspace(replace(walled.base, sandbox="none"))
    folder = ws.tree().folder
    above = {folder.parent / "pytest.ini": "[pytest]\naddopts = -k nothing\n", folder.parent / "conftest.py": "1 / 0\n"}
    for path, text in above.items():
        path.write_text(text)
    try:
        run = Check("pytest -q tests")._run(ws)
    finally:
        for path in above:
            path.unlink()
    assert run.told
    assert run.told.results["test_a.py::test_a" if rootdir else "tests/test_a.py::test_a"] == "passed"
    assert f"rootdir {folder / rootdir} strict {strict}\n" in run.out


def test_tests_that_take_too_long_are_a_fault(workspace: MakeWorkspace) -> None:
    ws = workspace(FILES)
    known_ws = Workspace(replace(ws.base, facts={"pytest -q": {"code": 0, "results": {"a.py::b": "passed"}}}))
    (finding,) = judge(known_ws, {"app.py": "import time\ntime.sleep(300)\n"}, timeout=3.0).findings
    assert "ended with SIGKILL and without a report" in finding.message
    assert "(took more than 3 s)" in finding.message


def test_the_projects_own_options_are_kept(
    workspace: MakeWorkspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spaced = tmp_path / "a folder"
    spaced.mkdir()
    monkeypatch.setenv("TMPDIR", str(spaced))
    monkeypatch.setattr("tempfile.tempdir", None)
    ws = workspace({**FILES, "pytest.ini": "[pytest]\naddopts = --lf -p no:randomly\njunit_family = legacy\n"})
    assert Check("pytest -q").baseline(ws)["results"]["tests/test_app.py::test_double[1]"] == "passed"
    left = {path.name for path in ws.tree().folder.iterdir()}
    assert left == {"app.py", "tests", "pytest.ini"}


def test_the_tests_of_a_src_layout_find_their_package(workspace: MakeWorkspace) -> None:
    ws = workspace({"src/app.py": APP, "tests/test_app.py": SUITE})
    assert Check("pytest -q").baseline(ws)["results"]["tests/test_app.py::test_double[1]"] == "passed"


WORSE = "ended with {} though no test in its report is worse than before"


def found(before: dict[str, str], after: dict[str, str] | None, codes: Sequence[int] = (0, 0)) -> list[str]:
    return findings({"code": codes[0], "results": before}, Run(codes[1], "", None if after is None else Told(after)))[0]


@pytest.mark.parametrize(
    ("before", "after", "codes", "messages"),
    [
        ({"a": "passed"}, {"a": "passed"}, (0, 0), []),
        ({"a": "passed"}, {"a": "passed", "b": "passed"}, (0, 0), []),
        ({"a": "failed"}, {"a": "passed"}, (1, 0), []),
        ({"a": "failed"}, {"a": "error"}, (1, 1), []),
        ({"a": "failed", "b": "passed"}, {"b": "passed"}, (1, 0), []),
        ({"a": "passed"}, {"a": "failed"}, (0, 1), ["1 newly failing: a"]),
        ({"a": "skipped"}, {"a": "failed"}, (0, 1), ["1 newly failing: a"]),
        ({"a": "passed"}, {"a": "passed", "b": "failed"}, (0, 1), ["1 newly failing: b"]),
        ({"a": "passed"}, {"a": "skipped"}, (0, 0), ["1 passed before and did not pass or run now: a"]),
        ({"a[1]": "passed", "a[2]": "passed"}, {"a[x]": "passed", "a[y]": "passed"}, (0, 0), []),
        (
            {"a[1]": "passed", "a[2]": "passed"},
            {"a[1]": "passed"},
            (0, 0),
            ["1 passed before and did not pass or run now: a"],
        ),
        ({"a": "passed"}, {}, (0, 5), ["ended with exit code 5 and without a report"]),
        ({"a": "passed"}, None, (0, -11), ["ended with SIGSEGV and without a report"]),
        ({"a": "passed"}, {"a": "passed"}, (0, 3), [WORSE.format("exit code 3")]),
        (
            {"a": "passed", "b": "failed"},
            {"a": "passed", "b": "failed"},
            (1, 139),
            [WORSE.format("exit code 139 (SIGSEGV)")],
        ),
        ({"a": "passed", "b": "failed"}, {"a": "passed", "b": "failed"}, (1, 1), []),
    ],
)
def test_only_what_is_worse_than_before_is_a_fault(
    before: dict[str, str], after: dict[str, str] | None, codes: tuple[int, int], messages: list[str]
) -> None:
    assert found(before, after, codes) == messages


results = st.dictionaries(
    st.sampled_from("abcde"), st.sampled_from(["passed", "skipped", "failed", "error"]), min_size=1
)


@given(results, results)
def test_a_test_that_passed_and_does_not_is_always_a_fault(before: dict[str, str], after: dict[str, str]) -> None:
    worse = [test for test, how in before.items() if how == "passed" and after.get(test) != "passed"]
    new = [
        test
        for test, how in after.items()
        if how in {"failed", "error"} and before.get(test) not in {"failed", "error"}
    ]
    assert bool(found(before, after)) is bool(worse or new)
