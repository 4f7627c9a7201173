"""Which tests can see an edit, and which changed statements were executed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.checks.reports import Told, read
from operators.checks.select import Chosen, chosen, covered, own, packed
from operators.data import Covered, Edit
from operators.union import union
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace

APP = '''\
"""Doc."""
import os

LIMIT = 3


class Shop:
    name = "shop"

    @property
    def size(self):
        """How large."""
        if os.sep:
            return 1
        return [
            1,
            2,
        ]


def end(x):
    return x


def never(x):
    y = x
    return y
'''
HELPER = "def help(x):\n    return x\n"
SUITE = "from helper import help\n\n\ndef test_{0}():\n    assert help(1)\n"
FILES: dict[str, str] = {
    **{"app.py": APP, "helper.py": HELPER, "conftest.py": "import pytest\n", "data.json": "{}\n"},
    **{"test_a.py": SUITE.format("a"), "test_b.py": SUITE.format("b"), "shared.py": "def opened():\n    return 1\n"},
}
A, B, SIZE, END = "test_a.py::test_a", "test_b.py::test_b", "test_s.py::test_size", "test_s.py::test_end"
OUTSIDE, SIZES = [""], [SIZE, "test_s.py::test_other"]
KNOWN = packed(
    {
        "app.py": [
            *[(2, 2, OUTSIDE), (4, 4, OUTSIDE), (7, 7, OUTSIDE), (8, 8, OUTSIDE), (10, 11, OUTSIDE)],
            *[(13, 13, SIZES), (14, 14, [SIZE]), (15, 18, ["test_s.py::test_other"])],
            *[(21, 21, OUTSIDE), (22, 22, [END]), (25, 25, OUTSIDE), (26, 26, []), (27, 27, [])],
        ],
        "helper.py": [(1, 1, OUTSIDE), (2, 2, [A, B])],
        "test_a.py": [(1, 1, OUTSIDE), (4, 4, OUTSIDE), (5, 5, [A])],
        "test_b.py": [(1, 1, OUTSIDE), (4, 4, OUTSIDE), (5, 5, [B])],
        "shared.py": [(1, 1, OUTSIDE), (2, 2, ["", A])],  # a fixture for several tests calls it
    }
)
TESTS = [A, B, END, *SIZES]


@pytest.fixture
def ws(workspace: MakeWorkspace) -> Workspace:
    return workspace(FILES)


@pytest.mark.parametrize(
    ("path", "old", "new", "tests"),
    [
        pytest.param("app.py", "return 1\n", "return 2\n", {SIZE}, id="in a function"),
        pytest.param("app.py", "if os.sep:", "if not os.sep:", set(SIZES), id="header of a compound statement"),
        pytest.param(
            "app.py", "            2,\n", "            3,\n", {SIZES[1]}, id="within a statement of many lines"
        ),
        pytest.param(
            *("app.py", "        return [\n", "        z = 1\n        return [\n", {SIZE, SIZES[1]}),
            id="inserted between statements",
        ),
        pytest.param("app.py", "    return x\n\n\n", "    return x\n    z = 1\n\n\n", {END}, id="at a function's end"),
        pytest.param("app.py", "LIMIT = 3\n", "LIMIT = 3\nMORE = 4\n", None, id="inserted at module level"),
        pytest.param("app.py", "LIMIT = 3\n", "LIMIT = 4\n", None, id="at module level"),
        pytest.param("app.py", "LIMIT = 3\n", "# three\nLIMIT = 3\n", set(), id="comment"),
        pytest.param("app.py", "LIMIT = 3\n\n", "LIMIT = 3\n\n\n", set(), id="blank line"),
        pytest.param("app.py", "def end(x)", "def end(x, y=1)", None, id="def line"),
        pytest.param("app.py", "    @property\n", "", None, id="decorator"),
        pytest.param("app.py", 'name = "shop"', 'name = "store"', None, id="class attribute"),
        pytest.param("app.py", "import os\n", "import os, sys\n", None, id="import"),
        pytest.param("app.py", "y = x\n", "y = x + 1\n", None, id="executed by no test"),
        pytest.param("helper.py", "return x", "return (x)", {A, B}, id="seen from two files"),
        pytest.param("shared.py", "return 1", "return 2", None, id="called by a session's fixture"),
        pytest.param("conftest.py", "import pytest", "import pytest, os", None, id="conftest"),
        pytest.param("data.json", "{}", "[]", None, id="data"),
    ],
)
def test_who_can_see_a_change(ws: Workspace, path: str, old: str, new: str, tests: set[str] | None) -> None:
    assert FILES[path].count(old) == 1
    found = chosen(KNOWN, TESTS, ws, Edit({path: FILES[path].replace(old, new)}))
    assert found == (None if tests is None else Chosen(frozenset(tests)))


@pytest.mark.parametrize("files", [{"new.py": "A = 1\n"}, {"helper.py": None}, {"test_c.py": "def test_c(): ...\n"}])
def test_what_nobody_has_executed_everybody_may_see(ws: Workspace, files: dict[str, str | None]) -> None:
    assert chosen(KNOWN, TESTS, ws, Edit(files)) is None


def test_a_file_of_tests_is_run_whole(ws: Workspace) -> None:
    found = chosen(KNOWN, TESTS, ws, Edit({"test_a.py": FILES["test_a.py"] + "\n\ndef test_new(): ...\n"}))
    assert found == Chosen(frozenset({A}), frozenset({"test_a.py"}))
    assert "test_a.py::test_new" in found
    assert B not in found


def test_several_files_are_seen_by_the_tests_of_all(ws: Workspace) -> None:
    files = {"helper.py": HELPER.replace("return x", "return (x)"), "app.py": APP.replace("return 1\n", "return 2\n")}
    assert chosen(KNOWN, TESTS, ws, Edit(files)) == Chosen(frozenset({A, B, SIZE}))


def test_without_a_map_all_are_run(ws: Workspace) -> None:
    assert chosen(None, TESTS, ws, Edit({"helper.py": HELPER + "# end\n"})) is None


def test_a_test_of_any_parameter_and_run_is_its_functions() -> None:
    some = Chosen(frozenset({"a.py::test[1]"}), frozenset({"b.py"}))
    assert "a.py::test[1] (run 2)" in some
    assert "a.py::test[2]" not in some
    assert [some.sees(name) for name in ("a.py::test", "b.py::other", "c.py::test", "a.py")] == [
        True,
        True,
        False,
        False,
    ]


def told(text: str, seen: set[int], path: str = "f.py") -> Told:
    """Each line is a statement."""
    lines = range(1, text.count("\n") + 1)
    return Told({"t": "passed", "u": "failed"}, files={path: [(n, n, ["t"] if n in seen else ["u"]) for n in lines]})


LINES = [f"x{number} = {number}\n" for number in range(12)]


def test_statements_count_if_a_passing_test_executed_them(workspace: MakeWorkspace) -> None:
    ws = workspace({"f.py": "".join(LINES)})
    edit = Edit({"f.py": "".join(["new = 1\n", *LINES[:5], "more = 1\n", *LINES[6:]])})
    (found,) = covered(ws.over(edit), edit, told(edit.files["f.py"] or "", {1, 2}))
    assert found == Covered("f.py", ((1, 1, True), (7, 7, False)))
    assert found.missed == ((7, 7),)


def test_what_nobody_imported_is_missed_line_by_line(workspace: MakeWorkspace) -> None:
    ws = workspace({"f.py": "".join(LINES)})
    edit = Edit({"new.py": "# new\n\nA = 1\n", "f.py": None, "notes.txt": "B = 2\n"})
    assert covered(ws.over(edit), edit, told("", set())) == (Covered("new.py", ((3, 3, False),)),)


CHANGES = st.dictionaries(
    st.integers(0, 11), st.sampled_from(["new", "new\nnew", "", "a\nb\nc"]), min_size=1, max_size=8
)


@given(changes=CHANGES, seen=st.sets(st.integers(1, 40)), owners=st.lists(st.integers(0, 3), min_size=12, max_size=12))
def test_what_a_sum_says_is_said_of_its_edits(
    changes: dict[int, str], seen: set[int], owners: list[int], shared: Workspace
) -> None:
    """Each changed statement of a sum belongs to an edit of it, and no edit has others."""
    edits = []
    for owner in range(4):
        mine = {line: text for line, text in changes.items() if owners[line] == owner}
        lines = [_written(mine[n], n) if n in mine else line for n, line in enumerate(LINES)]
        if mine:
            edits.append(Edit({"f.py": "".join(lines)}))
    try:
        whole = Edit(union(shared, [edit.files for edit in edits]))
    except Exception as conflict:  # next to each other
        assert "changed in two ways" in str(conflict)
        return
    all_of_it = covered(shared.over(whole), whole, told(whole.files["f.py"] or "", seen))
    parts = [own(shared.over(edit), edit, shared.over(whole), all_of_it) for edit in edits]
    found = {part for one in parts for file in one for part in file.statements}
    assert found == {part for file in all_of_it for part in file.statements}


def _written(text: str, number: int) -> str:
    return "".join(f"{word}{number} = {at}\n" for at, word in enumerate(text.split()))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    from tests.conftest import Checkout
    from tests.operators.conftest import base_of

    folder = tmp_path_factory.mktemp("sum")
    made = Checkout(folder / "sum")
    made.commit({"f.py": "".join(LINES)})
    return Workspace(base_of(made, folder))


LINE = st.sampled_from(
    [
        b'{"id": "a", "outcome": "passed", "seconds": 0}',
        b'{"code": 0, "honest": true, "known": 1, "files": null, "worker": false}',
        b'{"code": 0, "honest": true, "known": 1, "files": {"a.py": [[1, 2, ["t"]]]}, "worker": false}',
        b'{"code": 0, "honest": true, "known": 1e999, "files": {"a.py": [[1]]}, "worker": false}',
        b'{"id": [], "outcome": {}, "seconds": "x"}',
        b"[" * 100_000,
        b"1",
        b"null",
        b'"honest"',
        b'["honest"]',
        b"9" * 5000,
    ]
)


@given(
    st.dictionaries(st.sampled_from(["1.jsonl", "2.jsonl", "x"]), st.lists(LINE | st.binary(max_size=30), max_size=4))
)
def test_reports_may_be_anything(files: dict[str, list[bytes]]) -> None:
    found: Any = read({name: b"\n".join(lines) for name, lines in files.items()})
    assert found is None or isinstance(found, Told)
