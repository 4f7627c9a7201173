from __future__ import annotations

import heapq
import inspect
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.checks.original import Original
from operators.codemods import modernise_typing, unittest_to_pytest
from operators.data import Edit, Finding, Passage, Verdict
from operators.foreign import LEAST, passages
from operators.refine import judged
from operators.rewrite import Rewrite
from tests.operators.conftest import MakeWorkspace, shard_of
from tests.operators.scripted import Talks

OWN = Path(inspect.getfile(passages)).read_text()
ALIEN = textwrap.dedent(inspect.getsource(heapq._siftup_max) + inspect.getsource(heapq.merge))
LINES = len(ALIEN.splitlines())


def found(before: str, after: str, *shown: str, least: int = LEAST) -> list[tuple[int, int]]:
    return [(one.first, one.last) for one in passages({"a.py": before}, {"a.py": after}, shown, least)]


def test_code_that_comes_from_elsewhere_is_found_where_it_stands() -> None:
    lines = OWN.splitlines(keepends=True)
    ((first, last),) = found(OWN, "".join([*lines[:20], ALIEN, *lines[20:]]))
    assert 21 <= first < 30 and LINES - 10 < last - 20 <= LINES
    assert found("", ALIEN) == [(1, LINES)] or found("", ALIEN)[0][1] > LINES - 10


@pytest.mark.parametrize(
    "shown", [(ALIEN,), (ALIEN.replace("    ", "\t"),), tuple(ALIEN.splitlines())], ids=["whole", "indented", "pieces"]
)
def test_what_was_shown_is_not_foreign(shown: tuple[str, ...]) -> None:
    assert found(OWN, OWN + ALIEN, *shown) == []


def test_what_was_there_is_not_foreign() -> None:
    assert found(ALIEN + OWN, OWN + ALIEN) == [], "it was moved"
    assert found(ALIEN, ALIEN.replace("heap", "queue").replace("key", "rank")) == [], "two names are others"


def test_as_many_lines_as_it_takes() -> None:
    lines = [f"alpha{number} = beta{number}\n" for number in range(LEAST)]
    assert found("x = 1\n", "x = 1\n" + "".join(lines)) == [(2, LEAST + 1)]
    assert found("x = 1\n", "x = 1\n" + "".join(lines[1:])) == []
    assert found("x = 1\n", "x = 1\n" + "".join(lines), least=0) == [], "it is not looked for"
    assert found("x = 1\n", "x = 1\n" + "\n)\n".join(lines)) != [], "brackets and blank lines count neither way"


def test_numbers_are_words() -> None:
    table = "".join(f"    0x{number:08x}, 0x{number * 7:08x},\n" for number in range(1000, 1000 + 2 * LEAST))
    assert found("T = []\n", f"T = [\n{table}]\n") == [(2, 2 * LEAST + 1)]


@pytest.mark.parametrize("module", [unittest_to_pytest, modernise_typing])
def test_no_example_of_a_migration_is_foreign(module: object) -> None:
    for before, after in module.EXAMPLES:  # type: ignore[attr-defined]
        assert found(before, after, least=4) == []


@given(st.text(), st.text(), st.text())
def test_any_text_can_be_looked_at(before: str, after: str, shown: str) -> None:
    count = max(1, len(after.splitlines()) + after.count("\n"))
    assert all(1 <= first <= last <= count for first, last in found(before, after, shown, least=1))


def test_a_model_that_recites_is_pointed_at(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "def total(cart):\n    return old_sum(cart)\n"})
    new = f"    return new_sum(cart)\n\n\n{ALIEN}"
    reply = f"a.py\n<<<<<<< SEARCH\n    return old_sum(cart)\n=======\n{new}>>>>>>> REPLACE\n"
    rewrite, shard = Rewrite("Use new_sum.", Talks([reply])), shard_of(ws.base, "a.py")
    edit = rewrite.propose(ws, shard, [])
    assert edit and edit.models == ("scripted",)
    ((passage),) = edit.foreign
    assert passage.path == "a.py" and passage.last - passage.first > LINES - 15
    (finding,) = judged(ws, shard, edit, [Original()]).findings
    assert (finding.judge, finding.place) == ("original", f"a.py:{passage.first}-{passage.last}")

    again = Rewrite("Use new_sum.", Talks([reply])).propose(ws, shard, [Verdict(edit, (Finding("tests", "no"),))])
    assert again and again.foreign == edit.foreign, "that it said so before does not make it known"
    wished = Verdict(edit, (Finding("review", f"Take this:\n{ALIEN}"),))
    heard = Rewrite("Use new_sum.", Talks([reply])).propose(ws, shard, [wished])
    assert heard and not heard.foreign, "a reviewer gave it"


def test_where_nothing_was_written_no_model_is_named(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n"})
    edit = Rewrite("Look.", Talks(["NO CHANGE NEEDED"])).propose(ws, shard_of(ws.base, "a.py"), [])
    assert edit and edit.models == () and Edit({}).models is None


def test_original_passes_what_has_nothing_foreign(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n"})
    good = Edit({"a.py": "x = 2\n"})
    assert judged(ws, shard_of(ws.base, "a.py"), good, [Original()]).proof
    bad = Edit({"a.py": "x = 2\n"}, foreign=(Passage("a.py", 1, 30),))
    assert not judged(ws, shard_of(ws.base, "a.py"), bad, [Original()]).passed


def test_who_wrote_what_an_edit_goes_on_from_is_named_as_well(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n"})
    reply = "a.py\n<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n"
    first = Rewrite("Look.", Talks([reply], name="small")).propose(ws, shard_of(ws.base, "a.py"), [])
    assert first
    past = [Verdict(first, (Finding("review", "And y?"),))]
    more = "a.py\n<<<<<<< SEARCH\nx = 2\n=======\nx = 2\ny = 3\n>>>>>>> REPLACE\n"
    second = Rewrite("Look.", Talks([more], name="big")).propose(ws, shard_of(ws.base, "a.py"), past)
    assert second and second.models == ("small", "big")
