from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.data import Edit, Finding, Ruling, Shard, Trouble
from operators.workspace import Workspace
from pipelines.batches import Batches
from tests.conftest import Checkout
from tests.operators.conftest import base_of, shard_of

NUMBERS = st.sets(st.integers(0, 59), max_size=8)
runs: list[int] = []


@dataclass(frozen=True)
class Counts:
    """Refuses files with a line that says so, and can tell which edit that was, if it is asked to."""

    tells: bool = True
    pause: float = 0.0
    local = False

    def judge(self, ws: Workspace, shard: Shard, edit: Edit) -> Ruling:
        time.sleep(self.pause)
        lines = [line for path in edit.files for line in (ws.text(path) or "").splitlines()]
        runs.append(len([line for line in lines if "new" in line]))
        if any("error" in line for line in lines):
            raise Trouble("the disk is full")
        bad = frozenset(line for line in lines if "bad" in line)
        return Ruling(tuple(Finding("counts", line) for line in sorted(bad)), "all good", failing=bad)

    def share(self, ws: Workspace, shard: Shard, edit: Edit, whole: Workspace, ruling: Ruling) -> Ruling | None:
        lines = {line for path in edit.files for line in (ws.text(path) or "").splitlines()}
        clear = not ruling.findings or (self.tells and not lines & ruling.failing)
        return Ruling(proof="all good with others") if clear else None


def here(function: Callable[..., Any], *args: Any) -> Any:
    return function(*args)


def edits(ws: Workspace, bad: set[int] = frozenset(), word: str = "bad") -> list[Edit]:  # type: ignore[assignment]
    """Return sixty edits of one line each, three to a file."""
    found = []
    for number in range(60):
        path = f"f{number // 3}.py"
        lines = (ws.base_text(path) or "").splitlines()
        lines[4 * (number % 3)] = f"new_{number} = {number}  # {word if number in bad else 'good'}"
        found.append(Edit({path: "\n".join(lines) + "\n"}))
    return found


def judged(ws: Workspace, check: Counts, told: list[Edit]) -> list[Ruling | Exception]:
    """Judge all edits at the same time, as the threads of a lane do."""
    runs.clear()
    batches, ready = Batches(2), threading.Barrier(len(told))

    def one(edit: Edit) -> Ruling | Exception:
        ready.wait()
        try:
            return batches.judge(check, ws, shard_of(ws.base, *edit.files), edit, here)
        except Trouble as fault:
            return fault

    with ThreadPoolExecutor(len(told)) as pool:
        return list(pool.map(one, told))


@pytest.fixture
def ws(checkout: Callable[..., Checkout], tmp_path: Path) -> Workspace:
    made = checkout({f"f{file}.py": "".join(f"x{line} = {line}\n" for line in range(12)) for file in range(20)})
    return Workspace(base_of(made, tmp_path))


def test_sixty_good_edits_cost_a_few_runs(ws: Workspace) -> None:
    rulings = judged(ws, Counts(), edits(ws))
    assert all(isinstance(ruling, Ruling) and not ruling.findings for ruling in rulings)
    assert len(runs) <= 4
    assert sum(runs) == 60


def test_each_edit_has_its_part_of_the_time_of_all_runs(ws: Workspace) -> None:
    rulings = judged(ws, Counts(tells=False, pause=0.05), edits(ws, {17}))
    assert {one.kind for one in rulings if isinstance(one, Ruling)} == {"counts"}
    taken = sum(one.seconds for one in rulings if isinstance(one, Ruling))
    assert 0.05 * len(runs) <= taken < 0.05 * len(runs) + 5


@settings(max_examples=15)
@given(bad=NUMBERS, tells=st.booleans())
def test_an_edit_is_refused_in_a_batch_if_it_is_refused_alone(ws: Workspace, bad: set[int], tells: bool) -> None:
    rulings = judged(ws, Counts(tells), edits(ws, bad))
    refused = {number for number, one in enumerate(rulings) if isinstance(one, Ruling) and one.findings}
    assert refused == bad
    for number in bad:
        ruling = rulings[number]
        assert isinstance(ruling, Ruling)
        assert [finding.message.split()[0] for finding in ruling.findings] == [f"new_{number}"]
    if tells:
        assert len(runs) <= 6 + 3 * len(bad)


def test_a_culprit_nobody_can_name_is_found_by_halving(ws: Workspace) -> None:
    judged(ws, Counts(tells=False), edits(ws, {17}))
    assert len(runs) <= 6 + 2 * 6  # batches, and twice the logarithm of the largest


def test_what_goes_wrong_in_our_world_befalls_nobody_else(ws: Workspace) -> None:
    rulings = judged(ws, Counts(), edits(ws, {5, 40}, "error"))
    failed = {number for number, one in enumerate(rulings) if isinstance(one, Trouble)}
    assert failed == {5, 40}


def test_edits_of_the_same_line_are_judged_apart(ws: Workspace) -> None:
    text = ws.base_text("f0.py") or ""
    told = [Edit({"f0.py": text.replace("x0 = 0", f"new = {number}  # good")}) for number in range(8)]
    assert all(isinstance(one, Ruling) and not one.findings for one in judged(ws, Counts(), told))
    assert sum(runs) == len(runs) == 8
