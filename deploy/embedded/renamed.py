"""Gives a pair other names and numbers, so that a model learns to copy what it never saw."""

from __future__ import annotations

import builtins
import keyword
import random
import re
import string
from collections.abc import Sequence

# Names that decide what the codemod does, or that it writes, are what they are.
KEPT = {
    *dir(builtins),
    *keyword.kwlist,
    *keyword.softkwlist,
    *("self", "cls", "pytest", "unittest", "re", "logging", "Counter", "collections", "warnings", "math", "mock"),
    *("raises", "warns", "approx", "fail", "skip", "match", "msg", "places", "delta", "count", "search", "reason"),
    *("value", "exception", "exceptions", "output", "records", "expected_exception", "expected_regex", "callable"),
    *("first", "second", "member", "container", "obj", "expr", "expr1", "expr2", "text", "format", "join", "keys"),
    *("subTest", "skipTest", "setUp", "tearDown", "caplog", "messages", "items", "isnan", "issubset", "rel", "abs"),
}
_NAME = re.compile(r"(?<![\\\w])[A-Za-z_]\w*(?![\w\"'])")  # not what escapes or begins a string
_STRING = re.compile(r"""(?<![\w"'])(["'])([^"'\\\n{}%]{2,60})\1(?!["'])""")  # not what is formatted
_SIGNS = (", ", ": ", " == ", "(", ")", "[", "]", "=", "<", ">", "/", "-", ".", "&", ";", "?", " ", "--", "#", "@", "0")
_ALPHABETS = tuple(
    [chr(sign) for sign in range(first, last) if chr(sign).isprintable()]
    for first, last in (
        *((0xA1, 0x180), (0x370, 0x400), (0x400, 0x460), (0x5D0, 0x5EB), (0x620, 0x660), (0x900, 0x980)),
        *((0x2010, 0x2028), (0x2190, 0x2200), (0x3040, 0x3100), (0x4E00, 0x9F00), (0xAC00, 0xD7A0), (0x1F300, 0x1F650)),
    )
)
STRINGS = 0.4  # share of pairs whose strings change
_NUMBER = re.compile(r"(?<![\w.\\])\d{1,6}(?![\w.])")


def renamed(before: str, after: str, words: Sequence[Sequence[str]], rng: random.Random) -> tuple[str, str]:
    """Return the pair with most names and numbers that stand on both sides changed, each to one of its length (lengths
    decide where lines break). `words`: real names by length."""
    share = rng.random()
    names = set(_NAME.findall(before)) & set(_NAME.findall(after))
    free = sorted(name for name in names if name not in KEPT and not name.startswith(("assert", "fail", "test")))
    others = {name: _name(name, words, rng) for name in free if rng.random() < share}
    if "Almost" not in before:
        numbers = set(_NUMBER.findall(before)) & set(_NUMBER.findall(after))
        others |= {
            number: rng.choice("123456789") + "".join(rng.choices(string.digits, k=len(number) - 1))
            for number in sorted(numbers)
            if number not in {"0", "1", "2"} and not number.startswith("0") and rng.random() < share
        }
    before, after = _swapped(before, others), _swapped(after, others)
    return _rewritten(before, after, rng) if rng.random() < STRINGS else (before, after)


def _rewritten(before: str, after: str, rng: random.Random) -> tuple[str, str]:
    """Return the pair with other text in the strings that stand on both sides."""
    kept = {match[2] for match in _STRING.finditer(after)}
    others = {match[2]: "" for match in _STRING.finditer(before) if match[2] in kept}
    others = {text: _text(len(text), rng) for text in others}

    def swap(match: re.Match[str]) -> str:
        return f"{match[1]}{others.get(match[2], match[2])}{match[1]}"

    return _STRING.sub(swap, before), _STRING.sub(swap, after)


def _text(size: int, rng: random.Random) -> str:
    """Return text that is hard to copy: of another alphabet, of signs that mean something in code, of repetitions."""
    kind, letters, text = rng.random(), rng.choice(_ALPHABETS), ""
    while len(text) < size:
        if kind < 0.4:
            text += rng.choice(letters) if rng.random() < 0.8 else rng.choice("aeinot -")
        elif kind < 0.6:
            text += rng.choice("abcxyzABXYZ0159_ -") * rng.choice((1, 1, 1, 2, 3, 6))
        else:
            text += rng.choice(_SIGNS) if rng.random() < 0.5 else "".join(rng.choices(string.ascii_letters, k=4))
    return text[:size]


def _name(name: str, words: Sequence[Sequence[str]], rng: random.Random) -> str:
    size = len(name)
    if size < len(words) and words[size] and rng.random() < 0.6:
        return rng.choice(words[size])
    letters = string.ascii_lowercase * 3 + string.ascii_uppercase + "_" * 4 + string.digits
    return rng.choice(string.ascii_lowercase) + "".join(rng.choices(letters, k=size - 1))


def _swapped(code: str, others: dict[str, str]) -> str:
    code = _NAME.sub(lambda match: others.get(match[0], match[0]), code)
    return _NUMBER.sub(lambda match: others.get(match[0], match[0]), code)


def by_length(codes: Sequence[str]) -> list[list[str]]:
    """Return the distinct names of some code, each list those of its index's length."""
    found = {name for code in codes for name in _NAME.findall(code)} - KEPT
    words: list[list[str]] = [[] for _ in range(max(map(len, found), default=0) + 1)]
    for name in sorted(found):
        words[len(name)].append(name)
    return words
