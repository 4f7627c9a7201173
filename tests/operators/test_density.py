from __future__ import annotations

import pytest

from operators.density import density


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        ([], (0, 0)),
        ([("", "x\n")], (0, 0)),
        ([("a\nb\n", "a\nb\n")], (0, 2)),
        ([("a", "a\n")], (0, 1)),
        ([("a\r\nb\r\n", "a\nb\n")], (0, 2)),
        ([("a\nb\n", "a\nx\ny\nb\n")], (0, 2)),
        ([("a\nb\n", "a\n")], (1, 2)),
        ([("a\nb\n", "b\nx\n"), ("a\nb\nc\n", "x\ny\nz\n")], (4, 5)),
    ],
)
def test_lines_that_change(pairs: list[tuple[str, str]], found: tuple[int, int]) -> None:
    assert density(pairs) == found
