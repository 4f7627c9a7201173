from __future__ import annotations

from dataclasses import replace

import pytest

from operators.data import Completion, Edit, Finding, Shard, Skip, Span, Verdict
from operators.piecewise import BY_ITSELF, Piecewise
from operators.refine import judged, refine
from operators.rewrite import NEEDS_MODEL
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace, shard_of
from tests.operators.scripted import Talks

HITS = r"self\.assert"
TEXT = """\
import unittest


class TestA(unittest.TestCase):
    def test_a(self):
        self.assertEqual(f(1), 2)
        self.assertTrue(
            f(2)
        )

    def test_b(self):
        x = 1
"""


def method(ws: Workspace, first: int, last: int) -> Shard:
    return replace(shard_of(ws.base, "a.py"), spans=(Span("a.py", "TestA.test", first, last),))


def propose(model: Talks, ws: Workspace, shard: Shard, *past: Verdict) -> Edit:
    edit = Piecewise("Do it.", model, (("a", "b"),), HITS).propose(ws, shard, past)
    assert edit
    return edit


def test_a_model_of_one_task_is_shown_each_statement_and_nothing_else(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    model = Talks(["assert f(1) == 2", "import pytest\nassert f(2)"], bare=True)
    edit = propose(model, ws, method(ws, 5, 9))
    assert [message["content"] for (message,) in model.asked] == [
        "self.assertEqual(f(1), 2)",
        "self.assertTrue(\n    f(2)\n)",
    ]
    assert edit.files["a.py"] == TEXT.replace("self.assertEqual(f(1), 2)", "assert f(1) == 2").replace(
        "self.assertTrue(\n            f(2)\n        )", "assert f(2)"
    ).replace("import unittest\n", "import unittest\n\nimport pytest\n")
    assert (edit.tokens_in, edit.tokens_out, edit.trouble) == (200, 20, "")
    assert edit.said == "assert f(1) == 2\nimport pytest\nassert f(2)"


def test_a_model_of_one_task_is_shown_every_other_time_what_is_on_several_lines_on_one(
    workspace: MakeWorkspace,
) -> None:
    ws = workspace({"a.py": TEXT})
    model = Talks(["assert f(2)"], bare=True)
    failed = Verdict(Edit({}), (Finding("keeps", "2 is gone"),))
    edits = [propose(model, ws, method(ws, 7, 9), *[failed] * attempt) for attempt in range(3)]
    shown = [message["content"] for (message,) in model.asked]
    assert shown == ["self.assertTrue(\n    f(2)\n)", "self.assertTrue(f(2))", "self.assertTrue(\n    f(2)\n)"]
    assert len({edit.files["a.py"] for edit in edits}) == 1


def test_other_models_are_told_the_task_and_what_was_found(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    model = Talks(["```python\nassert f(1) == 2\n```", "```\nassert f(2)\n```"])
    past = Verdict(Edit({}), (Finding("tests", "f(1) is 3"),))
    edit = propose(model, ws, method(ws, 5, 9), past)
    assert "assert f(1) == 2\n        assert f(2)\n" in (edit.files["a.py"] or "")
    (system, user), _ = model.asked
    assert "Do it." in system["content"]
    assert "one statement at a time" in system["content"]
    assert "NO CHANGE NEEDED" not in system["content"]
    assert user["content"].startswith("```python\nself.assertEqual(f(1), 2)\n```")
    assert user["content"].endswith("tests:\n```text\nf(1) is 3\n```\n\nMend this. Answer in the same form.")


@pytest.mark.parametrize(
    ("reply", "trouble"),
    [
        ("", "a.py:6: the reply was empty."),
        (Completion("assert f(", 1, 1, cut=True), "a.py:6: the reply was cut at its length limit."),
        ("self.assertEqual(f(1), 2)", "the reply still holds what is to go: self.assertEqual(f(1), 2)."),
    ],
)
def test_a_reply_of_no_use_is_told_and_the_others_stay(
    workspace: MakeWorkspace, reply: str | Completion, trouble: str
) -> None:
    ws = workspace({"a.py": TEXT})
    edit = propose(Talks([reply, "assert f(2)"], bare=True), ws, method(ws, 5, 9))
    assert trouble in edit.trouble
    assert "assert f(2)" in (edit.files["a.py"] or "")
    assert "self.assertEqual(f(1), 2)" in (edit.files["a.py"] or "")


@pytest.mark.parametrize(
    ("reply", "new"),
    [
        ("assert f(1) == 2", "assert f(1) == 2\n"),
        ("Here it is:\n\n```python\nassert f(1) == 2\n```\nIt compares.", "assert f(1) == 2\n"),
        ("````\nassert f(1) == '```'\n````", "assert f(1) == '```'\n"),
        ("```\r\nassert f(1)\r\n```\r\n", "assert f(1)\n"),
        ("```\n    with a:\n        f(1)\n```", "with a:\n            f(1)\n"),
        ("```\nassert f(1)  # was self.assertEqual\n```", "assert f(1)  # was self.assertEqual\n"),
        ("```python\n```", "a.py:6: the reply was empty."),
        ("```\na\n```\n```\nb\n```", "a.py:6: the reply holds several pieces of code: answer with one."),
    ],
)
def test_replies_as_models_write_them(workspace: MakeWorkspace, reply: str, new: str) -> None:
    ws = workspace({"a.py": TEXT})
    edit = propose(Talks([reply]), ws, method(ws, 6, 6))
    assert edit.trouble == ("" if new.endswith("\n") else new)
    if not edit.trouble:
        assert edit.files["a.py"] == TEXT.replace("self.assertEqual(f(1), 2)\n", new)


def test_a_model_may_say_that_nothing_has_to_change(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    edit = propose(Talks(["```\nself.assertEqual(f(1), 2)\n```", "```\nassert f(2)\n```"]), ws, method(ws, 5, 9))
    assert not edit.trouble
    assert edit.notes == ("a.py:6: the model left this as it is.",)
    assert "assert f(2)" in (edit.files["a.py"] or "")


def test_a_reply_that_does_not_parse_is_left_to_the_checks(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    edit = propose(Talks(["assert f(", "assert f(2)"], bare=True), ws, method(ws, 5, 9))
    assert not edit.trouble
    assert "        assert f(\n" in (edit.files["a.py"] or "")


def test_nothing_to_ask_is_nothing_to_change(workspace: MakeWorkspace) -> None:
    ws, model = workspace({"a.py": TEXT}), Talks(["x"])
    operator = Piecewise("Do it.", model, (), HITS)
    assert operator.waits
    assert operator.propose(ws, method(ws, 11, 12), ()) is None
    assert not model.asked


def test_without_a_model_what_is_left_is_trouble(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    operator = Piecewise("Do it.", None, (), HITS)
    assert not operator.waits
    assert operator.propose(ws, method(ws, 5, 9), ()) == Edit({}, trouble=NEEDS_MODEL)
    assert operator.propose(ws, method(ws, 5, 9), (Verdict(Edit({}), ()),)) is None


LEFT = 'def f(self):\n    self.assertEqual(x, """\nleft""")\n'


def test_a_piece_that_cannot_be_asked_for_is_told_and_harms_no_other(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": LEFT + "    self.assertTrue(x)\n    self.assertTrue(y)\n"})
    model = Talks([Skip("too long"), "assert y"], bare=True)
    edit = propose(model, ws, shard_of(ws.base, "a.py"))
    assert edit.notes == (f"a.py:2: {BY_ITSELF}.", "a.py:4: too long.")
    assert edit.files == {"a.py": LEFT + "    self.assertTrue(x)\n    assert y\n"}
    assert (edit.trouble, edit.tokens_in) == ("", 100)


def test_where_no_piece_can_be_asked_for_the_shard_is_skipped(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": LEFT})
    with pytest.raises(Skip, match=f"a.py:2: {BY_ITSELF}"):
        Piecewise("Do it.", Talks(["x"]), (), HITS).propose(ws, shard_of(ws.base, "a.py"), ())


def test_after_a_fresh_start_another_model_is_shown_the_pieces(workspace: MakeWorkspace) -> None:
    ws = workspace({"test_a.py": TEXT})
    own, other = Talks([""], bare=True), Talks([""])
    piecewise = Piecewise("Use asserts.", own, hits="self.assert", fallback=other)
    outcome = refine(
        ws, shard_of(ws.base, "test_a.py"), piecewise, lambda ws, shard, edit: judged(ws, shard, edit, []), attempts=9
    )
    assert (len(outcome.verdicts), outcome.status) == (6, "rejected")
    assert {len(messages) for messages in own.asked} == {1}, "nothing but the code"
    assert {len(messages) for messages in other.asked} == {2}
    assert set(own.attempts) == {0, 1, 2, 3} and set(other.attempts) == {4, 5}


def test_a_model_that_got_stuck_is_told_so(workspace: MakeWorkspace) -> None:
    ws = workspace({"test_a.py": TEXT})
    edit = Piecewise(
        "Use asserts.", Talks([Completion("assert x\n" * 99, 5, 5, cut=True)]), hits="self.assert"
    ).propose(ws, shard_of(ws.base, "test_a.py"), ())
    assert edit and "cut at its length limit: it said 'assert x' again and again." in edit.trouble
