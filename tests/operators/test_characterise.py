from __future__ import annotations

from dataclasses import replace

import pytest

from operators.characterise import DIFFERS, Characterise, in_question, names, place, were
from operators.conversation import prompt
from operators.data import Completion, Covered, Edit, Finding, TooLong, Verdict
from operators.tokens import tokens
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace, shard_of
from tests.operators.scripted import Talks

LABELS = """\
import os


def known():
    return os.sep


def label(name):
    sign = "!"
    return "%s%s" % (name, sign)
"""
AFTER = LABELS.replace('"%s%s" % (name, sign)', 'f"{name}{sign}"')
FILES = {
    "src/app/labels.py": LABELS,
    "src/app/__init__.py": "",
    "tests/test_labels.py": "from app.labels import known\n\n\ndef test_known():\n    assert known()\n",
    "tests/test_other.py": "def test_nothing(): ...\n",
    "docs/example_test.py": "def test_nothing(): ...\n",
}
EDIT = Edit({"src/app/labels.py": AFTER})
SEEN = (Covered("src/app/labels.py", ((10, 10, False),)),)
TEST = "from app.labels import label\n\n\ndef test_label():\n    assert label('a') == 'a!'\n"


def asking(model: Talks | None, ws: Workspace) -> Characterise:
    path = place(ws, shard_of(ws.base, "src/app/labels.py"), "")
    return Characterise(model, path, EDIT, SEEN, "pytest")


