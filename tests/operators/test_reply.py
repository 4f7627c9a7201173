from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.reply import blocks, whole

TEXT = "import os\n\n\ndef f(x):\n    return x\n\n\ndef g(x):\n    return x\n"
ONE = {"a.py": TEXT}
TWO = {"a.py": TEXT, "pkg/b.py": "b = 1\nsame = 1\n"}


def block(search: str, replace: str, path: str = "a.py") -> str:
    lines = [path, "<<<<<<< SEARCH", *([search] if search else []), "=======", *([replace] if replace else [])]
    return "\n".join([*lines, ">>>>>>> REPLACE"]) + "\n"


F = block("def f(x):\n    return x", "def f(x):\n    return 2 * x")
DONE = TEXT.replace("def f(x):\n    return x", "def f(x):\n    return 2 * x")

ends = st.sampled_from(["\n", "\r\n"])
words = st.text(alphabet="ab =#<>`", max_size=6)


@given(st.data(), ends, st.booleans())
def test_disjoint_replacements_of_lines_that_are_there_once_are_applied_exactly(
    data: st.DataObject, end: str, final: bool
) -> None:
    count = data.draw(st.integers(1, 12))
    lines = [f"{data.draw(words)} line {number}" for number in range(count)]
    text = end.join(lines) + (end if final else "")
    expected, reply, at = [], "Here you are.\n\n", 0
    while at < count:
        size = data.draw(st.integers(0, min(3, count - at)))
        if size and data.draw(st.booleans()):
            new = [f"{data.draw(words)} new {number}" for number in range(data.draw(st.integers(0, 3)))]
            reply += block("\n".join(lines[at : at + size]), "\n".join(new)) + data.draw(
                st.sampled_from(["", "\nThen:\n"])
            )
            expected += new
        else:
            size = max(size, 1)
            expected += lines[at : at + size]
        at += size
    applied = blocks(reply, {"a.py": text})
    after = end.join(expected) + (end if final and expected else "")
    if "SEARCH" not in reply:
        assert applied.texts == {}
        return
    assert applied.trouble == ""
    assert applied.texts == {"a.py": after}


@pytest.mark.parametrize(
    "reply",
    [
        F,
        f"Sure, here is the change:\n\n{F}\nThat should do.",
        F.replace("\n", "\r\n"),
        F.replace("a.py\n", "`a.py`\n"),
        F.replace("a.py\n", "### a.py\n"),
        F.replace("a.py\n", "**a.py**\n"),
        F.replace("a.py\n", "File: a.py\n"),
        F.replace("a.py\n", "./a.py\n"),
        F.replace("a.py\n", "a.py:\n\n"),
        F.replace("a.py\n", "a.py\n```python\n") + "```\n",
        F.replace("a.py\n", "```python\na.py\n") + "```\n",
        F.replace("a.py\n", "```python a.py\n") + "```\n",
        F.replace("a.py\n", ""),
        F.replace("a.py\n", "# the first function\n"),
        F.replace("<<<<<<< SEARCH", "<<<<<< SEARCH").replace(">>>>>>> REPLACE", ">>>>>> REPLACE"),
        F.replace("<<<<<<< SEARCH", "<<<<<<<< SEARCH").replace(">>>>>>> REPLACE", ">>>>>>>> REPLACE"),
        F.replace("<<<<<<< SEARCH", "<<<<<<<SEARCH").replace(">>>>>>> REPLACE", ">>>>>>>REPLACE"),
        F.replace("<<<<<<< SEARCH", "<<<<<<< SEARCH a.py").replace(">>>>>>> REPLACE", ">>>>>>> REPLACE a.py"),
        F.replace("<<<<<<< SEARCH", "<<<<<<< search").replace(">>>>>>> REPLACE", ">>>>>>> replace"),
        F.replace("=======", "======= "),
        F.replace("=======", "========"),
        F.replace("SEARCH\n", "SEARCH\n```python\n")
        .replace("=======", "```\n=======\n```python")
        .replace("\n>>>", "\n```\n>>>"),
        F.removesuffix("\n"),
        F + F,
        "<think>\nNo block yet.\n</think>\n" + F,
    ],
)
def test_a_block_is_understood_however_it_is_dressed(reply: str) -> None:
    applied = blocks(reply, ONE)
    assert applied.trouble == ""
    assert applied.texts == {"a.py": DONE}


