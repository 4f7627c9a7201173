from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from operators import guard
from operators.syntax.scope import outside
from tests.operators.syntax.samples import text_of
from tests.operators.syntax.test_transform import WITH_FORMAT, formatted

BEFORE = '''\
"""About."""

import os
from a import b  # why

NAME = 'one'  # beside


# above f
@cache
def f(x, y=1):
    """About f."""
    if x == 1:
        assert x, 'no'
        return call(x, y)
    else:
        assert y
    return [x  , y]


# between


class A(B):

    def g(self):
        self.assertEqual(1, self.x)

    def h(self):
        with self.assertRaises(ValueError) as caught:
            call(1, 2)
            call(3)
        for item in self.items:
            self.assertTrue(item)
        match self.x:
            case 1:
                self.assertTrue(1)
            case _:
                pass
'''
Rules = Mapping[str, Any]
NOTHING: Rules = {}
CALLS: Rules = {"nodes": ("Call",)}
STRINGS: Rules = {"nodes": ("SimpleString", "FormattedString")}
IN_G: Rules = {"names": ("A.g",)}
ASSERTS: Rules = {"statements": r"^self\.assert|^assert\b|^with self\.assertRaises"}
IMPORTS: Rules = {"imports": True}


def faults(allowed: Rules, *changes: tuple[str, str], before: str = BEFORE) -> list[tuple[int, str]]:
    after = before
    for old, new in changes:
        assert old in after, old
        after = after.replace(old, new, 1)
    return outside(before, after, {**NOTHING, **allowed})


ALLOWED = [
    (NOTHING, ()),
    (CALLS, [("call(x, y)", "other(x)(y)")]),
    (CALLS, [("call(1, 2)", "call(\n                1,\n                2,\n            )"), ("call(3)", "call()")]),
    (STRINGS, [("'one'", 'f"one"'), ("'no'", '"yes"')]),
    (STRINGS, [('"""About f."""', '"""Changed."""')]),
    ({"nodes": ("Call", "Await")}, [("call(3)", "await call(3)")]),
    (IN_G, [("self.assertEqual(1, self.x)", "assert self.x == 1\n        print()")]),
    (IN_G, [("def g(self):", "def g(self, x: int) -> None:")]),
    ({"names": ("A",)}, [("class A(B):", "class A:"), ("call(3)", "pass")]),
    ({"names": ("A.*",)}, [("self.assertTrue(item)", "assert item"), ("(1, self.x)", "(2, self.x)")]),
    ({"names": ("g",)}, [("(1, self.x)", "(2, self.x)")]),
    ({"names": ("A.g",), "nodes": ("Call",)}, [("self.assertEqual(1, self.x)", "check(self.x)")]),
    ({"names": ("f",)}, [("# above f\n@cache\n", "# above f\n@cache(1)\n"), ("[x  , y]", "[x, y]")]),
    (ASSERTS, [("self.assertEqual(1, self.x)", "assert 1 == self.x")]),
    (ASSERTS, [("self.assertEqual(1, self.x)", "value = self.x\n        assert 1 == value")]),
    (ASSERTS, [("with self.assertRaises(ValueError) as caught:", "with raises(ValueError) as caught:")]),
    (ASSERTS, [("self.assertTrue(item)", "assert item"), ("self.assertTrue(1)", "assert 1")]),
    (ASSERTS, [("        assert x, 'no'", "        assert x"), ("assert y", "assert y, 'no'")]),
    ({**ASSERTS, "names": ("A.*",)}, [("self.assertTrue(item)", "assert item")]),
    ({**ASSERTS, "nodes": ("Call",)}, [("self.assertTrue(item)", "check(item)")]),
    ({"statements": "^for "}, [("for item in self.items:", "for item in sorted(self.items):")]),
    ({"statements": "^match "}, [("match self.x:", "match self.y:")]),
    ({"statements": "^else|^if x"}, [("if x == 1:", "if x:")]),
    ({"statements": "^with "}, [("with self.assertRaises(ValueError) as caught:", "if True:")]),
    (
        ASSERTS,
        [("        self.assertEqual(1, self.x)\n", "        # why\n        self.assertEqual(1, self.x)\n")],
    ),
    (IMPORTS, [("import os\n", "")]),
    (IMPORTS, [("import os\n", "import os\nimport re\n")]),
    (IMPORTS, [("from a import b  # why\n", "from a import (\n    b,\n    c,\n)\n")]),
    (IMPORTS, [("import os\nfrom a import b  # why\n\nNAME", "NAME")]),
    ({**IMPORTS, **CALLS}, [("import os\n", ""), ("call(3)", "other(3)")]),
]

