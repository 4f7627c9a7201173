from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.syntax.words import on_one_line, words


def test_an_f_string_is_one_word() -> None:
    texts = [word.text for word in words('f(f\'{a!r:>{b}} {{c}}\', """d\ne""")')]
    assert texts[:6] == ["f", "(", "f'{a!r:>{b}} {{c}}'", ",", '"""d\ne"""', ")"]


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("f(a, b)", "f(a, b)"),
        ("f(\n    a,\n    b,\n)", "f(a, b,)"),
        ("f(a,\n  'b'\n  f'{c}')", "f(a, 'b' f'{c}')"),
        ("f(a +\\\n  b)", "f(a + b)"),
        ("f({\n  1: [\n 2]})", "f({1: [2]})"),
        ("f(a,\n  b)  # why", "f(a,\n  b)  # why"),
        ("with f(a,\n    b):\n    c()", "with f(a,\n    b):\n    c()"),
        ("if a: b(\n1)\nelse: c", "if a: b(\n1)\nelse: c"),
        ("@a\ndef b(): c", "@a\ndef b(): c"),
        (f"f(a,\n  {'b' * 100})", f"f(a,\n  {'b' * 100})"),
    ],
)
def test_a_simple_statement_on_one_line(code: str, line: str) -> None:
    assert on_one_line(code) == line


@given(
    st.lists(st.sampled_from(["a", "'b c'", "1", "f(x,\n y)", "[\n\n1,\n]", "a if b else\n c", "-\\\n d"]), max_size=4)
)
def test_it_means_the_same(arguments: list[str]) -> None:
    code = f"call({', '.join(arguments)})"
    assert ast.dump(ast.parse(on_one_line(code))) == ast.dump(ast.parse(code))