@pytest.mark.parametrize(
    ("text", "reply", "after"),
    [
        ("", block("", "x = 1"), "x = 1\n"),
        ("x = 1\ny = 2\n", block("x = 1", ""), "y = 2\n"),
        ("x = 1", block("x = 1", "y = 2\nz = 3"), "y = 2\nz = 3"),
        ("x = 1\r\ny = 2\r\n", block("x = 1", "z = 3"), "z = 3\r\ny = 2\r\n"),
        ("x = 1\ny = 2\r\nz = 3\r\n", block("y = 2", "y = 2\nnew = 1"), "x = 1\ny = 2\r\nnew = 1\r\nz = 3\r\n"),
        ("x = 1\ny = 2\r\nlast = 3", block("y = 2\nlast = 3", ""), "x = 1"),
        ("x = 1\n\x0c\ny = 2\n", block("\x0c\ny = 2", "\x0c\ny = 3"), "x = 1\n\x0c\ny = 3\n"),
        ("x = 1\n", block("x = 1", "x = 1\n"), "x = 1\n\n"),
        ("x = 1\n", block("x = 1", "x = '\\u2028'"), "x = '\\u2028'\n"),
        ("a\nb\na\nc\n", block("a\nc", "d"), "a\nb\nd\n"),
        ("a\nb\nc\n", block("a", "x\na") + block("c", "c\ny"), "x\na\nb\nc\ny\n"),
        ("a\nb\nc\n", block("b", "x") + block("a", "y"), "y\nx\nc\n"),
    ],
)
def test_texts_keep_their_endings(text: str, reply: str, after: str) -> None:
    applied = blocks(reply, {"a.py": text})
    assert (applied.texts, applied.trouble) == ({"a.py": after}, "")


TITLED = '"""\nTitle\n=======\ntext\n"""\nx = 1\n'


@pytest.mark.parametrize(
    ("search", "replace"),
    [
        ("Title\n=======\ntext", "Title\n=======\nmore text"),
        ("Title\n=======", "Name\n======="),
        ("text\n", "=======\ntext\n".strip()),
        ("x = 1", "y = '''\n=======\n'''"),
        ("=======", "-------"),
    ],
)
def test_code_may_hold_a_line_of_equal_signs(search: str, replace: str) -> None:
    applied = blocks(block(search.strip(), replace), {"a.py": TITLED})
    assert applied.trouble == ""
    assert applied.texts == {"a.py": TITLED.replace(search.strip(), replace)}


def test_several_files_are_told_apart_by_their_paths() -> None:
    applied = blocks(F + block("b = 1", "b = 2", "pkg/b.py"), TWO)
    assert applied.trouble == ""
    assert applied.texts == {"a.py": DONE, "pkg/b.py": "b = 2\nsame = 1\n"}


def test_a_block_without_a_path_is_looked_for_in_every_file() -> None:
    applied = blocks(block("b = 1", "b = 2", "Then:"), TWO)
    assert applied.texts == {"pkg/b.py": "b = 2\nsame = 1\n"}


def test_a_block_without_a_path_belongs_to_the_file_of_the_block_before_it() -> None:
    texts = {"a.py": "x = 1\nsame = 1\n", "b.py": "y = 1\nsame = 1\n"}
    applied = blocks(block("y = 1", "y = 2", "b.py") + block("same = 1", "same = 2", ""), texts)
    assert applied.trouble == ""
    assert applied.texts == {"b.py": "y = 2\nsame = 2\n"}


NO_BLOCK = "There is no SEARCH/REPLACE block in the reply. Answer with such blocks only."