def test_the_model_sees_the_untouched_code_and_the_lines_in_question_but_never_the_edit(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace(FILES)
    model = Talks([f"Here it is:\n```python\n{TEST}```"])
    shard = shard_of(ws.base, "src/app/labels.py")
    edit = asking(model, ws).propose(ws, shard, ())
    assert edit
    assert edit.files == {"tests/test_umbau_src_app_labels_2a94c60f.py": TEST}
    assert (edit.tokens_in, edit.tokens_out, edit.trouble) == (100, 10, "")
    rules, task = (message["content"] for message in model.asked[0])
    assert "Write for pytest." in rules
    assert f"src/app/labels.py, to be imported as `app.labels`:\n```python\n{LABELS}```" in task
    assert 'going to be changed:\n```python\n    return "%s%s" % (name, sign)\n```' in task
    assert "tests: tests/test_labels.py, " in task
    assert "from app.labels import known" in task
    assert "{name}{sign}" not in task


def test_it_is_reminded_of_its_attempts_as_far_as_there_is_room(workspace: MakeWorkspace) -> None:
    ws = workspace(FILES)
    shard, model = shard_of(ws.base, "src/app/labels.py"), Talks(["```\nx\n```"])
    past = [
        Verdict(Edit({}, said=f"{word} " * 200), (Finding("pinned", f"no {word}"),)) for word in ("first", "second")
    ]
    asking(model, ws).propose(ws, shard, past)
    assert [message["role"] for message in model.asked[0]] == ["system", "user", *["assistant", "user"] * 2]
    told = [message["content"] for message in model.asked[0]]
    model.room = tokens("".join([*told[:2], *told[4:]]))
    asking(model, ws).propose(ws, shard, past)
    assert [message["content"][:6] for message in model.asked[1][2:]] == ["second", "pinned"]
    model.room = 100
    with pytest.raises(TooLong, match="cannot be shown in 100 tokens"):
        asking(model, ws).propose(ws, shard, past)
    assert model.attempts == [2, 2]


@pytest.mark.parametrize(
    ("reply", "trouble"),
    [
        ("I would rather not.", "There is no code in the reply"),
        ("```python\n```", "The file is empty."),
        ("```python\nx = 1\n", "is not finished"),
        (Completion("```python\nx = 1\n```", cut=True), "cut at its length limit: write less"),
    ],
)
def test_a_reply_that_is_no_file_is_told_so(workspace: MakeWorkspace, reply: str | Completion, trouble: str) -> None:
    ws = workspace(FILES)
    edit = asking(Talks([reply]), ws).propose(ws, shard_of(ws.base, "src/app/labels.py"), ())
    assert edit and trouble in edit.trouble


def test_when_nobody_is_asked(workspace: MakeWorkspace) -> None:
    ws = workspace(FILES)
    shard, differs = shard_of(ws.base, "src/app/labels.py"), Verdict(EDIT, (Finding(DIFFERS, "1 failed"),))
    alone = asking(None, ws).propose(ws, shard, ())
    assert alone and "needs a model" in alone.trouble
    assert asking(None, ws).propose(ws, shard, (differs,)) is None
    assert asking(Talks([""]), ws).propose(ws, shard, (differs,)) is None


def test_what_could_be_shown_by_a_test(workspace: MakeWorkspace) -> None:
    ws = workspace({**FILES, "my-script.py": "x = 1\n", "tests/conftest.py": "x = 1\n"})
    changed = dict.fromkeys(("my-script.py", "tests/conftest.py", "new.py"), "x = 2\n")
    seen = [Covered(name, ((1, 1, False),)) for name in changed]
    assert in_question(ws, Edit(changed), seen) == {}
    assert in_question(ws, EDIT, SEEN) == {"src/app/labels.py": [10]}
    assert in_question(ws, EDIT, [Covered("src/app/labels.py", ((10, 10, True),))]) == {}


@pytest.mark.parametrize(
    ("before", "after", "statement", "lines"),
    [
        ("a\nb\nc\n", "a\nB\nc\n", (2, 2), [2]),
        ("a\nb\nc\nd\n", "a\nB\nC\nd\n", (3, 3), [3]),
        ("a\nb\nc\nd\n", "a\nBC\nd\n", (2, 2), [2, 3]),
        ("a\nb\n", "a\nnew\nb\n", (2, 2), [2]),
        ("a\n", "a\nnew\n", (2, 2), [1]),
        ("a\nb\nc\n", "new\na\nb\nC\n", (4, 4), [3]),
        ("a\nb\n", "A\nb\n", (2, 2), []),
    ],
)
def test_what_a_statement_was_before(before: str, after: str, statement: tuple[int, int], lines: list[int]) -> None:
    assert were(before, after, statement) == lines


def test_where_a_test_stands(workspace: MakeWorkspace) -> None:
    ws = workspace(FILES)
    shard = shard_of(ws.base, "src/app/labels.py")
    assert place(ws, shard, "") == "tests/test_umbau_src_app_labels_2a94c60f.py"
    kept = place(ws, shard, "tests/kept/test_{name}.py")
    assert kept == "tests/kept/test_src_app_labels_2a94c60f.py"
    there = ws.over(Edit({kept: "", kept.replace(".py", "_2.py"): ""}))
    assert place(there, shard, "tests/kept/test_{name}.py") == kept.replace(".py", "_3.py")
    other = replace(shard, paths=("src/app_labels.py",))
    assert place(ws, other, "") != place(ws, shard, ""), "two shards never share a test"
    assert place(workspace({"app.py": ""}, "bare"), shard, "") == "test_umbau_src_app_labels_2a94c60f.py"


def test_by_which_names_a_module_is_imported(workspace: MakeWorkspace) -> None:
    ws = workspace(FILES)
    assert names(ws, "src/app/labels.py") == ["app.labels", "src.app.labels"]
    assert names(ws, "src/app/__init__.py") == ["app", "src.app"]
    assert names(ws, "setup.cfg") == names(ws, "my-script.py") == []


def test_of_a_long_file_only_what_is_around_the_lines_is_shown(workspace: MakeWorkspace) -> None:
    long = LABELS + "".join(f"\n\ndef more_{number}():\n    return {number}\n" for number in range(60))
    ws = workspace({**FILES, "src/app/labels.py": long})
    model = Talks(["```\nx\n```"])
    edit = Edit({"src/app/labels.py": long.replace('"%s%s" % (name, sign)', 'f"{name}{sign}"')})
    replace(asking(model, ws), edit=edit).propose(ws, shard_of(ws.base, "src/app/labels.py"), ())
    task = model.asked[0][1]["content"]
    assert "import os\n\n\ndef label(name):" in task
    assert "more_1" not in task and "def known" not in task


def test_what_it_is_told_for_unittest() -> None:
    rules = prompt("pin.j2", runner="unittest")
    assert "Write for unittest." in rules and "pytest" not in rules
