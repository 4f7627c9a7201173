"""Rows become cases, and cases commits, on real git."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.data import Base
from operators.proc import git
from operators.workspace import Workspace
from pipelines.cases import BadCases, Case, Misfit, lay, read, wanted
from pipelines.data import Repo
from pipelines.errors import Refused
from pipelines.repos import NoRepo, resolve
from tests.models.miniature import CODE, RIGHT, TESTS, Miniature, patch, row

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def mini(tmp_path: Path) -> Miniature:
    return Miniature(tmp_path)


def resolved(mini: Miniature, tmp_path: Path, **other: str) -> tuple[Case, Repo]:
    (case,) = read(mini.rows(dict(other)))
    return case, resolve(case.source(mini.repos), tmp_path / "home", tmp_path, case.commit_hash)


def text(repo: Repo, commit: str, path: str) -> str | None:
    return Workspace(Base(repo.name, commit, repo.mirror)).base_text(path)


def test_a_case_becomes_two_commits_and_an_edit(mini: Miniature, tmp_path: Path) -> None:
    case, repo = resolved(mini, tmp_path)
    laid = lay(case, repo)
    assert text(repo, laid.before, "setup.cfg") == "hello\n"
    assert text(repo, laid.before, "welcome.py") == CODE
    assert text(repo, laid.before, "later.py") is None
    assert text(repo, laid.gold, "welcome.py") == RIGHT
    assert laid.files == {"welcome.py": RIGHT}
    assert lay(case, repo) == laid, "the same case is the same commits"


def test_tests_of_the_gold_edit_are_part_of_what_it_is_measured_by(mini: Miniature, tmp_path: Path) -> None:
    stricter = TESTS.replace("self.fail()", "self.fail('later')")
    gold = patch("welcome.py", CODE, RIGHT) + patch("tests/test_welcome.py", TESTS, stricter)
    case, repo = resolved(mini, tmp_path, gold_patch=gold)
    laid = lay(case, repo)
    assert laid.files == {"welcome.py": RIGHT}
    assert text(repo, laid.before, "tests/test_welcome.py") == stricter
    assert text(repo, laid.before, "welcome.py") == CODE


@pytest.mark.parametrize("name", ["patch", "test_patch", "gold_patch"])
@pytest.mark.parametrize(
    "bad",
    [
        "no patch at all",
        patch("welcome.py", "a\n", "b\n"),
        patch("../welcome.py", "a\n", "b\n"),
        patch("none.py", "a", "b"),
    ],
)
def test_a_patch_that_does_not_apply_is_named(name: str, bad: str, mini: Miniature, tmp_path: Path) -> None:
    case, repo = resolved(mini, tmp_path, **{name: bad})
    with pytest.raises(Misfit, match=f"^`{name}` does not apply: "):
        lay(case, repo)


def test_a_commit_that_is_not_there_is_named(mini: Miniature, tmp_path: Path) -> None:
    with pytest.raises(NoRepo, match=f"has no commit {COMMIT}"):
        resolved(mini, tmp_path, commit_hash=COMMIT)


def test_a_model_is_told_what_moved() -> None:
    case = Case.model_validate(row(COMMIT, migration_target_version="3.12.11"))
    assert case.task.splitlines() == [
        "It was written for Python 3.6.4.",
        "It has to run on Python 3.12.",
        "hello has moved from 1.0 to 2.0.",
        "Installed are: hello==2.0.",
    ]


def test_each_runner_has_its_command() -> None:
    files = "tests/test_a.py, tests/it's.py"
    unittest = Case.model_validate(row(COMMIT, test_files=files))
    assert unittest.plain == "python -m unittest tests/test_a.py 'tests/it'\"'\"'s.py'"
    assert unittest.command == unittest.plain.replace("unittest", "umbau_unittest")
    pytests = Case.model_validate(row(COMMIT, test_files=files, test_type="pytest"))
    assert pytests.command == pytests.plain == unittest.plain.replace("unittest", "pytest")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gold_patch": None}, "`gold_patch`: Input should be a valid string"),
        ({"gold_patch": ""}, "`gold_patch`: String should have at least 1 character"),
        ({"repo_name": "../etc"}, "`repo_name`: String should match pattern"),
        ({"commit_hash": "HEAD"}, "`commit_hash`: String should match pattern"),
        ({"test_type": "nose"}, "`test_type`: Input should be 'pytest' or 'unittest'"),
        ({"test_count": "7"}, "`test_count`: Input should be a valid integer"),
        ({"test_count": 0}, "`test_count`: Input should be greater than or equal to 1"),
        ({"test_files": "../a.py"}, "`test_files`: '../a.py' is no path within the repository"),
        ({"test_files": "a.py,"}, "`test_files`: '' is no path within the repository"),
        ({"test_files": "-x"}, "`test_files`: '-x' is no path within the repository"),
        ({"test_files": "a\0.py"}, "`test_files`: 'a\\x00.py' is no path within the repository"),
        ({"dependency_versions": "lxml"}, "`dependency_versions`: lxml is no pin, such as `lxml==6.0.0`"),
        ({"dependency_versions": "a==1\n--index-url=x"}, "`dependency_versions`: --index-url=x is no pin"),
        ({"migration_target_version": "2.7"}, "`migration_target_version`: String should match pattern"),
    ],
)
def test_a_bad_row_is_told_by_line_and_key(change: dict[str, object], message: str, tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(f"{json.dumps(row(COMMIT))}\n\n{json.dumps(row(COMMIT) | change)}\n")
    with pytest.raises(BadCases) as error:
        read(file)
    assert str(error.value).startswith(f"{file}:3: {message}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\n", " holds no case"),
        (b"{}", ":1: `repo_name` is missing"),
        (b"[]", ":1: Input should be an object"),
        (b"{", ":1: Invalid JSON: EOF"),
        (b"\xff", ":1: Invalid JSON: "),
        (b"[" * 100_000, ":1: Invalid JSON: recursion limit exceeded"),
    ],
)
def test_what_is_no_row_is_told_by_line(data: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_bytes(data)
    with pytest.raises(BadCases) as error:
        read(file)
    assert str(error.value).startswith(f"{file}{message}")


def test_many_faults_are_not_all_told(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text("x\n" * 50)
    with pytest.raises(BadCases, match=r"\.\.\. and 30 more$"):
        read(file)
    with pytest.raises(BadCases, match=r"cannot be read: Is a directory"):
        read(tmp_path)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(row(COMMIT))), JSON))
def test_any_row_is_a_case_or_told(tmp_path_factory: pytest.TempPathFactory, change: dict[str, object]) -> None:
    file = tmp_path_factory.mktemp("rows") / "cases.jsonl"
    file.write_text(json.dumps(row(COMMIT) | change))
    try:
        (case,) = read(file)
    except BadCases as error:
        assert str(error).startswith(f"{file}:1: ")
    else:
        assert case.task and case.command and case.source(None)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_told(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("rows") / "cases.jsonl"
    file.write_bytes(data)
    with pytest.raises(BadCases):
        read(file)


def test_cases_are_chosen_by_name() -> None:
    cases = [Case.model_validate(row(COMMIT, repo_name=name)) for name in ("ada/one", "ada/two")]
    assert wanted(cases, []) == cases
    assert wanted(cases, ["ada/two"]) == cases[1:]
    with pytest.raises(Refused, match=r"no case is called ada/three\. There are: ada/one, ada/two"):
        wanted(cases, ["ada/three"])


def test_commits_are_kept_out_of_the_users_repository(mini: Miniature, tmp_path: Path) -> None:
    before = mini.checkout.git("count-objects", "-v")
    case, repo = resolved(mini, tmp_path)
    laid = lay(case, repo)
    assert mini.checkout.git("count-objects", "-v") == before
    assert git(Path(repo.mirror), "cat-file", "-t", laid.gold) == b"commit\n"
