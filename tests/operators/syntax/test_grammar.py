"""Grammars of answers, held against the real engine: a network that knows nothing is led by them alone."""

from __future__ import annotations

import keyword

import pytest
from lark import Lark, UnexpectedCharacters, UnexpectedEOF, UnexpectedInput

from operators.data import Completion, Skip
from operators.embedded import Embedded
from operators.syntax.grammar import copying
from tests.operators.checkpoint import checkpoint

FREE = ("pytest", "raises")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    return Embedded(str(checkpoint(tmp_path_factory.mktemp("grammar") / "checkpoint")), temperature=1.0, max_tokens=30)


def ask(model: Embedded, grammar: str) -> Completion:
    return model.complete([{"role": "user", "content": "x"}], shard="", attempt=1, grammar=grammar)


CODES = [
    "self.assertEqual(slug('a/b \"c\" \\n'), 12.5)",
    'self.assertIn(r\'\\d+[.]\', """one\n  two""", msg=None)  # why: 100 % of <it>',
    'self.assertTrue(f\'{a!r:>{width}} {b}\' or F"""{c}\n""")',
    "self.assertEqual('komпьютер-影師', é)",
    "with self.assertRaises(E) as caught:\n    f(x)",
    "if a:\n  self.assertEqual(a, {1: [2, 3]})",
]


@pytest.mark.parametrize("code", CODES)
def test_the_engine_keeps_to_it(model: Embedded, code: str) -> None:
    """Up to where the answer was cut, as it nearly always is: a network that knows nothing finds no end."""
    grammar = copying(code, FREE)
    reader, longest = Lark(grammar, lexer="dynamic_complete"), max(map(len, [code, *keyword.kwlist]))
    reply = ask(model, grammar)
    try:
        assert reader.parse(reply.text) or not reply.cut
    except UnexpectedEOF:
        assert reply.cut
    except UnexpectedCharacters as error:
        assert reply.cut
        assert error.pos_in_stream >= len(reply.text) - longest, reply.text


def test_an_f_string_is_one_word() -> None:
    grammar = copying("f(f'{a}b', c)", ())
    assert r"f\x27\x7ba\x7db\x27" in grammar
    assert "|a|" not in grammar.split("WORD:")[1]


@pytest.mark.parametrize(
    ("code", "answer", "follows"),
    [
        ("self.f(a, 'b')", "assert a == 'b'", True),
        ("self.f(a, 'b')", "assert (\n    a\n    == 'b'\n)", True),
        ("self.f(a, 'b')", "import pytest\nwith pytest.raises(a):\n    'b'", True),
        ("self.f(a, b)  # note", "assert (a  # note\n    == b)", True),
        ("self.f(a, b)  # note", "assert a == b  # note", True),
        ("with self.f(a):\n\n  b()", "with raises(a):\n\n  b()", True),
        ("self.f(a, 'b')", "assert a == 'c'", False),
        ("self.f(a, 'b')", "assert aa == 'b'", False),
        ("self.f(a, 'b')", "assert (a == 'b'", False),
        ("self.f(a, 'b')", "assert a\n    == 'b'", False),
        ("self.f(a, 'b')", "assert a == 'b'  # note", False),
    ],
)
def test_what_follows_the_grammar(code: str, answer: str, follows: bool) -> None:
    """Told by another reader of such grammars."""
    reader = Lark(copying(code, FREE), lexer="dynamic_complete")
    if follows:
        assert reader.parse(answer)
    else:
        with pytest.raises(UnexpectedInput):
            reader.parse(answer)


def test_what_is_to_go_is_no_word_unless_it_is_free() -> None:
    words = copying("self.assertEqual(self.first, fail)", ("self",), r"self\.assert[A-Z]").rpartition("WORD: ")[2]
    assert {"self", "first", "fail"} <= set(words.strip("/\n").split("|"))
    assert "assertEqual" not in words


def test_what_does_not_parse_has_no_grammar() -> None:
    with pytest.raises(Skip, match="syntax error"):
        copying("self.f(", ())
