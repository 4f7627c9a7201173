from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.attempts import plan
from operators.chain import Chain
from operators.checks.inside import Inside
from operators.checks.parses import Parses
from operators.conversation import NOTHING
from operators.data import Base, Completion, Edit, Finding, Message, Outcome, Shard, Span, Verdict
from operators.refine import judged, refine
from operators.rewrite import NEEDS_MODEL, Rewrite
from operators.source import split
from operators.syntax.cut import cut
from operators.workspace import Workspace
from tests.operators.conftest import MakeWorkspace, shard_of
from tests.operators.scripted import Does, Finds, Talks

TEXT = """\
\"\"\"About.\"\"\"

import os
from tools import old


class A:
    def f(self):
        return old(1)

    def g(self):
        return old(2)


def h():
    return old(3)
"""


def block(search: str, new: str, path: str = "a.py") -> str:
    return f"{path}\n<<<<<<< SEARCH\n{search}\n=======\n{new}\n>>>>>>> REPLACE\n"


def propose(rewrite: Rewrite, ws: Workspace, shard: Shard, past: Sequence[Verdict] = ()) -> Edit:
    edit = rewrite.propose(ws, shard, past)
    assert edit
    return edit


def cut_to(ws: Workspace, name: str, path: str = "a.py") -> Shard:
    span = next(one for one in cut(ws.base_text(path) or "", "old|x", 1) if one[0] == name)
    return replace(shard_of(ws.base, path), spans=(Span(path, *span),))


def roles(messages: Sequence[Message]) -> list[str]:
    return [message["role"] for message in messages]


def test_the_model_is_shown_the_task_then_the_code_then_what_to_do(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT, "tools.py": "def old(x): ...\n"})
    model = Talks([NOTHING])
    rewrite = Rewrite("Use new().", model, examples=(("old(0)\n", "new(0)\n"),))
    propose(rewrite, ws, replace(shard_of(ws.base, "a.py"), context=("tools.py",)))
    system, user = model.asked[0]
    assert system["role"] == "system"
    assert system["content"] == rewrite.system()
    parts = ["SEARCH/REPLACE", NOTHING, "Use new().", "Example 1: before", "old(0)", "Example 1: after", "new(0)"]
    assert [part for part in parts if part not in system["content"]] == []
    assert [system["content"].index(part) for part in parts] == sorted(system["content"].index(part) for part in parts)
    shown = ["tools.py (only to read)", "def old(x): ...", "a.py\n```python", "return old(3)", "Carry out the task"]
    assert [user["content"].index(part) for part in shown] == sorted(user["content"].index(part) for part in shown)


def test_the_system_prompt_is_the_same_for_all_shards(workspace: MakeWorkspace) -> None:
    ws, model = workspace({"a.py": TEXT, "b.py": "x = 1\n"}), Talks([NOTHING])
    for path in ("a.py", "b.py"):
        propose(Rewrite("Use new().", model), ws, shard_of(ws.base, path))
    assert model.asked[0][0] == model.asked[1][0]


