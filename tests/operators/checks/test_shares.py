from __future__ import annotations

import pytest

from operators.checks.shares import bare, gained, joined, share, without
from operators.data import Covered


def seen(
    *statements: tuple[int, int, bool], path: str = "a.py", generated: tuple[tuple[int, int], ...] = ()
) -> Covered:
    return Covered(path, statements, generated)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([], 1.0),
        ([seen()], 1.0),
        ([seen((1, 1, True), (2, 2, False))], 0.5),
        ([seen((1, 1, True)), seen((1, 1, False), (3, 3, True), (5, 5, True), path="b.py")], 0.75),
    ],
)
def test_the_share_counts_statements_of_all_files(parts: list[Covered], told: float) -> None:
    assert share(parts) == told
    assert bool(bare(parts, 0.8)) is (told < 0.8)


def test_what_is_lacking_is_named() -> None:
    lacking = bare([seen((1, 1, True), (2, 4, False), (7, 7, False))], 0.8)
    assert (
        lacking == "passing tests execute 33% of the changed statements, and not those at a.py:2, a.py:7; 80% is wanted"
    )


def test_executed_is_what_one_of_several_commands_executes() -> None:
    runs = [seen((1, 1, True), (2, 3, False)), seen((9, 9, True), path="b.py"), seen((1, 1, False), (2, 3, True))]
    assert joined(runs) == (seen((1, 1, True), (2, 3, True)), seen((9, 9, True), path="b.py"))


def test_generated_is_what_nothing_else_executed() -> None:
    before = (seen((1, 1, True), (2, 3, False), (5, 5, False)), seen((1, 1, False), path="b.py"))
    now = gained(before, [seen((1, 1, True), (2, 3, True), (5, 5, False))])
    assert now == (seen((1, 1, True), (2, 3, True), (5, 5, False), generated=((2, 3),)), before[1])
    assert without(now, {"a.py": [(2, 3)]}) == (seen((1, 1, True), (2, 3, False), (5, 5, False)), before[1])


def test_lines_of_a_file_that_nobody_imported_become_statements() -> None:
    lines = seen((1, 1, False), (2, 2, False), (3, 3, False))
    assert gained([lines], [seen((1, 3, True))]) == (seen((1, 3, True), generated=((1, 3),)),)
