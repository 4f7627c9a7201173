from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.data import Skip
from operators.syntax.api import differences
from tests.operators.syntax.samples import LIBRARY

TEXT = """\
import sys
from shop.stock import left

__all__ = ["Client", "connect", "left"]
LIMIT = 10
_cache = {}


class Client:
    timeout: float = 1.0

    def __init__(self, url, *, retries=3):
        self.url = url

    @property
    def name(self):
        return self.url

    @staticmethod
    def parse(text, /, strict=False):
        return text

    def _ask(self):
        return 1


async def connect(url, *rest, timeout=LIMIT, **more):
    return Client(url)


if sys.version_info < (3, 9):
    def removeprefix(text, prefix):
        return text
"""
GONE = "the public name `{}` is gone"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("LIMIT = 10\n", "", GONE.format("LIMIT")),
        ("class Client", "class Customer", GONE.format("Client")),
        ("    timeout: float = 1.0\n", "", GONE.format("Client.timeout")),
        ("def parse", "def _parse", GONE.format("Client.parse")),
        ('"connect", ', "", "`connect` is no longer in `__all__`"),
        ('__all__ = ["Client", "connect", "left"]\n', "", "`Client` is no longer in `__all__`"),
        (
            "from shop.stock import left\n",
            "",
            "`left` stands in `__all__` and is not imported any more",
        ),
        ("url, *, retries=3", "url, *, retries=5", "is now `def __init__(self, url, *, retries=5)`"),
        ("url, *, retries=3", "url, retries=3", "is now `def __init__(self, url, retries=3)`"),
        ("url, *, retries=3", "url, *, retries", "is now `def __init__(self, url, *, retries)`"),
        (
            "url, *, retries=3",
            "url, *, retries=3, proxy=None",
            "is now `def __init__(self, url, *, retries=3, proxy=None)`",
        ),
        ("self, url", "self, address", "is now `def __init__(self, address, *, retries=3)`"),
        ("text, /, strict", "text, strict", "is now `@staticmethod def parse(text, strict=False)`"),
        ("    @staticmethod\n", "", "is now `def parse(text, /, strict=False)`"),
        ("    @property\n", "", "`@property def name(self)` is now `def name(self)`"),
        ("async def", "def", "is now `def connect(url, *rest, timeout=..., **more)`"),
        ("*rest, ", "*, ", "is now `async def connect(url, *, timeout=..., **more)`"),
        (", **more", "", "is now `async def connect(url, *rest, timeout=...)`"),
        (TEXT[TEXT.index("async def") : TEXT.index("if sys")], "connect = Client\n", "is now no function"),
    ],
)
def test_what_others_may_use_has_changed(old: str, new: str, fault: str) -> None:
    after = TEXT.replace(old, new)
    ast.parse(after)
    told = [words for _, words in differences(TEXT, after, [])]
    assert any(words.endswith(fault) for words in told), told


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 10", "LIMIT = 20"),
        ("_cache", "_known"),
        ("def _ask(self)", "def _tell(self, what)"),
        ("timeout=LIMIT", "timeout=2 * LIMIT"),
        ("(self, url, *", "(self, url: str | None, *"),
        ("def __init__", "def close(self): ...\n\n    def __init__"),
        ("from shop.stock import left\n", "from shop import left\n"),
        ("from shop.stock import left\n", "def left(name):\n    return 1\n"),
        ("import sys\n", "import sys\nfrom typing import Any\n"),
        (TEXT[TEXT.index("if sys") :], ""),
        ("LIMIT = 10", "LIMIT: int = 10"),
    ],
)
def test_what_is_nobody_elses(old: str, new: str) -> None:
    after = TEXT.replace(old, new)
    ast.parse(after)
    assert differences(TEXT, after, []) == []


def test_what_the_job_is_about_may_change() -> None:
    after = TEXT.replace("def parse", "def read").replace("LIMIT = 10\n", "")
    assert len(differences(TEXT, after, [])) == 2
    assert differences(TEXT, after, ["Client.parse", "LIM*"]) == []
    assert differences(TEXT, after, ["Client"]) == [(0, GONE.format("LIMIT"))]
    assert differences(TEXT, after, ["parse"]) != []


def test_what_does_not_parse() -> None:
    assert differences("print 'a'\n", "x = 1\n", []) == []
    with pytest.raises(Skip):
        differences("x = 1\n", "x = (\n", [])


def test_of_several_definitions_some_may_go_and_none_come() -> None:
    one = "@overload\ndef f(a): ...\n@overload\ndef f(a, b): ...\ndef f(*a): ...\n"
    assert differences(one, "def f(a): ...\n", []) == []
    assert differences(one, "def f(c): ...\n", []) == [(1, "`def f(*a)` is now `def f(c)`")]


@given(path=st.sampled_from(sorted(LIBRARY.glob("*.py"))))
def test_what_is_only_laid_out_anew_is_the_same(path: object) -> None:
    text = path.read_text()  # type: ignore[attr-defined]
    assert differences(text, ast.unparse(ast.parse(text)), []) == []
