from __future__ import annotations

import pytest

from operators.syntax.cut import cut, part
from tests.operators.syntax.samples import TRICKY


@pytest.mark.parametrize(
    ("hits", "most", "found"),
    [
        ("late_import", 100, [("line 49", 49, 52)]),
        ("deeper", 100, [("A", 16, 39)]),
        ("deeper", 20, [("A.Inner", 34, 39)]),
        ("deeper", 3, [("A.Inner.deeper", 36, 39)]),
        ("text at the margin", 5, [("A.Inner.deeper", 36, 39)]),
        ("B,", 5, [("A", 16, 21)]),
        ("import last", 5, []),
        ("nowhere", 5, []),
        ("One|no_newline", 5, [("One", 43, 43), ("no_newline", 55, 56)]),
    ],
)
def test_symbols_with_a_hit_are_found(hits: str, most: int, found: list[tuple[str, int, int]]) -> None:
    assert cut(TRICKY, hits, most) == found


def test_a_part_shows_its_lines_with_the_headers_around_them() -> None:
    shown = part(TRICKY, [(36, 39)])
    assert {36, 37, 38, 39} == set(shown["free"])
    assert "class Inner:" in "".join(shown["lines"])
    assert "class A(" in "".join(shown["lines"])
    assert "attribute" not in "".join(shown["lines"])
