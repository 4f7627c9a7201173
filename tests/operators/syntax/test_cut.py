from __future__ import annotations

import pytest

from operators.data import Skip
from operators.syntax.cut import cut, part, stray
from tests.operators.syntax.samples import TRICKY

BEFORE = """\
import os


def f():
    return 1


# between


def g():
    return 2
"""


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


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("return 1", "return 3", []),
        ("return 1\n", "return 1\n    # more\n", []),
        ("def f():", "@cache\ndef f():", []),
        ("return 1\n", "return 1\n\n\ndef h():\n    pass\n", []),
        ("import os\n", "import os\nimport re\n", []),
        ("import os\n", "import os\nfrom re import (\n    sub,\n    split,\n)\n", []),
        ("# between\n", "# between\nimport re\n", []),
        ("import os\n", "", [1]),
        ("import os\n", "import os, re\n", [1]),
        ("import os\n", "import os\nimport re; print()\n", [2]),
        ("import os\n", "import os\nprint()\n", [2]),
        ("return 2", "return 3", [12]),
        ("# between", "# changed", [8]),
        ("# between\n", "# between\n\n", [9]),
        ("return 1", "return (\n        1)\n", []),
        ("    return 1\n\n\n# between\n", "    return 3\n\n\n# changed\n", [8]),
    ],
)
def test_changes_outside_of_the_span_are_told(old: str, new: str, lines: list[int]) -> None:
    assert stray(BEFORE, BEFORE.replace(old, new), [(4, 5)]) == lines


def test_names_may_be_added_to_an_import_of_several_lines() -> None:
    before = "from a import (\n    b,\n)\n\n\ndef f():\n    pass\n"
    assert stray(before, before.replace("    b,\n", "    b,\n    c,\n"), [(6, 7)]) == []


def test_what_does_not_parse_cannot_be_compared() -> None:
    with pytest.raises(Skip, match="syntax error on line 4"):
        stray(BEFORE, BEFORE.replace("def f():", "def f(:"), [(4, 5)])
