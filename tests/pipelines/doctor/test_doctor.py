"""What `umbau doctor` says: of a fresh machine, of one that is open, and that each promise has a test."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.doctor.chapters import chapters
from pipelines.doctor.line import Chapter, Line, looked
from pipelines.doctor.table import table
from pipelines.errors import Refused
from pipelines.store import Store
from pipelines.view import shown

ROOT = Path(__file__).parents[3]
OF_THIS_MACHINE = {"programs are new enough"}


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which Umbau was never used, without settings of a site."""
    for name in ("UMBAU_HOME", "UMBAU_SITE", "UMBAU_STORE", "UMBAU_MODEL_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_fresh_install_is_green(fresh: Path) -> None:
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 0, done.output
    assert "not kept" not in done.output
    found = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).output)
    assert {line["state"] for chapter in found for line in chapter["lines"]} == {"ok"}


def test_every_promise_is_backed_by_a_test_that_is_there(fresh: Path) -> None:
    lines = [line for chapter in chapters(fresh) for line in chapter.lines]
    assert {line.promise for line in lines if not line.tests} <= OF_THIS_MACHINE
    for test in {test for line in lines for test in line.tests}:
        file, _, name = test.partition("::")
        assert name in set(functions(ROOT / file)), test


def functions(file: Path) -> Iterator[str]:
    yield from (node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef))


def test_what_others_may_read_is_told_with_what_to_do(fresh: Path) -> None:
    home = fresh / ".umbau"
    home.mkdir(mode=0o755)
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 2
    assert f"chmod 700 {home}" in done.output.replace("\n        ", " ")
    assert "1 not kept" in done.output


def test_the_store_of_an_older_version_is_left_as_it_is(fresh: Path) -> None:
    place = fresh / ".umbau" / "store.db"
    with closing(Store(place)) as store, store._database.engine.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '0004'")
    place.parent.chmod(0o700)
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == 2
    assert "tables of another version" in " ".join(done.output.split())
    with pytest.raises(Refused, match="0004"):
        Store(place, upgrade=False)


def test_what_breaks_while_it_is_looked_at_is_no_promise_kept() -> None:
    def breaks() -> Line:
        raise OSError("the disk is gone")

    (line,) = looked({"the disk": breaks})
    assert (line.state, line.said) == ("bad", "could not be looked at: OSError: the disk is gone")


def test_a_line_says_what_was_seen_what_to_do_and_what_tests_it() -> None:
    line = Line("nothing leaves", "a door is open " * 10, ("tests/a.py::test_a",), "bad", "close it")
    found = [*shown(table([Chapter("Doors", (line,))], 60, tests=True))]
    assert found[:2] == ["Doors", "  bad   nothing leaves"]
    assert "        close it" in found
    assert "        tests/a.py::test_a" in found
    assert found[-1] == "1 not kept"
    assert max(map(len, found)) <= 60
