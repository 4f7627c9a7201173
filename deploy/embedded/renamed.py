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
    return _swapped(before, others), _swapped(after, others)


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
