from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.fences import whole
from operators.reply import EXPLAINED, MOST, blocks, spoken

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
    end = end if end in text else "\n"
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
        ("a\nold = 1\r\nb\nc\n", block("old = 1", "new = 1"), "a\nnew = 1\r\nb\nc\n"),
        ("a\nold = 1\r\nb\nc\n", block("old = 1", "new = 1\nmore = 1"), "a\nnew = 1\r\nmore = 1\r\nb\nc\n"),
        ("a\nb = 1\r\nc\n", block("b = 1\nc", "b = 1\nmore = 1\nc"), "a\nb = 1\r\nmore = 1\r\nc\n"),
        ("a\r\nb\r\nc\nd\r\n", block("c", "first\nc"), "a\r\nb\r\nfirst\r\nc\nd\r\n"),
        ("a\r\nb\r\nlast", block("last", "last\nmore"), "a\r\nb\r\nlast\r\nmore"),
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


@pytest.mark.parametrize("end", [">>>>>>>", ">>>>>>"])
def test_code_may_hold_a_bare_end_of_a_block_where_the_word_follows(end: str) -> None:
    text = f"y = '''\n{end}\n'''\nz = 1"
    applied = blocks(block("x = 1", text) + block("text", "more text"), {"a.py": TITLED})
    assert (applied.texts, applied.trouble) == (
        {"a.py": TITLED.replace("x = 1", text).replace("text", "more text")},
        "",
    )


@pytest.mark.parametrize("reply", [F + "more\n>>>>>>> REPLACE\n", ">>>>>>> REPLACE\n" + F, F + ">>>>>>>\n"])
def test_an_end_that_ends_no_block_is_told(reply: str) -> None:
    applied = blocks(reply, ONE)
    assert applied.texts == {"a.py": DONE}
    assert applied.trouble.endswith(
        "There is a >>>>>>> REPLACE without a <<<<<<< SEARCH. What stands above it was left out."
    )


DRAFT = block("    return x\n\n\ndef g(x):", "    return 'draft'\n\n\ndef g(x):")


@pytest.mark.parametrize("end", ["</think>", "[/THINK]", "No wait.</think>", "  </think>"])
@pytest.mark.parametrize("begin", ["", "<think>\n", "One.\n</think>\n"])
def test_what_is_only_thought_aloud_is_not_applied(begin: str, end: str) -> None:
    for draft in (DRAFT, DRAFT.partition(">>>")[0]):
        applied = blocks(f"{begin}Maybe:\n{draft}No wait.\n{end}\n{F}", ONE)
        assert (applied.texts, applied.trouble) == ({"a.py": DONE}, "")
    assert spoken(f"{begin}{DRAFT}\n{end}\nNothing.") == ["Nothing."]


def test_an_end_of_a_thought_in_the_code_or_behind_it_hides_nothing() -> None:
    about = block("import os", "import os\n\nEND = '''\n</think>\n'''")
    done = DONE.replace("import os", "import os\n\nEND = '''\n</think>\n'''")
    for reply in (about + F, F + about, F + about + "\n</think>\n"):
        applied = blocks(reply, ONE)
        assert (applied.texts, applied.trouble) == ({"a.py": done}, "")


SHORTENED = [
    "# ... existing code ...",
    "# ... rest of the code unchanged ...",
    "    # … same as before",
    "# rest of code unchanged",
    "# The rest of the file remains unchanged.",
    "return x  # ... remaining lines",
    "// ... existing code ...",
    "<!-- ... rest of the page ... -->",
]


@pytest.mark.parametrize("line", SHORTENED)
def test_code_that_was_shortened_is_not_applied(line: str) -> None:
    reply = F + block("def g(x):\n    return x", f"def g(x: int):\n{line}")
    applied = blocks(reply, ONE)
    assert applied.texts == {"a.py": DONE}
    assert f"Block 2 (a.py): `{line.strip()}` stands for code that was left out. Write every line." in applied.trouble


@pytest.mark.parametrize("line", ["...", "x = 1  # the same", "# see the existing code", "print('...')  # rest"])
def test_dots_and_such_words_alone_are_code(line: str) -> None:
    assert blocks(block("import os", line), ONE).texts == {"a.py": TEXT.replace("import os", line)}


def test_what_looks_shortened_and_stood_there_before_may_stay() -> None:
    text = "x = 1\n# ... existing code ...\n"
    applied = blocks(block(text.strip(), text.strip().replace("x = 1", "x = 2")), {"a.py": text})
    assert (applied.texts, applied.trouble) == ({"a.py": text.replace("x = 1", "x = 2")}, "")


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


LONG = {"a.py": "".join(f"    value_{number} = compute({number}, 'abc')\n" for number in range(20_000))}


@pytest.mark.parametrize("named", ["a.py", ""])
def test_a_block_that_is_said_again_and_again_is_looked_for_once(named: str) -> None:
    start = time.process_time()
    applied = blocks(block("    value_x = compute(1, 2, 'abc')\n    q = 2", "x", named) * 100, LONG)
    assert time.process_time() - start < 5
    assert applied.trouble.count("Block") == 1


def test_many_blocks_that_miss_are_not_all_explained() -> None:
    start = time.process_time()
    applied = blocks("".join(block(f"    value = compute({number})", "x") for number in range(MOST + 1)), LONG)
    assert time.process_time() - start < 10
    assert applied.trouble.count("SEARCH matches nothing exactly. The nearest") == EXPLAINED
    assert applied.trouble.count("SEARCH matches nothing exactly.") == MOST
    assert applied.trouble.endswith(f"Blocks after the first {MOST} were not looked at. Send them now.")


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
