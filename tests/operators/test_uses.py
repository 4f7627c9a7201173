from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from operators.data import Skip
from operators.syntax.uses import used


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("from a import f\nf()", ["a.f"]),
        ("from a.b import f as g\ng.h", ["a.b.f.h"]),
        ("import a.b\na.b.f()", ["a.b.f"]),
        ("import a.b as c\nc.f()", ["a.b.f"]),
        ("import a\nx = a", ["a"]),
        ("from . import b\nb.f", [".b.f"]),
        ("from ..c import f\nf", ["..c.f"]),
        ("from a import f, g\ng(f)", ["a.g", "a.f"]),
        ("from a import f\n@f\ndef g(x=f): ...", ["a.f"]),
        ("from a import B, C, D\nclass E(B[C], metaclass=D): ...", ["a.B", "a.C", "a.D"]),
        ("from a import T\ndef g(x: T) -> T:\n    y: T = x", ["a.T"]),
        ("from a import f\nf().g.h", ["a.f"]),
        ("from a import f\nprint(f'{f():>3}')", ["a.f"]),
        ("from a import f", []),
        ("from a import *\nf()", []),
        ("from a import f\n'f'\n# f", []),
        ("from a import f\nx.f", []),
        # Shadowed: what is meant is not what was imported.
        ("from a import f\ndef g(f): f", []),
        ("from a import f\ndef g(*f): f", []),
        ("from a import f\ndef g(): f = 1; f", []),
        ("from a import f\nfor f in x: f", []),
        ("from a import f\n[f for f in x]", []),
        ("from a import f\nlambda f: f", []),
        ("from a import f\nwith x as f: f", []),
        ("from a import f\ntry: ...\nexcept E as f: f", []),
        ("from a import f\nmatch x:\n    case [f, *_]: f", []),
        ("from a import f\ndef f(): ...\nf", []),
        ("from a import f\nf = f2 = 1\nf", []),
        # Not shadowed, though it looks like it.
        ("from a import f\ndef g(f): ...\nf", ["a.f"]),
        ("from a import f\nclass A:\n    f = 1\n    def g(self): f", ["a.f"]),
        ("from a import f\n[f for x in y]", ["a.f"]),
        ("from a import f\ndef g(x=lambda f: f): f", ["a.f"]),
        ("from a import f\nx(f=1)\nx.f = 2", []),
        # Wherever the import stands.
        ("def g():\n    from a import f\n    f()", ["a.f"]),
        ("def g():\n    from a import f\ndef h(): f()", []),
        ("try:\n    from a import f\nexcept ImportError:\n    from b import f\nf", ["a.f", "b.f"]),
        ("if TYPE_CHECKING:\n    from a import f\ndef g(x: f): ...", ["a.f"]),
        ("from a import f\ndef g():\n    global f\n    return f", ["a.f"]),
    ],
)
def test_what_is_used(code: str, names: list[str]) -> None:
    (found,) = used(code, [[]])
    assert ["." * level + dotted for level, dotted in found] == names


def test_each_part_by_itself() -> None:
    code = "from a import f, g\nclass A:\n    def one(self):\n        f()\n    def two(self):\n        g()\n"
    assert used(code, [[(3, 4)], [(5, 6)], [(3, 4), (6, 6)], []]) == [
        [(0, "a.f")],
        [(0, "a.g")],
        [(0, "a.f"), (0, "a.g")],
        [(0, "a.f"), (0, "a.g")],
    ]


def test_a_syntax_error() -> None:
    with pytest.raises(Skip, match="syntax error on line 1"):
        used("def (:\n", [[]])


@pytest.mark.parametrize("module", ["ast", "argparse", "typing", "dataclasses", "asyncio.events", "unittest.mock"])
def test_on_the_standard_library_it_names_what_is_imported(module: str) -> None:
    """By another way: every name that a module uses and this leaves out is bound in it otherwise, or built in."""
    __import__(module)
    text = Path(str(sys.modules[module].__file__)).read_text()
    (found,) = used(text, [[]])
    tree = ast.parse(text)
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    imported = {
        ".".join(filter(None, [getattr(node, "module", None), alias.name])) for node in nodes for alias in node.names
    }
    tops = {name.partition(".")[0] for name in imported}
    assert found, "each of them uses something"
    for level, dotted in found:
        assert level or dotted.partition(".")[0] in tops
        assert any(f"{dotted}.".startswith(f"{name}.") or f"{name}.".startswith(f"{dotted}.") for name in imported)