def test_blocks_become_an_edit_with_the_words_and_the_tokens(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    reply = block("    return old(3)", "    return new(3)")
    edit = propose(Rewrite("Use new().", Talks([reply])), ws, shard_of(ws.base, "a.py"))
    assert edit == Edit({"a.py": TEXT.replace("old(3)", "new(3)")}, said=reply, tokens_in=100, tokens_out=10)


@pytest.mark.parametrize(
    "reply",
    [
        NOTHING,
        f"{NOTHING}.",
        f"**{NOTHING}**",
        f"```\n{NOTHING}\n```",
        f"{NOTHING}\n\nThe code already uses new().",
        f"I have looked at it:\n\n{NOTHING}",
        f"{block('    return old(3)', '    return new(3)')}\nNo, that is right.\n</think>\n{NOTHING}",
    ],
)
def test_the_model_may_find_nothing_to_change(workspace: MakeWorkspace, reply: str) -> None:
    ws = workspace({"a.py": TEXT})
    edit = propose(Rewrite("Use new().", Talks([reply])), ws, shard_of(ws.base, "a.py"))
    assert (dict(edit.files), edit.trouble) == ({}, "")


@pytest.mark.parametrize(
    ("reply", "trouble"),
    [
        ("", "The reply was empty."),
        ("  \n", "The reply was empty."),
        ("Done!", "There is no SEARCH/REPLACE block in the reply. Answer with such blocks only."),
        (Completion("x", 5, 6, cut=True), "The reply was cut at its length limit. Change less at a time."),
        (block("class B:", "class C:"), "SEARCH matches nothing"),
        (f"{NOTHING}\n{block('class B:', 'class C:')}", "SEARCH matches nothing"),
    ],
)
def test_a_reply_that_cannot_be_used_costs_its_tokens_all_the_same(
    workspace: MakeWorkspace, reply: str | Completion, trouble: str
) -> None:
    ws = workspace({"a.py": TEXT})
    edit = propose(Rewrite("Use new().", Talks([reply])), ws, shard_of(ws.base, "a.py"))
    assert dict(edit.files) == {}
    assert trouble in edit.trouble
    assert edit.tokens_in > 0 < edit.tokens_out


def test_what_could_be_applied_is_kept_for_the_next_attempt(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    shard, model = shard_of(ws.base, "a.py"), Talks([block("    return old(4)", "    return new(4)")])
    model.replies = [
        block("        return old(1)", "        return new(1)") + block("class B:", "class C:"),
        block("        return old(2)", "        return new(2)"),
    ]
    rewrite = Rewrite("Use new().", model)
    first = propose(rewrite, ws, shard)
    assert first.files["a.py"] == TEXT.replace("old(1)", "new(1)")
    assert "Applied: block 1." in first.trouble
    second = propose(rewrite, ws, shard, [judged(ws, shard, first, [])])
    assert second == Edit(
        {"a.py": TEXT.replace("old(1)", "new(1)").replace("old(2)", "new(2)")}, second.said, (), 100, 10
    )
    assert "return new(1)" in model.asked[1][-1]["content"], "it is shown the code as it reads now"
    assert "class B:" not in model.asked[1][-1]["content"]


def test_an_edit_that_is_taken_back_is_no_edit(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    shard = shard_of(ws.base, "a.py")
    past = [Verdict(Edit({"a.py": TEXT.replace("old(3)", "new(3)")}, said="x"), (Finding("tests", "broken"),))]
    reply = block("    return new(3)", "    return old(3)")
    assert dict(propose(Rewrite("p", Talks([reply])), ws, shard, past).files) == {}


replies = st.sampled_from(
    [
        "",
        "Sure!",
        NOTHING,
        block("    return old(3)", "    return new(3)"),
        block("    return new(3)", "    return (new(3)"),
        block("import os", ""),
        block("    return (new(3)", "    return new(3)"),
        "a.py\n```python\nx = 1\n```\n",
    ]
)


@given(st.lists(replies, min_size=2, max_size=5), st.sampled_from(["blocks", "whole"]), st.booleans())
def test_each_prompt_begins_with_the_whole_of_the_one_before_or_anew(
    workspace: MakeWorkspace, said: list[str], protocol: str, symbol: bool
) -> None:
    ws = _shared(workspace)
    shard, model = cut_to(ws, "h") if symbol else shard_of(ws.base, "a.py"), Talks(list(said))
    outcome = refine(
        ws,
        shard,
        Rewrite("Use new().", model, protocol=protocol),  # type: ignore[arg-type]
        lambda ws, shard, edit: judged(ws, shard, edit, [Inside(), Parses(), Finds(["wrong"])]),
        attempts=len(said),
    )
    assert outcome.error == ""
    assert outcome.skipped == "", "what a model wrote is no reason to skip"
    for number, (one, other) in enumerate(zip(model.asked, model.asked[1:], strict=False), 1):
        turn = plan(outcome.verdicts[:number], other=False)
        assert turn
        if not turn.shown:
            assert other == model.asked[0], "a fresh start"
            continue
        before, after = ("".join(message["content"] for message in messages) for messages in (one, other))
        assert after.startswith(before)
        if all(verdict.edit.said for verdict in turn.shown):
            assert other[: len(one)] == one
    for messages in model.asked:
        assert roles(messages)[:2] == ["system", "user"]
        assert all(one != other for one, other in zip(roles(messages), roles(messages)[1:], strict=False))
    assert outcome.tokens == (100 * len(outcome.verdicts), 10 * len(outcome.verdicts))


_made: list[Base] = []


def _shared(workspace: MakeWorkspace) -> Workspace:
    """One repository for all examples of a test."""
    if not _made:
        _made.append(workspace({"a.py": TEXT}).base)
    return Workspace(_made[0])


def test_without_a_model_it_is_said_that_one_is_needed(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    shard = shard_of(ws.base, "a.py")
    outcome = refine(ws, shard, Rewrite("p"), lambda ws, shard, edit: judged(ws, shard, edit, []), attempts=4)
    assert (outcome.status, len(outcome.verdicts)) == ("rejected", 1)
    assert outcome.verdicts[0].findings[0].message == NEEDS_MODEL
    assert "UMBAU_MODEL_URL" in NEEDS_MODEL


def test_where_nothing_is_left_the_model_is_not_asked(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    model, shard = Talks([NOTHING]), shard_of(ws.base, "a.py")
    assert Rewrite("p", model, hits=r"never\(").propose(ws, shard, ()) is None
    assert Rewrite("p", hits=r"never\(").propose(ws, shard, ()) is None
    assert Rewrite("p", model, hits=r"old\(4").propose(ws, cut_to(ws, "h"), ()) is None
    assert Rewrite("p", model, hits=r"old\(1").propose(ws, cut_to(ws, "h"), ()) is None, "that is another symbol's"
    assert model.asked == []
    assert Rewrite("p", model, hits=r"old\(3").propose(ws, cut_to(ws, "h"), ()) is not None


def test_a_shard_without_a_file_left_has_nothing_to_ask(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT}).over(Edit({"a.py": None}))
    assert Rewrite("p", Talks([NOTHING])).propose(ws, shard_of(ws.base, "a.py"), ()) is None


def test_a_symbol_is_shown_with_its_imports_and_headers_alone(workspace: MakeWorkspace) -> None:
    ws, model = workspace({"a.py": TEXT}), Talks([NOTHING])
    propose(Rewrite("p", model), ws, cut_to(ws, "A.g"))
    shown = model.asked[0][1]["content"]
    assert "from tools import old" in shown
    assert "class A:" in shown
    assert "return old(2)" in shown
    assert "old(1)" not in shown
    assert "old(3)" not in shown


def test_a_symbol_changes_only_its_own_lines(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    reply = block("import os", "import re") + block("        return old(2)", "        return new(2)")
    edit = propose(Rewrite("p", Talks([reply])), ws, cut_to(ws, "A.g"))
    assert edit.files == {"a.py": TEXT.replace("old(2)", "new(2)")}
    assert edit.trouble == (
        "a.py: changes near line 3 were left out. Only the code below the imports and the class header is yours to "
        "change; imports may be added."
    )


def test_a_symbol_may_add_imports(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    reply = block("import os", "import os\nimport re") + block("    return old(3)", "    return re.new(3)")
    edit = propose(Rewrite("p", Talks([reply])), ws, cut_to(ws, "h"))
    assert edit.files == {"a.py": TEXT.replace("import os\n", "import os\nimport re\n").replace("old(3)", "re.new(3)")}
    assert edit.trouble == ""


def test_code_behind_an_import_is_not_let_through_with_it(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    reply = block("import os", "import os\nimport re\nprint(re)")
    edit = propose(Rewrite("p", Talks([reply])), ws, cut_to(ws, "h"))
    assert dict(edit.files) == {}
    assert "were left out" in edit.trouble


def finish(ws: Workspace, shard: Shard, model: Talks, attempts: int = 4) -> Outcome:
    checks = [Inside(), Parses()]
    return refine(
        ws, shard, Rewrite("p", model), lambda ws, shard, edit: judged(ws, shard, edit, checks), attempts=attempts
    )


def test_a_syntax_error_in_a_symbol_is_mended_in_the_next_attempt(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    model = Talks(
        [
            block("        return old(2)", "        return new((2)\n"),
            block("        return new((2)\n", "        return new(2)"),
        ]
    )
    outcome = finish(ws, cut_to(ws, "A.g"), model)
    assert (outcome.status, outcome.skipped, outcome.error) == ("accepted", "", "")
    assert outcome.edit
    assert outcome.edit.files == {"a.py": TEXT.replace("old(2)", "new(2)")}
    again = model.asked[1][-1]["content"]
    assert "yntax error on line 12" in again
    assert "return new((2)" in again
    assert "old(1)" not in again


def test_what_would_take_in_the_next_method_is_told_and_mended(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    model = Talks(
        [
            block("        return old(1)", "        return helper(1)\n\ndef helper(x):\n    return x"),
            block("\ndef helper(x):\n    return x", "\n    def helper(x):\n        return x"),
        ]
    )
    outcome = finish(ws, cut_to(ws, "A.f"), model)
    assert outcome.verdicts[0].findings[0].message.startswith("`def g(self):` on line 11 is outside of a.py::A.f")
    assert outcome.edit
    method = "        return helper(1)\n\n    def helper(x):\n        return x\n"
    assert outcome.edit.files == {"a.py": TEXT.replace("        return old(1)\n", method)}


def test_an_import_that_was_added_may_be_taken_back(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    model = Talks(
        [
            block("import os", "import os\nimport unused") + block("    return old(3)", "    return (old(3)"),
            block("import os\nimport unused", "import os") + block("    return (old(3)", "    return new(3)"),
        ]
    )
    outcome = finish(ws, cut_to(ws, "h"), model)
    assert outcome.edit
    assert outcome.edit.files == {"a.py": TEXT.replace("old(3)", "new(3)")}


def test_a_symbol_that_an_earlier_step_moved_is_found(workspace: MakeWorkspace) -> None:
    ws, model = workspace({"a.py": TEXT}), Talks([block("    return old(3)", "    return new(3)")])
    longer = Does(lambda text: text.replace("import os\n", "import os\nimport re\nimport sys\n"))
    edit = Chain((longer, Rewrite("p", model))).propose(ws, cut_to(ws, "h"), ())
    assert edit
    assert edit.files == {"a.py": longer.change(TEXT).replace("old(3)", "new(3)")}
    assert "import sys" in model.asked[0][1]["content"]


def test_several_files_are_shown_and_changed(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT, "b.py": "x = old(1)\n"})
    model = Talks([block("x = old(1)", "x = new(1)", "b.py") + block("    return old(3)", "    return new(3)")])
    edit = propose(Rewrite("p", model), ws, shard_of(ws.base, "a.py", "b.py"))
    assert edit.files == {"a.py": TEXT.replace("old(3)", "new(3)"), "b.py": "x = new(1)\n"}
    assert "these files" in model.asked[0][1]["content"]


@pytest.mark.parametrize(
    "data", [b"", b"x = 1", b"x = 1\r\ny = 2\r\n", "# coding: latin-1\nx = 'ü'\n".encode("latin-1")]
)
def test_whole_files_take_the_place_of_the_old_ones(workspace: MakeWorkspace, data: bytes) -> None:
    ws = workspace({"a.py": data})
    cookie = "# coding: latin-1\n" if b"coding" in data else ""
    model = Talks([f"a.py\n```python\n{cookie}z = 3\n```\n"])
    edit = propose(Rewrite("p", model, protocol="whole"), ws, shard_of(ws.base, "a.py"))
    end = "\r\n" if b"\r\n" in data else "" if data == b"x = 1" else "\n"
    assert edit.files == {"a.py": f"{cookie}z = 3{end}"}
    assert "SEARCH" not in model.asked[0][0]["content"]


def test_a_block_may_fill_an_empty_file(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": ""})
    reply = "a.py\n<<<<<<< SEARCH\n=======\nx = 1\n>>>>>>> REPLACE\n"
    assert propose(Rewrite("p", Talks([reply])), ws, shard_of(ws.base, "a.py")).files == {"a.py": "x = 1\n"}


@pytest.mark.parametrize("ticks", ["", "```", "````"])
def test_code_that_holds_fences_is_shown_in_longer_ones(workspace: MakeWorkspace, ticks: str) -> None:
    text = f"\n{ticks}\nold\n{ticks}\n" if ticks else "\nold\n"
    ws, model = workspace({"a.md": text}), Talks([NOTHING])
    rewrite = Rewrite("p", model, examples=((text, text),), protocol="whole")
    propose(rewrite, ws, shard_of(ws.base, "a.md"))
    fence = f"{ticks}`" if ticks else "```"
    shown = text.strip("\n")
    assert f"a.md\n{fence}python\n{shown}\n{fence}\n" in model.asked[0][1]["content"]
    assert model.asked[0][0]["content"].count(f"\n{fence}python\n{shown}\n{fence}") == 2


def test_a_file_that_is_sent_back_as_it_was_shown_is_no_edit(workspace: MakeWorkspace) -> None:
    ws, model = workspace({"a.py": "\n\nx = 1\n\n\n"}), Talks([NOTHING])
    rewrite, shard = Rewrite("p", model, protocol="whole"), shard_of(ws.base, "a.py")
    propose(rewrite, ws, shard)
    model.replies = [model.asked[0][1]["content"]]
    edit = propose(rewrite, ws, shard)
    assert (dict(edit.files), edit.trouble) == ({}, "")


def test_context_that_cannot_be_read_is_left_out(workspace: MakeWorkspace) -> None:
    ws, model = workspace({"a.py": TEXT, "logo.png": b"\0PNG", "README.md": "hello\n"}), Talks([NOTHING])
    shard = replace(shard_of(ws.base, "a.py"), context=("logo.png", "missing.md", "README.md"))
    propose(Rewrite("p", model), ws, shard)
    assert "README.md (only to read)" in model.asked[0][1]["content"]
    assert "logo.png" not in model.asked[0][1]["content"]


def test_a_template_in_the_code_is_left_as_it_is(workspace: MakeWorkspace) -> None:
    ws, model = workspace({"a.py": "x = '{{ name }} {% if %}'\n"}), Talks([NOTHING])
    propose(Rewrite("Keep {{ braces }}.", model), ws, shard_of(ws.base, "a.py"))
    assert "x = '{{ name }} {% if %}'" in model.asked[0][1]["content"]
    assert "Keep {{ braces }}." in model.asked[0][0]["content"]


def test_lines_of_the_shown_code_are_those_of_the_file(workspace: MakeWorkspace) -> None:
    text = "\n\nx = old(1)\n\x0c\ny = 2"
    ws, model = workspace({"a.py": text}), Talks([block("x = old(1)\n\x0c", "x = new(1)\n\x0c")])
    edit = propose(Rewrite("p", model), ws, shard_of(ws.base, "a.py"))
    assert split(edit.files["a.py"] or "") == ["\n", "\n", "x = new(1)\n", "\x0c\n", "y = 2"]


def test_after_a_fresh_start_another_model_is_asked_and_then_nobody(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    own, other = Talks(["Sure!"]), Talks(["Of course!"])
    rewrite = Rewrite("Use new().", own, fallback=other)
    outcome = refine(
        ws, shard_of(ws.base, "a.py"), rewrite, lambda ws, shard, edit: judged(ws, shard, edit, []), attempts=9
    )
    assert [verdict.edit.said for verdict in outcome.verdicts] == ["Sure!"] * 4 + ["Of course!"] * 2
    assert outcome.status == "rejected"
    assert [roles(messages) for messages in own.asked] == 2 * [
        ["system", "user"],
        ["system", "user", "assistant", "user"],
    ]
    assert other.asked[0] == own.asked[0], "it is not told what the first one said"
    assert own.attempts + other.attempts == [0, 1, 2, 3, 4, 5], "each is drawn with another seed"


def test_a_fresh_start_begins_with_the_code_as_it_was(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    good = block("    return old(3)", "    return new(3)")
    model = Talks([good, block("    return new(3)", "    return newer(3)"), good])
    outcome = refine(
        ws,
        shard_of(ws.base, "a.py"),
        Rewrite("Use new().", model),
        lambda ws, shard, edit: Verdict(edit, () if len(model.asked) == 3 else (Finding("command", "wrong"),)),
        attempts=4,
    )
    assert outcome.edit and outcome.edit.files == {"a.py": TEXT.replace("old(3)", "new(3)")}


def test_a_model_that_got_stuck_is_told_so_and_not_shown_all_of_it(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT})
    good = block("    return old(3)", "    return new(3)")
    model = Talks([Completion("Sure!\n" + "x = new(1)\n" * 900 + "x =", 5, 8192, cut=True), good])
    outcome = refine(
        ws,
        shard_of(ws.base, "a.py"),
        Rewrite("p", model),
        lambda ws, shard, edit: judged(ws, shard, edit, []),
        attempts=2,
    )
    assert outcome.status == "accepted"
    _, _, said, told = model.asked[1]
    assert said["content"] == "Sure!\nx = new(1)"
    assert "was cut at its length limit. It said the same again and again: 'x = new(1)'." in told["content"]
    assert outcome.tokens == (105, 8202)


def shown(model: Talks) -> list[str]:
    said = "".join(message["content"] for message in model.asked[-1])
    return [mark for mark in ("far()", "near()", "other = 1", "old(7)", "return old(3)") if mark in said]


def crowded(workspace: MakeWorkspace) -> tuple[Workspace, Shard, list[tuple[str, str]]]:
    """Two files of context and two examples, of which the second is more like the shard each time; words to fill."""
    filler = "".join(f"# word{number} of no meaning\n" for number in range(100))
    ws = workspace(
        {
            "a.py": TEXT,
            "far.py": f"def far(): ...\n{filler}",
            "near.py": f"from tools import old\n\n\ndef near(): return old(1)\n{filler}",
        }
    )
    examples = [(f"other = 1\n{filler}", "x\n"), (f"from tools import old\n\n\nclass A: f = old(7)\n{filler}", "y\n")]
    return ws, replace(shard_of(ws.base, "a.py"), context=("far.py", "near.py")), examples


@pytest.mark.parametrize(
    ("room", "left"),
    [
        (20_000, ["far()", "near()", "other = 1", "old(7)", "return old(3)"]),
        (10_000, ["near()", "other = 1", "old(7)", "return old(3)"]),
        (7_500, ["other = 1", "old(7)", "return old(3)"]),
        (5_000, ["old(7)", "return old(3)"]),
        (2_500, ["return old(3)"]),
    ],
)
def test_what_is_least_like_the_shard_is_left_out_first(
    workspace: MakeWorkspace, monkeypatch: pytest.MonkeyPatch, room: int, left: list[str]
) -> None:
    monkeypatch.setattr("operators.conversation.fits", lambda text, room: len(text) <= room)
    ws, shard, examples = crowded(workspace)
    model = Talks([NOTHING], room=room)
    propose(Rewrite("p", model, tuple(examples)), ws, shard)
    assert shown(model) == left


PAIRS = (("y = old(5)\n", "y = new(5)\n"), ("return old(6)\n", "return new(6)\n"), ("spam\n", "eggs\n"))
ACCEPTED = tuple(("billing", pair) for pair in PAIRS)


def test_accepted_edits_stand_between_what_is_to_be_read_and_what_is_to_be_changed(workspace: MakeWorkspace) -> None:
    ws, model = workspace({"a.py": TEXT, "tools.py": "def old(x): ...\n"}), Talks([NOTHING])
    rewrite = Rewrite("Use new().", model, examples=(("old(0)\n", "new(0)\n"),), accepted=ACCEPTED)
    propose(rewrite, ws, replace(shard_of(ws.base, "a.py"), context=("tools.py",)))
    system, user = (message["content"] for message in model.asked[0])
    assert system == replace(rewrite, accepted=()).system(), "it is the same for all shards"
    shown = ["(only to read)", "y = old(5)", "y = new(5)", "return old(6)", "return new(6)", "a.py\n```", "Carry out"]
    assert [user.index(part) for part in shown] == sorted(user.index(part) for part in shown)
    assert "eggs" not in user


def test_accepted_edits_are_left_out_before_what_the_job_names(
    workspace: MakeWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operators.conversation.fits", lambda text, room: len(text) <= room)
    ws, shard, examples = crowded(workspace)
    full, bare = Talks([NOTHING]), Talks([NOTHING])
    propose(Rewrite("p", full, tuple(examples), accepted=ACCEPTED), ws, shard)
    propose(Rewrite("p", bare, tuple(examples)), ws, shard)
    room = sum(len(message["content"]) for message in full.asked[0]) - 1
    model = Talks([NOTHING], room=room)
    propose(Rewrite("p", model, tuple(examples), accepted=ACCEPTED), ws, shard)
    assert shown(model) == shown(full) == ["far()", "near()", "other = 1", "old(7)", "return old(3)"]
    assert ["new(5)" in talk.asked[0][1]["content"] for talk in (full, model)] == [True, False]
    assert ["new(6)" in talk.asked[0][1]["content"] for talk in (full, model)] == [True, True]
    model = Talks([NOTHING], room=sum(len(message["content"]) for message in bare.asked[0]))
    propose(Rewrite("p", model, tuple(examples), accepted=ACCEPTED), ws, shard)
    assert model.asked == bare.asked


@pytest.mark.parametrize("name", ["", "A.g"])
def test_what_others_learn_of_an_edit(workspace: MakeWorkspace, name: str) -> None:
    ws = workspace({"a.py": TEXT})
    shard = cut_to(ws, name) if name else shard_of(ws.base, "a.py")
    model = Talks([block("        return old(2)", "        return new((2)")])
    codemod = Does(lambda text: text.replace("import os\n", "import re\n"))
    chain = Chain((codemod, Rewrite("p", model, teaches=True)))
    first = chain.propose(ws, shard, ())
    assert first and first.trouble == ""
    model.replies = [block("        return new((2)", "        return new(2)")]
    edit = chain.propose(ws, shard, [Verdict(first, (Finding("parses", "wrong"),))])
    assert edit
    ((before, after),) = edit.pairs
    assert after == before.replace("old(2)", "new(2)"), "told against what it was shown first"
    assert "import os" not in before
    assert ("old(1)" in before) == (not name), "the others' code is no part of it"
    assert replace(edit, pairs=()) == Chain((codemod, Rewrite("p", model))).propose(
        ws, shard, [Verdict(first, (Finding("parses", "wrong"),))]
    )


def test_what_is_too_long_for_the_model_is_skipped_and_never_sent(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": TEXT + "x = 1  # " + "many words " * 3000})
    model = Talks([NOTHING], room=900)
    chain = Chain((Does(lambda text: text.replace("old(1)", "new(1)")), Rewrite("p", model)))
    outcome = refine(
        ws, shard_of(ws.base, "a.py"), chain, lambda ws, shard, edit: judged(ws, shard, edit, []), attempts=4
    )
    assert (outcome.status, model.asked) == ("skipped", [])
    assert re.fullmatch(
        r"it takes \d{1,2},\d{3} tokens to show this, and there is room for 900 \(`model.context` less `max_tokens`\): "
        r"cut the shards finer \(`shard`: `by: symbol`, or a smaller `max_lines` or `max_files`\)",
        outcome.skipped,
    )


def test_a_long_conversation_is_cut_to_its_end(workspace: MakeWorkspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.conversation.fits", lambda text, room: len(text) <= room)
    ws = workspace({"a.py": TEXT})
    past = [Verdict(Edit({}, said=f"reply {number} {'x' * 2000}"), (Finding("own", "wrong"),)) for number in range(3)]
    model = Talks([NOTHING], room=5000)
    propose(Rewrite("p", model), ws, shard_of(ws.base, "a.py"), past)
    assert [message["content"][:7] for message in model.asked[0] if message["role"] == "assistant"] == ["reply 2"]
