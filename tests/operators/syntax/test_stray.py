from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.data import Skip
from operators.hunks import add
from operators.source import split
from operators.syntax.cut import cut
from operators.syntax.outline import Lines
from operators.syntax.stray import stray
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
    ("old", "new", "lines"),
    [
        ("return 1", "return 3", []),
        ("return 1\n", "return 1\n    # more\n", []),
        ("def f():", "@cache\ndef f():", []),
        ("return 1\n", "return 1\n\n\ndef h():\n    pass\n", []),
        ("import os\n", "import os\nimport re\n", []),
        ("import os\n", "import os\nfrom re import (\n    sub,\n    split,\n)\n", []),
        ("# between\n", "# between\nimport re\n", []),
        ("import os\n", "import os\n# why\nimport re\n", []),
        ("import os\n", "import os\n# why\n", [2]),
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
    assert stray(BEFORE, BEFORE.replace(old, new), [(4, 5)], "f") == [f"Line {line} is outside of f." for line in lines]


def test_names_may_be_added_to_an_import_of_several_lines() -> None:
    before = "from a import (\n    b,\n)\n\n\ndef f():\n    pass\n"
    assert stray(before, before.replace("    b,\n", "    b,\n    c,\n"), [(6, 7)], "f") == []


def test_what_does_not_parse_cannot_be_compared() -> None:
    with pytest.raises(Skip, match="syntax error on line 4"):
        stray(BEFORE, BEFORE.replace("def f():", "def f(:"), [(4, 5)], "f")


@pytest.mark.parametrize(
    ("spans", "lines"),
    [
        ([(2, 2), (3, 3)], []),
        ([(3, 3), (2, 2), (4, 4)], []),
        ([(2, 2)], [2]),
        ([(2, 2), (4, 4)], [2]),
    ],
)
def test_neighbours_may_change_together(spans: list[Lines], lines: list[int]) -> None:
    before, after = "import os\na = 1\nb = 1\nc = 1\n", "import os\na = 2\nb = 2\nc = 1\n"
    assert stray(before, after, spans, "them") == [f"Line {line} is outside of them." for line in lines]


TESTS = """\
import unittest


class TestA(unittest.TestCase):
    def test_a(self):
        self.assertEqual(1, 1)

    # about b
    def test_b(self):
        self.assertEqual(1, 2)


def helper():
    pass


x = 1
"""
FIRST, SECOND, HEADER, HELPER = (5, 6), (9, 10), (4, 4), (13, 14)


@pytest.mark.parametrize(
    ("span", "old", "new", "touched"),
    [
        (FIRST, "(1, 1)\n", "(1, 1)\n\n    def test_c(self):\n        pass\n", []),
        (FIRST, "(1, 1)\n", "(1, 1)\n\ndef more():\n    pass\n", ["`def test_b(self):` on line 9"]),
        (FIRST, "(1, 1)\n", "(1, 1)\n\nclass TestB(unittest.TestCase):\n", ["`def test_b(self):` on line 9"]),
        (FIRST, "(1, 1)\n", "(1, 1)\n    @unittest.skip('x')\n", ["`def test_b(self):` on line 9"]),
        (FIRST, "(1, 1)\n", "(1, 1)\n    if x:\n        pass\n", []),
        (FIRST, "    def test_a", "    @unittest.skip('x')\n    def test_a", []),
        (FIRST, "    def test_a", "    # why\n    def test_a", []),
        (FIRST, "    def test_a", "    x = 1\n\n    def test_a", []),
        (FIRST, "    def test_a(self):\n        self.assertEqual(1, 1)\n", "", []),
        (SECOND, "(1, 2)\n", "(1, 2)\n\n\ndef more():\n    pass\n", []),
        (SECOND, "(1, 2)\n", "(1, 2)\n\n\n@unittest.skip('x')\n", ["`def helper():` on line 13"]),
        (HEADER, "(unittest.TestCase)", "", []),
        (HEADER, "TestA", "TestB", ["`def test_a(self):` on line 5", "`def test_b(self):` on line 9"]),
        (HELPER, "def helper():\n    pass\n", "    def helper(self):\n        pass\n", []),
        (HELPER, "def helper():\n", "        x()\ndef helper():\n", ["`def test_b(self):` on line 9"]),
        (HELPER, "    pass\n", "    pass\n\n\nclass C:\n    y = 1\n", []),
    ],
)
def test_what_is_added_to_a_symbol_leaves_its_neighbours_as_they_are(
    span: Lines, old: str, new: str, touched: list[str]
) -> None:
    found = stray(TESTS, TESTS.replace(old, new, 1), [span], "it")
    assert [message.partition(" is outside of it, but ")[0] for message in found] == touched


def test_symbols_that_change_places_are_told() -> None:
    before = "def f(): ...\nx = 1\ndef g(): ...\ny = 2\n"
    assert stray(before, "def g(): ...\nx = 1\ndef f(): ...\ny = 2\n", [(2, 2)], "x") != []


PLACES = """\
\"\"\"About.\"\"\"
from __future__ import annotations

import os
import xml.dom
from a import b
try:
    import json
except ImportError:
    json = None
if b:
    from c import later


def f():
    return int(os.name)


def g(path):
    yaml = path
    return len(os.fspath(path)), [y for y in yaml], undefined


class A(object):
    shown = 1

    def h(self):
        return shown
"""
F, TRY = (15, 16), (7, 10)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("import re", ""),
        ("from typing import TestCase as T, cast", ""),
        ("import xml.sax", ""),  # binds `xml`, as another import does
        ("import os.path", ""),
        ("from c import later", ""),  # what is under an `if` now
        ("import yaml", ""),  # the other `yaml` is a function's own
        ("import path, y", ""),
        ("import int", ""),  # only the symbol itself uses the built-in one
        ("from x import *", "`from x import *` must not be added: import by name what is needed."),
        ("from evil import len", "another `len`"),
        ("from evil import TestCase as object", "another `object`"),
        ("import undefined", "another `undefined`"),
        ("from x import os", "another `os`"),
        ("import x as b", "another `b`"),
        ("from x import json", "another `json`"),
        ("from x import g", "another `g`"),
        ("import A", "another `A`"),
        ("from x import shown", "another `shown`"),
        ("from .x import re, len", "another `len`"),
    ],
)
def test_an_import_that_is_added_must_not_change_what_the_rest_means(line: str, fault: str) -> None:
    (told,) = stray(PLACES, PLACES.replace("import os\n", f"import os\n{line}\n"), [F], "f") or [""]
    assert fault in told if fault else told == ""


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('"""About', 'import re\n"""About', "The module's docstring must stay its first statement."),
        ("from __future__", "import re\nfrom __future__", "`from __future__` imports must stay above all others."),
        ("import os", "from __future__ import generators\nimport os", ""),
        ("import xml", "from __future__ import generators\nimport xml", "`from __future__` imports must stay above"),
        ("import os", "from __future__ import annotations\nimport os", ""),
    ],
)
def test_an_import_that_is_added_must_not_stand_above_what_comes_first(old: str, new: str, fault: str) -> None:
    told = [*stray(PLACES, PLACES.replace(old, new, 1), [F], "f"), ""]
    assert told[0].startswith(fault) if fault else told == [""]


