from __future__ import annotations

import pytest

from operators.fences import whole
from operators.reply import Applied

TEXT = "import os\n\n\ndef f(x):\n    return x\n\n\ndef g(x):\n    return x\n"
DONE = TEXT.replace("def f(x):\n    return x", "def f(x):\n    return 2 * x")
ONE = {"a.py": TEXT}
TWO = {"a.py": TEXT, "pkg/b.py": "b = 1\nsame = 1\n"}


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


# What stands around the code


@pytest.mark.parametrize(
    "after",
    [
        "docs/b.md\n```\nother\n```\n",
        "\nRun:\n\n```\npython a.py\n```\n",
        "\nRun:\n\n```bash\npython a.py\n```\nOutput:\n```\n3\n```\n",
        "That is all.\n",
    ],
)
def test_what_follows_the_code_is_not_part_of_it(after: str) -> None:
    for info in ("", "python"):
        applied = whole(f"a.py\n```{info}\n{DONE}```\n{after}", ONE)
        assert applied.texts == {"a.py": DONE}
        assert applied.trouble == ("docs/b.md is not yours to change. Yours: a.py." if "docs" in after else "")


def test_the_only_code_may_be_followed_by_how_to_run_it() -> None:
    applied = whole(fenced(DONE, "") + "Run:\n```bash\npytest\n```\n", ONE)
    assert (applied.texts, applied.trouble) == ({"a.py": DONE}, "")
    applied = whole(fenced(DONE, "") + "Or:\n" + fenced(TEXT, ""), ONE)
    assert (applied.texts, applied.trouble) == ({}, "Which file is this? Put its path on the line above the ``` fence.")


DOCS = {"a.md": "Title\n\n```\nrun\n```\n"}


def test_a_file_that_holds_fences_itself_ends_where_that_is_clear() -> None:
    new = DOCS["a.md"].replace("run", "walk")
    unclear = "a.md holds fences itself, where does it end? Put it into ```` fences."
    assert whole(f"a.md\n````\n{new}````\nThat was it:\n```\nx\n```\n", DOCS).texts == {"a.md": new}
    applied = whole(f"a.md\n```\n{new}```\n", DOCS)
    assert (applied.texts, applied.trouble) == ({}, unclear)
    listed = new.replace("```\nwalk", "```sh\nwalk")
    assert whole(f"a.md\n```\n{listed}```\n", DOCS).texts == {"a.md": listed}


def test_what_is_only_thought_aloud_is_not_taken() -> None:
    reply = f"{fenced('x = 1')}\nNo wait.\n</think>\n{fenced(DONE)}"
    assert whole(reply, ONE).texts == {"a.py": DONE}


def test_a_first_line_that_is_only_the_path_is_dropped() -> None:
    for line in ("# a.py", "a.py", "# ./a.py", "// a.py", "/* a.py */"):
        assert whole(fenced(f"{line}\n{DONE}"), ONE).texts == {"a.py": DONE}
    kept = f"# a.py\n{TEXT}"
    assert whole(fenced(f"# a.py\n{DONE}"), {"a.py": kept}).texts == {"a.py": f"# a.py\n{DONE}"}


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        ("\n\nx = 1\n\n\n", "x = 1\n", None),
        ("\n\nx = 1\n\n\n", "\nx = 1\n\n", None),
        ("\n\nx = 1\n\n\n", "x = 2\n", "\n\nx = 2\n\n\n"),
        ("\r\nx = 1\r\n\r\n", "x = 2\n", "\r\nx = 2\r\n\r\n"),
        ("\n\nx = 1", "x = 2\n", "\n\nx = 2"),
        ("\n", "x = 1\n", "x = 1\n"),
        ("", "x = 1\n\n", "x = 1\n\n"),
        ("x = 1\n", "x = 1\n\n\n", None),
        ("a\nold = 1\r\nb\nc\n", "a\nnew = 1\nmore = 1\nb\nc\n", "a\nnew = 1\r\nmore = 1\r\nb\nc\n"),
        ("a\r\nb\nc\n", "a\nmore\nb\nc\n", "a\r\nmore\r\nb\nc\n"),
    ],
)
def test_blank_lines_at_both_ends_and_line_endings_are_the_files_own(before: str, said: str, after: str | None) -> None:
    applied = whole(fenced(said), {"a.py": before})
    assert (applied.texts, applied.trouble) == ({"a.py": after} if after is not None else {}, "")


# Less than the whole file


@pytest.mark.parametrize(
    ("reply", "trouble"),
    [
        (
            fenced(DONE) + "This changes `a.py`:\n```python\nreturn 2 * x\n```\n",
            "There are 2 fences for a.py, of which none was taken. Send the whole file, once.",
        ),
        (fenced(""), "The code of a.py is empty. Send the whole file."),
        (fenced("\n\n"), "The code of a.py is empty. Send the whole file."),
        (
            fenced("def f(x):\n    return g(2 * x)\n"),
            "a.py: g would be gone. Send the whole file; what has to go is named below it, as in `Removed: g`.",
        ),
        (
            fenced("# g stays\ndef h(x):\n    return x\n"),
            "a.py: f, g would be gone. Send the whole file; what has to go is named below it, as in `Removed: f`.",
        ),
        (
            fenced("import os\n\n\ndef f(x):\n    return 2 * x\n\n\n# ... rest of the code unchanged ...\n"),
            "a.py: `# ... rest of the code unchanged ...` stands for code that was left out. Send the whole file.",
        ),
    ],
)
def test_a_part_of_a_file_is_not_taken_for_it(reply: str, trouble: str) -> None:
    applied = whole(reply, ONE)
    assert (applied.texts, applied.trouble) == ({}, trouble)


@pytest.mark.parametrize(
    "new",
    [
        TEXT.replace("def g(", "def h("),
        TEXT.replace("def g(x):\n    return x\n", "g = f\n"),
        "from os import g\n" + TEXT.partition("\n\ndef g")[0],
        TEXT.replace("def g(", "class g("),
    ],
)
def test_names_may_be_changed_and_bound_in_other_ways(new: str) -> None:
    assert whole(fenced(new), ONE) == Applied({"a.py": new})


def test_what_is_said_to_be_removed_may_go() -> None:
    new = TEXT.partition("def g")[0].rstrip() + "\n"
    for said in ("Removed: g", "`Removed: g`.", "- removed: f2, g"):
        assert whole(f"{fenced(new)}\n{said}\n", ONE) == Applied({"a.py": new})
