"""YAML files of others get one more item, and no other change."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipelines.guard.append import appended
from pipelines.guard.events import Awkward, words

ITEM = {"local": "/x.yml"}
GOOD = {
    "nothing": ("", "include:\n- local: /x.yml\n"),
    "no such key, no line end": ("a: 1", "a: 1\ninclude:\n- local: /x.yml\n"),
    "no value": ("include:\na: 1\n", "include:\n  - local: /x.yml\na: 1\n"),
    "empty list": ("include: []  # none\na: 1\n", "include: # none\n  - local: /x.yml\na: 1\n"),
    "one word": ("include: 'y.yml'  # y\n# a\na: 1\n", "include:\n  - 'y.yml'  # y\n  - local: /x.yml\n# a\na: 1\n"),
    "one mapping": (
        "include:\n  local: y\n  ref: b # c\n\na: 1\n",
        "include:\n  - local: y\n    ref: b # c\n  - local: /x.yml\n\na: 1\n",
    ),
    "one mapping in brackets": ("include: {local: y}\n", "include:\n  - {local: y}\n  - local: /x.yml\n"),
    "list in brackets": ("include: [y, z] # c\na: 1\n", 'include: [y, z, {"local": "/x.yml"}] # c\na: 1\n'),
    "list": ("include:\n- y\n- z\na: 1\n", "include:\n- y\n- z\n- local: /x.yml\na: 1\n"),
    "deep list with comments": (
        "# top\ninclude:\n    - local: y # 1\n      # - z\n\n# a\na: 1\n",
        "# top\ninclude:\n    - local: y # 1\n      # - z\n    - local: /x.yml\n\n# a\na: 1\n",
    ),
    "list that ends in a block of text": (
        "include:\n  - a: |\n      b\n\n      c\nd: 1\n",
        "include:\n  - a: |\n      b\n\n      c\n  - local: /x.yml\nd: 1\n",
    ),
    "nested brackets": (
        "include:\n  - file: [a,\n      b]\nd: 1\n",
        "include:\n  - file: [a,\n      b]\n  - local: /x.yml\nd: 1\n",
    ),
    "lines of Windows": ("include:\r\n  - y\r\na: 1\r\n", "include:\r\n  - y\r\n  - local: /x.yml\r\na: 1\r\n"),
    "tags and anchors elsewhere": (
        "x: &x {a: 1}\ny: !reference [x, a]\ninclude: [*x]\n",
        'x: &x {a: 1}\ny: !reference [x, a]\ninclude: [*x, {"local": "/x.yml"}]\n',
    ),
}
BAD = {
    "include: [a, ]\n": "it is no YAML",
    "include: &x [a]\n": "an anchor or a tag",
    "include: !x [a]\n": "an anchor or a tag",
    "include: a\ninclude: b\n": "stands in it twice",
    "---\na: 1\n---\nb: 1\n": "several documents",
    "- a\n": "does not begin with keys",
    "{a: 1}\n": "does not begin with keys",
    "? [a]\n: b\n": "keys that are no words",
    "a: [\n": "no YAML",
    "a: 1\n...\n": "no YAML",
    "include: 'a\n  b'\n": "written over several lines",
    "include:\n- a\r\n- b\n": "two ways",
    "a: " + "[" * 300_000: "larger than 256 kB",
    "a: \x07\n": "no YAML",
    "%YAML 99999999999999999999.1\n---\na: 1\n": "no YAML",
}


@pytest.mark.parametrize("name", GOOD)
def test_one_item_more(name: str) -> None:
    before, after = GOOD[name]
    assert appended(before, "include", ITEM) == after


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_what_would_have_to_be_written_anew_is_left_alone(text: str) -> None:
    with pytest.raises(Awkward, match=BAD[text]):
        appended(text, "include", ITEM)


_WORDS = st.text("ab :#-'\"\n\\&*![]{}|>äÿ", max_size=6)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | _WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=3),
    max_leaves=8,
)
_LISTS = st.lists(_VALUES, max_size=3)


@settings(max_examples=120, deadline=None)
@given(
    before=st.dictionaries(st.sampled_from("ab"), _VALUES),
    key=st.none() | _LISTS,
    after=st.dictionaries(st.sampled_from("cd"), _VALUES),
    flow=st.booleans(),
    comment=st.booleans(),
)
def test_it_says_what_it_said_and_the_item(
    before: dict[str, Any], key: list[Any] | None, after: dict[str, Any], flow: bool, comment: bool
) -> None:
    data = {**before, **({} if key is None else {"include": key}), **after}
    dumped = [(name, yaml.safe_dump(one, default_flow_style=flow, width=1000)) for name, one in data.items()]
    if flow:
        text = "".join(f"{name}: {one}".replace("\n...\n", "\n") for name, one in dumped)
    else:
        text = "".join(yaml.safe_dump({name: one}, default_flow_style=False) for name, one in data.items())
    if comment and "|" not in text:
        text = text.replace("\n", "  # said\n", 1)
    assume((yaml.safe_load(text) or {}) == data)  # else the comment has become part of a text
    try:
        made = appended(text, "include", ITEM)
    except Awkward:
        assert key is not None, "a list that is not there can always be made"
        return
    assert yaml.safe_load(made) == {**data, "include": [*(key or []), ITEM]}
    lines = iter(made.splitlines())
    assert flow or all(line.startswith("include:") or line in lines for line in text.splitlines()), (
        "some line has changed"
    )


def test_an_alias_that_stands_for_billions_is_not_built() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefghi", "bcdefghij", strict=True))
    assert appended(bomb, "include", ITEM) == f"{bomb}include:\n- local: /x.yml\n"


def test_words_at_the_top() -> None:
    text = "stages: [a, b]\nother: !reference [x, y]\ninclude: x\njob: {script: [c]}\nmore: [[d], e, {f: g}]\n"
    assert words(text) == {"stages": ["a", "b"], "other": [], "include": [], "job": [], "more": ["e"]}