def test_a_symbol_may_import_what_it_has_bound_itself() -> None:
    lines = split(PLACES)
    after = "".join([*lines[: TRY[0] - 1], "import json\n", *lines[TRY[1] :]])
    used = "\n\ndef i():\n    return json\n"
    assert stray(PLACES + used, after + used, [TRY], "json") == []
    assert stray(PLACES + used, after.replace("import json", "from x import json") + used, [TRY], "json") == []


def test_a_file_that_could_not_be_compiled_is_judged_by_its_lines() -> None:
    before = "def f(a, a):\n    pass\n"
    assert stray(before, f"import f\n{before}", [(1, 2)], "f") == []


@given(st.data())
def test_edits_within_any_symbols_are_not_stray_alone_or_added_up(data: st.DataObject) -> None:
    symbols = cut(TRICKY, "", data.draw(st.sampled_from([1, 5, 100])))
    chosen = data.draw(st.lists(st.sampled_from(symbols), min_size=1, max_size=4, unique=True))
    edits = []
    for _, first, last in chosen:
        lines = split(TRICKY)
        indent = lines[first - 1][: -len(lines[first - 1].lstrip())]
        lines.insert(first - 1, f"{indent}# new\n")
        edits.append("".join(lines))
        assert stray(TRICKY, edits[-1], [(first, last)], "it") == []
    spans = [(first, last) for _, first, last in chosen]
    assert stray(TRICKY, add(TRICKY, edits), spans, "them") == []