FORBIDDEN = [
    (NOTHING, [("call(3)", "call(4)")], "call(3)"),
    (NOTHING, [("'one'", '"one"')], "NAME"),
    (NOTHING, [("# beside", "# changed")], "NAME"),
    (NOTHING, [("  # beside", " # beside")], "NAME"),
    (NOTHING, [("  # beside", "")], "NAME"),
    (NOTHING, [("# above f\n", "")], None),
    (NOTHING, [("# between", "# changed")], None),
    (NOTHING, [("# between\n\n\n", "# between\n\n")], None),
    (NOTHING, [("# between\n", "")], None),
    (NOTHING, [("@cache\n", "")], "def f"),
    (NOTHING, [("@cache\n", "@other\n")], "@cache"),
    (NOTHING, [("class A(B):\n\n", "class A(B):\n")], None),
    (NOTHING, [("[x  , y]", "[x, y]")], "[x  , y]"),
    (NOTHING, [("[x  , y]", "[x  , y,]")], "[x  , y]"),
    (NOTHING, [('"""About."""', '"""Changed."""')], "About."),
    (NOTHING, [("import os\n", "")], "import os"),
    (NOTHING, [("import os\n", "import os\nimport re\n")], None),
    (NOTHING, [("    return [x", "\n    return [x")], "[x  , y]"),
    (NOTHING, [("def f(x, y=1)", "def f(x, y=2)")], "def f"),
    (CALLS, [("call(3)", "call(3) + 1")], "call(3)"),
    (CALLS, [("call(3)", "result")], "call(3)"),
    (CALLS, [("assert y", "assert call(y)")], "assert y"),
    (CALLS, [("call(3)", "call(4)"), ("'one'", "'two'")], "NAME"),
    (CALLS, [("            call(3)\n", "            call(3)\n            call(4)\n")], None),
    (CALLS, [("            call(3)\n", "")], "call(3)"),
    (STRINGS, [("'one'", "1")], "NAME"),
    (IN_G, [("call(3)", "call(4)")], "call(3)"),
    (IN_G, [("class A(B):", "class A:")], "class A"),
    (IN_G, [("    def h(self):", "    def i(self):")], "def h"),
    ({"names": ("h",)}, [("(1, self.x)", "(2, self.x)")], "(1, self.x)"),
    ({"names": ("A.g",), "nodes": ("Call",)}, [("call(3)", "call(4)")], "call(3)"),
    ({"names": ("A.g",), "nodes": ("Call",)}, [("def g(self):", "def g(self, x):")], "def g"),
    (ASSERTS, [("call(3)", "call(4)")], "call(3)"),
    (ASSERTS, [("self.assertEqual(1, self.x)\n", "assert 1 == self.x\n\n    def new(self): ...\n")], None),
    (ASSERTS, [("as caught:\n            call(1, 2)", "as caught:\n            call(2, 2)")], "call(1, 2)"),
    (
        ASSERTS,
        [
            (
                "with self.assertRaises(ValueError) as caught:\n            call(1, 2)",
                "with raises():\n            call()",
            )
        ],
        "call(1, 2)",
    ),
    (ASSERTS, [("if x == 1:", "if x:")], "if x == 1"),
    (ASSERTS, [("for item in self.items:", "for item in []:")], "for item"),
    (ASSERTS, [("match self.x:", "match self.y:")], "match"),
    (ASSERTS, [("case 1:", "case 2:")], "case 1"),
    ({"statements": "assert"}, [("if x == 1:", "if x:")], "if x == 1"),
    ({"statements": "above"}, [("def f(x, y=1)", "def f(x, y=2)")], "def f"),
    ({"statements": "^if x"}, [("    else:\n        assert y", "    else:\n        assert x")], "assert y"),
    ({"statements": "^if x"}, [("    else:\n        assert y\n", "")], None),
    ({**ASSERTS, "names": ("A.g",)}, [("self.assertTrue(item)", "assert item")], "assertTrue(item)"),
    ({**ASSERTS, "nodes": ("Call",)}, [("call(3)", "call(4)")], "call(3)"),
    (IMPORTS, [("NAME = 'one'", "NAME = 'two'")], "NAME"),
    (IMPORTS, [("import os\n", "import os; print()\n")], None),
    (IMPORTS, [("    if x == 1:", "    import x\n    if x == 1:")], None),
    ({**IMPORTS, **CALLS}, [("import os\n", ""), ("'one'", "'two'")], "NAME"),
]


@pytest.mark.parametrize(("allowed", "changes"), ALLOWED)
def test_what_was_declared_may_change(allowed: Rules, changes: list[tuple[str, str]]) -> None:
    assert faults(allowed, *changes) == []