@pytest.mark.parametrize(
    ("reply", "trouble"),
    [
        ("Sure! I have made the change.", NO_BLOCK),
        ("", NO_BLOCK),
        ("```python\n" + DONE + "```", NO_BLOCK),
        ("--- a/a.py\n+++ b/a.py\n@@ -4,2 +4,2 @@\n-    return x\n+    return 2 * x\n", NO_BLOCK),
        ("=======\n>>>>>>> REPLACE\n", NO_BLOCK),
        (
            "a.py\n<<<<<<< SEARCH\ndef f(x):\n=======\ndef f(y):\n",
            "Block 1 (a.py): It is not finished: its >>>>>>> REPLACE is missing. Send it again, whole.",
        ),
        (
            "a.py\n<<<<<<< SEARCH\ndef f(x):\n>>>>>>> REPLACE\n",
            "Block 1 (a.py): It has no ======= line between what to find and what to put there.",
        ),
        (
            block("    return x", "    return y"),
            "Block 1 (a.py): SEARCH matches 2 places (lines 5, 9). Add lines around it until it is unique.",
        ),
        (
            block("def f( x ):\n    return x", "def f(y):\n    return y"),
            "Block 1 (a.py): SEARCH matches nothing exactly. The nearest, from line 4, is:\n"
            "```\ndef f(x):\n    return x\n```",
        ),
        (
            block("def f(x):\n  return x", "def f(y):\n  return y"),
            "Block 1 (a.py): SEARCH matches nothing exactly. The nearest, from line 4, is:\n"
            "```\ndef f(x):\n    return x\n```",
        ),
        (
            block("class Something:\n    pass", "pass"),
            "Block 1 (a.py): SEARCH matches nothing, and nothing comes near it. Quote the lines exactly as they stand "
            "in the code.",
        ),
        (
            block("def f(a):\n    return a", "def f(x):\n    return x"),
            "Block 1 (a.py): SEARCH matches nothing, but what it should become is there already. Leave this block out.",
        ),
        (block("", "x = 1"), "Block 1 (a.py): SEARCH is empty. Quote the lines to be replaced."),
        (block("def f(x):", "pass", "b.py"), "Block 1 (b.py): This file is not yours to change. Yours: a.py."),
        (block("root", "x", "/etc/passwd"), "Block 1 (/etc/passwd): This file is not yours to change. Yours: a.py."),
        (block("x", "y", "../a.py"), "Block 1 (../a.py): This file is not yours to change. Yours: a.py."),
    ],
)
def test_what_cannot_be_applied_is_told_in_words_for_the_model(reply: str, trouble: str) -> None:
    applied = blocks(reply, ONE)
    assert applied.texts == {}
    assert applied.trouble == trouble


def test_what_could_be_applied_is_kept_and_said() -> None:
    reply = F + block("def h(x):", "def i(x):") + block("import os", "import re") + "a.py\n<<<<<<< SEARCH\nx\n"
    applied = blocks(reply, ONE)
    assert applied.texts == {"a.py": DONE.replace("import os", "import re")}
    assert applied.trouble.split("\n\n") == [
        "Applied: blocks 1, 3. Do not send what was applied again.",
        "Block 2 (a.py): SEARCH matches nothing exactly. The nearest, from line 4, is:\n```\ndef f(x):\n```",
        "Block 4 (a.py): It is not finished: its >>>>>>> REPLACE is missing. Send it again, whole.",
    ]


def test_blocks_that_overlap_are_told() -> None:
    applied = blocks(F + block("def f(x):", "def f(y):"), ONE)
    assert applied.texts == {"a.py": DONE}
    assert applied.trouble == (
        "Applied: block 1. Do not send what was applied again.\n\n"
        "Block 2 (a.py): It overlaps a block before it: make one block of the two."
    )


def test_several_places_in_several_files_are_told_by_file() -> None:
    texts = {"a.py": "same\n", "b.py": "x\nsame\n"}
    applied = blocks(block("same", "other", ""), texts)
    assert applied.trouble == (
        "Block 1: SEARCH matches 2 places (a.py line 1, b.py line 2). Name the file on the line above the block."
    )


def test_a_marker_that_begins_anew_ends_a_block_that_was_not_finished() -> None:
    applied = blocks("a.py\n<<<<<<< SEARCH\nimport os\n=======\nimport re\n\n" + F, ONE)
    assert applied.texts == {"a.py": DONE}
    assert "Block 1 (a.py): It is not finished" in applied.trouble


def test_a_long_near_miss_is_quoted_in_part_and_found_quickly() -> None:
    lines = [f"    value_{number} = compute({number}, factor={number % 7})" for number in range(6_000)]
    search = "\n".join(lines[2_000:2_600]).replace("value_2300 ", "value_2300  ")
    start = time.process_time()
    applied = blocks(block(search, "pass"), {"a.py": "\n".join(lines) + "\n"})
    assert time.process_time() - start < 5
    assert "The nearest, from line 2001, is:" in applied.trouble
    assert len(applied.trouble) < 2_000


def test_text_that_nobody_would_write_is_answered_quickly() -> None:
    start = time.process_time()
    applied = blocks(block("\n".join(["a" * 80] * 1_500), "x"), {"a.py": "a" * 79 + "\n" + ("a" * 78 + "\n") * 5_000})
    assert time.process_time() - start < 5
    assert applied.texts == {}


