from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from operators.data import Skip
from operators.source import split
from operators.syntax.outline import Outline, Unit, compiles, innermost, outline, parse
from tests.operators.syntax.samples import TRICKY, library, text_of


def names(units: tuple[Unit, ...]) -> dict[str, tuple[int, int]]:
    return {unit.name: (unit.first, unit.last) for one in units for unit in (one, *one.members)}


@pytest.mark.parametrize(
    ("text", "head", "imports", "units"),
    [
        ("", (1, 0), (), {}),
        ("# nothing but a comment\n", (1, 0), (), {}),
        ("x = 1\n", (1, 0), (), {"line 1": (1, 1)}),
        ("# a\n\nx = 1\n", (1, 2), (), {"line 3": (3, 3)}),
        ('# a\n"""b\nc"""\nx = 1\n', (1, 3), (), {"line 4": (4, 4)}),
        ('"""b"""', (1, 1), (), {}),
        ("import a\nfrom b import (\n    c,\n)\n", (1, 0), ((1, 1), (2, 4)), {}),
        ("@a\n@b(\n    1)\ndef f():\n    pass\n", (1, 0), (), {"f": (1, 5)}),
        ("@(\n    a\n)\ndef f(): ...\n", (1, 0), (), {"f": (1, 4)}),
        ("a = 1; b = 2\n", (1, 0), (), {"line 1": (1, 1)}),
        ("a = 1; b = (\n    2)\nc = 3\n", (1, 0), (), {"line 1": (1, 2), "line 3": (3, 3)}),
        ("import a; b = 1\n", (1, 0), ((1, 1),), {"line 1": (1, 1)}),
        ("if a:\n    b\nelse:\n    c\n", (1, 0), (), {"line 1": (1, 4)}),
        ("class A: pass\n", (1, 0), (), {"A": (1, 1)}),
        ("class A:\n    x = 1\n    def f(self): ...\n", (1, 0), (), {"A": (1, 3), "A.line 2": (2, 2), "A.f": (3, 3)}),
        ("class A:\n    x = 1; y = (\n  2)\n", (1, 0), (), {"A": (1, 3), "A.line 2": (2, 3)}),
        ("class A:\n    @b\n    def f(self): ...\n", (1, 0), (), {"A": (1, 3), "A.f": (2, 3)}),
        ("class A:\n    @(\n  b)\n    def f(self): ...\n", (1, 0), (), {"A": (1, 4), "A.f": (2, 4)}),
        ("async def f():\n    pass\n", (1, 0), (), {"f": (1, 2)}),
        ("x = 1\r\n\r\ndef f():\r\n    pass\r\n", (1, 0), (), {"line 1": (1, 1), "f": (3, 4)}),
        ("\x0c\nx = '''\r'''\ny = 1\n", (1, 1), (), {"line 2": (2, 3), "line 4": (4, 4)}),
    ],
)
def test_modules_are_cut_into_head_imports_and_units(
    text: str, head: tuple[int, int], imports: tuple[tuple[int, int], ...], units: dict[str, tuple[int, int]]
) -> None:
    found = outline(text)
    assert (found.head, found.imports, names(found.units)) == (head, imports, units)


def test_members_know_the_class_headers_around_them() -> None:
    text = "@a\nclass A(\n    B,\n):\n    # why\n    class C:\n        def f(self): ...\n"
    (unit,) = outline(text).units
    assert unit.members[0].headers == ((1, 5),)
    assert unit.members[0].members[0].headers == ((1, 5), (6, 6))


def lines_of(found: Outline) -> list[int]:
    parts = [*found.imports, *((unit.first, unit.last) for unit in found.units)]
    return [number for first, last in sorted(parts) for number in range(first, last + 1)]


@pytest.mark.parametrize("path", library(12), ids=lambda path: path.stem)
def test_every_line_of_code_is_in_one_unit_or_import(path: Path) -> None:
    text = text_of(path)
    found = outline(text)
    covered = lines_of(found)
    assert len(covered) == len(set(covered))
    left = set(range(found.head[1] + 1, len(split(text)) + 1)) - set(covered)
    assert all(split(text)[number - 1].strip()[:1] in {"", "#"} for number in left)


@pytest.mark.parametrize("path", library(12), ids=lambda path: path.stem)
def test_every_unit_parses_alone(path: Path) -> None:
    lines = split(text_of(path))
    for unit in outline("".join(lines)).units:
        ast.parse("".join(lines[unit.first - 1 : unit.last]))


def test_every_unit_of_a_tricky_file_parses_alone() -> None:
    lines = split(TRICKY)
    for unit in outline(TRICKY).units:
        ast.parse("".join(lines[unit.first - 1 : unit.last]))


def test_classes_are_taken_apart_where_they_are_too_large() -> None:
    units = outline(TRICKY).units

    def chosen(*numbers: int, most: int = 0) -> list[str]:
        return [
            unit.name for unit in innermost(units, lambda first, last: any(first <= n <= last for n in numbers), most)
        ]

    lines = split(TRICKY)
    deep, header = lines.index("        def deep(self): return 1\n") + 1, lines.index("class A(\n") + 1
    assert chosen(deep) == ["A.Inner.deep"]
    assert chosen(deep, most=100) == ["A"]
    assert chosen(deep, most=10) == ["A.Inner"]
    assert chosen(header) == ["A"]
    assert chosen(header, deep) == ["A", "A.Inner.deep"]
    assert chosen() == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def f(:\n", "syntax error on line 1 for Python {}: invalid syntax"),
        ("x = 1\n  y = 2\n", "syntax error on line 2 for Python {}: unexpected indent"),
        ("print 'a'\n", "syntax error on line 1 for Python {}: Missing parentheses in call to 'print'. Did you mean"),
        ("x = '\ud800'\n", "cannot be parsed: 'utf-8' codec can't encode"),
    ],
)
def test_what_does_not_parse_is_skipped_with_the_place(text: str, reason: str) -> None:
    with pytest.raises(Skip) as why:
        parse(text)
    assert str(why.value).startswith(reason.format("{}.{}".format(*sys.version_info)))


def test_the_recursion_limit_is_left_as_it_was() -> None:
    limit = sys.getrecursionlimit()
    parse("x = 1\n")
    for refused in (parse, compiles):
        with pytest.raises(Skip):
            refused("x = (\n")
    assert sys.getrecursionlimit() == limit