@pytest.mark.parametrize(("allowed", "changes", "where"), FORBIDDEN)
def test_everything_else_may_not(allowed: Rules, changes: list[tuple[str, str]], where: str | None) -> None:
    found = faults(allowed, *changes)
    assert found
    assert all(message for _, message in found)
    if where:
        lines = BEFORE.splitlines()
        assert any(where in lines[number - 1] for number, _ in found if number)


@pytest.mark.parametrize(
    ("allowed", "change", "message"),
    [
        (CALLS, ("call(3)", "result"), "`call(3)` became `result`"),
        (NOTHING, ("'one'", '"one"'), "`'one'` was changed"),
        (NOTHING, ("            call(3)\n", ""), "`call(3)` was removed"),
        (NOTHING, ("            call(3)\n", "            call(3)\n            more\n"), "`more` was added"),
        (ASSERTS, ("        self.assertEqual(1, self.x)", "        assert 1 == self.x  # now"), ""),
        (STRINGS, ("NAME = 'one'  # beside", "NAME = 'two'"), "`# beside` was removed"),
    ],
)
def test_faults_are_worded_for_whoever_must_repair_them(allowed: Rules, change: tuple[str, str], message: str) -> None:
    found = faults(allowed, change)
    assert any(message in told for _, told in found) if message else found == []


@pytest.mark.parametrize("allowed", [CALLS, IN_G, ASSERTS, {"names": ("A.*", "f"), **CALLS}])
def test_comments_must_survive_what_may_change(allowed: Rules) -> None:
    before = "class A:\n    def g(self):\n        # why\n        self.assertTrue(  # this\n            1)\n"
    found = faults(allowed, ("self.assertTrue(  # this\n            1)", "self.assertIn(1, x)"), before=before)
    assert [message for _, message in found] == ["the comment '# this' was lost"]


def test_a_comment_may_move_within_what_may_change() -> None:
    before = "check(  # this\n    1)\n"
    assert faults(CALLS, ("check(  # this\n    1)", "other(1,  # this\n)"), before=before) == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1\n", "import os\n\n\nx = 1\n"),
        ("x = 1\n", "import os\nx = 1\n"),
        ('"""About."""\n\nx = 1\n', '"""About."""\n\nimport os\n\n\nx = 1\n'),
        ("# head\n\nx = 1\n", "# head\n\nimport os\n\nx = 1\n"),
        ("import os\n\n\nx = 1\n", "x = 1\n"),
        ("import os\n\n\n# why\nx = 1\n", "import os\nimport re\n\n# why\nx = 1\n"),
        ("x = 1\n\nimport a\n\ny = 2\n", "x = 1\n\ny = 2\n"),
        ("import os\n\nx = 1\n", "import os\nif x:\n    import re\n\nx = 1\n".replace("if x:\n    ", "")),
    ],
)
def test_blank_lines_come_and_go_with_imports(before: str, after: str) -> None:
    assert outside(before, after, IMPORTS) == []
    assert outside(before, after, NOTHING)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import os\n\n\nx = 1\n\n\n\ny = 2\n", "import os\n\n\nx = 1\n\ny = 2\n"),
        ("import os\n# why\nx = 1\n", "import os\nx = 1\n"),
    ],
)
def test_other_blank_lines_and_comments_do_not(before: str, after: str) -> None:
    assert outside(before, after, IMPORTS)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("def f():\n    return 1\n", "def f():\n  return 1\n"),
        ("if a:\n    b\nelse:\n    c\n", "if a:\n    b\nelse:\n  c\n"),
        ("if a:\n\tb\n", "if a:\n    b\n"),
    ],
)
def test_indentation_may_not_change(before: str, after: str) -> None:
    assert outside(before, after, CALLS)


def test_an_import_may_not_be_moved_unless_imports_may_change() -> None:
    before = "import os\n\n\ndef f(): ...\n\n\ndef g(): ...\n"
    after = "\n\ndef f(): ...\n\n\nimport os\ndef g(): ...\n"
    assert outside(before, after, NOTHING)


@pytest.mark.parametrize("path", WITH_FORMAT[:8], ids=lambda path: path.stem)
def test_a_codemod_stays_within_its_declared_nodes(path: Path) -> None:
    text = text_of(path)
    after = formatted(text, "module")
    rules = {"nodes": ["Call", "FormattedString", "SimpleString"]}
    assert guard.call("scope:outside", before=text, after=after, allowed=rules) == []
    if after != text:
        assert guard.call("scope:outside", before=text, after=after, allowed={"nodes": ["Subscript"]})