@given(st.text(alphabet="ab\n=<> `", max_size=60), st.lists(st.sampled_from([F, "<<<<<<< SEARCH\n", "=======\n"])))
def test_no_reply_is_too_odd(noise: str, parts: list[str]) -> None:
    for protocol in (blocks, whole):
        applied = protocol(noise.join(parts), TWO)
        assert set(applied.texts) <= set(TWO)
        assert applied.texts or applied.trouble


# Whole files


def fenced(text: str, path: str = "a.py", fence: str = "```") -> str:
    return f"{path}\n{fence}python\n{text}{fence}\n"


@pytest.mark.parametrize(
    "reply",
    [
        fenced(DONE),
        f"Here it is:\n\n{fenced(DONE)}\nDone.",
        fenced(DONE, path=""),
        fenced(DONE, path="**a.py**"),
        fenced(DONE, path="File: `a.py`"),
        fenced(DONE, fence="~~~"),
        fenced(DONE, fence="````"),
        fenced(DONE).replace("```python", "```"),
        fenced(DONE).replace("a.py\n```python", "```python a.py"),
        fenced(DONE).replace("\n", "\r\n"),
        "I looked at pkg/other.py too.\n" + fenced(DONE),
    ],
)
def test_a_whole_file_is_understood_however_it_is_dressed(reply: str) -> None:
    applied = whole(reply, ONE)
    assert (applied.texts, applied.trouble) == ({"a.py": DONE}, "")


def test_whole_files_keep_their_endings() -> None:
    applied = whole(fenced("x = 2\ny = 2\n"), {"a.py": "x = 1\r\ny = 2"})
    assert applied.texts == {"a.py": "x = 2\r\ny = 2"}


def test_whole_files_may_hold_fences() -> None:
    text = 'def f():\n    """\n    ```python\n    x\n    ```\n    """\n'
    for texts in ({"a.py": "x\n"}, {"a.py": "x\n", "b.py": "y\n"}):
        assert whole(fenced(text), texts).texts == {"a.py": text}
    both = whole(fenced(text) + fenced(text, "b.py"), {"a.py": "x\n", "b.py": "y\n"})
    assert both.texts == {"a.py": text, "b.py": text}


@pytest.mark.parametrize("last", ["self.run", "a/b", "x.py", "unittest.main", "# a.py"])
def test_the_last_line_of_code_is_not_taken_for_a_path(last: str) -> None:
    applied = whole(fenced(f"x = 1\n{last}\n") + fenced("b = 2\n", "pkg/b.py"), {**TWO, "a.py": "y\n"})
    assert applied.trouble == ""
    assert applied.texts == {"a.py": f"x = 1\n{last}\n", "pkg/b.py": "b = 2\n"}


def test_a_whole_file_that_did_not_change_is_no_edit() -> None:
    assert whole(fenced(TEXT), ONE).texts == {}
    assert whole(fenced(TEXT) + fenced("b = 2\n", "pkg/b.py"), TWO).texts == {"pkg/b.py": "b = 2\n"}


NO_CODE = "There is no code in the reply. Answer with the whole file in a ``` fence."


@pytest.mark.parametrize(
    ("reply", "texts", "trouble"),
    [
        ("Done.", ONE, NO_CODE),
        (DONE, ONE, NO_CODE),
        ("a.py\n```python\ndef f():\n", ONE, "The code of a.py is not finished: its closing ``` is missing."),
        (fenced("x = 1\n", "other.py"), ONE, "other.py is not yours to change. Yours: a.py."),
        (fenced("x = 1\n", "other.py"), TWO, "other.py is not yours to change. Yours: a.py, pkg/b.py."),
        (fenced("x = 1\n", ""), TWO, "Which file is this? Put its path on the line above the ``` fence."),
    ],
)
def test_whole_files_that_cannot_be_taken_are_told(reply: str, texts: dict[str, str], trouble: str) -> None:
    applied = whole(reply, texts)
    assert (applied.texts, applied.trouble) == ({}, trouble)


def test_a_foreign_file_among_others_is_told_and_does_not_spoil_them() -> None:
    applied = whole(fenced(DONE) + fenced("x = 1\n", "other.py") + fenced("b = 2\n", "pkg/b.py"), TWO)
    assert applied.texts == {"a.py": DONE, "pkg/b.py": "b = 2\n"}
    assert applied.trouble == "other.py is not yours to change. Yours: a.py, pkg/b.py."
