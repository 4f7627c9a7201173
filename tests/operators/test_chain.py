from __future__ import annotations

import pytest

from operators.chain import Chain
from operators.checks.inside import Inside
from operators.codemod import Codemod
from operators.data import Edit, Finding, Skip, Verdict
from operators.model import Endpoint
from operators.refine import judged, refine
from operators.rewrite import NEEDS_MODEL, Rewrite
from operators.shell import Shell
from tests.operators.conftest import MakeWorkspace, shard_of
from tests.operators.scripted import Does, Finds, Proposes, Talks

FORMAT = Codemod("convert_format_to_fstring.ConvertFormatStringCommand", reach="symbol", hits=r"\.format\(")


def test_each_step_sees_what_the_steps_before_it_made(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "1\n"})
    chain = Chain((Does(lambda text: text + "2\n"), Does(lambda text: text + "3\n"), Shell("echo 4 >> a.py")))
    edit = chain.propose(ws, shard_of(ws.base, "a.py"), ())
    assert edit == Edit({"a.py": "1\n2\n3\n4\n"})


def test_steps_that_undo_each_other_propose_nothing_to_change(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "1\n"})
    chain = Chain((Does(lambda text: text + "2\n"), Does(lambda text: text.removesuffix("2\n"))))
    assert chain.propose(ws, shard_of(ws.base, "a.py"), ()) == Edit({})


def test_words_notes_and_tokens_are_added_up(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "1\n"})
    first = Proposes([Edit({"a.py": "2\n"}, notes=("careful",))])
    second = Proposes([Edit({"b.py": "3\n"}, "words", ("so",), 5, 6)], waits=True)
    edit = Chain((first, second)).propose(ws, shard_of(ws.base, "a.py"), ())
    assert edit == Edit({"a.py": "2\n", "b.py": "3\n"}, "words", ("careful", "so"), 5, 6)


def test_a_chain_waits_when_a_step_does() -> None:
    assert not Chain((FORMAT, Shell("true"))).waits
    assert Chain((FORMAT, Rewrite("p", Endpoint("http://gpu/v1", "m")))).waits
    assert not Chain((FORMAT, Rewrite("p"))).waits, "there is nobody to wait for"


def test_trouble_ends_the_chain_and_keeps_what_was_made(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "1\n"})
    last = Does(lambda text: text + "never\n")
    edit = Chain((Does(lambda text: text + "2\n"), Shell("exit 3"), last)).propose(ws, shard_of(ws.base, "a.py"), ())
    assert edit
    assert edit.files == {"a.py": "1\n2\n"}
    assert "`exit 3` ended with exit code 3" in edit.trouble


def test_only_a_step_that_waits_learns_from_what_is_past(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "1\n"})
    past = (Verdict(Edit({"a.py": "2\n"}, said="x"), (Finding("tests", "broken"),)),)
    still, waiting = Proposes([None]), Proposes([Edit({"a.py": "3\n"})], waits=True)
    edit = Chain((still, waiting)).propose(ws, shard_of(ws.base, "a.py"), past)
    assert edit == Edit({"a.py": "3\n"})
    assert still.seen[0][1] == ()
    assert waiting.seen[0][1] == past


def test_what_only_knows_one_answer_does_not_give_it_twice(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = '{}'.format(1)\n"})
    shard, chain = shard_of(ws.base, "a.py"), Chain((FORMAT, Shell("true")))
    edit = chain.propose(ws, shard, ())
    assert edit == Edit({"a.py": "x = f'{1}'\n"})
    assert chain.propose(ws, shard, (Verdict(edit, (Finding("tests", "broken"),)),)) is None


def test_a_model_repairs_what_a_codemod_made(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = '{}'.format(1)\n"})
    model = Talks(["a.py\n<<<<<<< SEARCH\nx = f'{1}'\n=======\nx = '1'\n>>>>>>> REPLACE\n"])
    shard, chain = shard_of(ws.base, "a.py"), Chain((FORMAT, Rewrite("p", model, hits=r"\.format\(")))
    first = chain.propose(ws, shard, ())
    assert first == Edit({"a.py": "x = f'{1}'\n"})
    assert model.asked == [], "nothing was left for it"
    second = chain.propose(ws, shard, (Verdict(first, (Finding("tests", "broken"),)),))
    assert second
    assert second.files == {"a.py": "x = '1'\n"}
    assert "broken" in model.asked[0][-1]["content"]


def test_what_a_codemod_leaves_needs_a_model(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = '{}'.format(1)\ny = '{}'.format(*z)\n"})
    edit = Chain((FORMAT, Rewrite("p", hits=r"\.format\("))).propose(ws, shard_of(ws.base, "a.py"), ())
    assert edit
    assert edit.trouble == NEEDS_MODEL
    assert edit.files == {"a.py": "x = f'{1}'\ny = '{}'.format(*z)\n"}


def test_a_shard_that_no_step_can_work_on_is_skipped(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "print 'a'.format()\n"})
    with pytest.raises(Skip, match="syntax error on line 1"):
        Chain((FORMAT, Shell("true"))).propose(ws, shard_of(ws.base, "a.py"), ())


def test_what_a_model_broke_is_no_reason_to_skip_the_shard(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = '{}'.format(1)\n"})
    model = Talks(["a.py\n<<<<<<< SEARCH\nx = '{}'.format(1)\n=======\nx = '{}'.format(\n>>>>>>> REPLACE\n"])
    edit = Chain((Rewrite("p", model), FORMAT)).propose(ws, shard_of(ws.base, "a.py"), ())
    assert edit
    assert edit.trouble.startswith("What the steps before made cannot be worked on: syntax error on line 1")
    assert edit.said
    assert (edit.tokens_in, edit.tokens_out) == (100, 10)
    assert edit.files == {"a.py": "x = '{}'.format(\n"}


def test_steps_without_anything_to_say_propose_nothing(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "1\n"})
    assert Chain((Proposes([None]), Shell("true"))).propose(ws, shard_of(ws.base, "a.py"), ()) is None
    assert Chain(()).propose(ws, shard_of(ws.base, "a.py"), ()) is None


KEPT = "class TestX(B):\n    def test_a(self):\n        self.assertEqual(f(), 1)\n"


def test_a_model_may_take_back_what_a_codemod_made(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": KEPT, "b.py": KEPT})
    codemod = Codemod("unittest_to_pytest.UnittestToPytest", {"whole": False})
    line, was = "        assert f() == 1", "        self.assertEqual(f(), 1)"
    model = Talks(
        [
            f"a.py\n<<<<<<< SEARCH\n{line}\n=======\n{was}\n>>>>>>> REPLACE\n",
            "b.py\n<<<<<<< SEARCH\n    def test_a(self):\n=======\n    def test_b(self):\n>>>>>>> REPLACE\n",
        ]
    )
    shard, chain = shard_of(ws.base, "a.py", "b.py"), Chain((codemod, Rewrite("p", model)))
    outcome = refine(
        ws, shard, chain, lambda ws, shard, edit: judged(ws, shard, edit, [Finds(["keep it"])]), attempts=2
    )
    made = KEPT.replace(was, line)
    assert [dict(verdict.edit.files) for verdict in outcome.verdicts] == [
        {"b.py": made},
        {"b.py": made.replace("test_a", "test_b")},
    ]
    assert was in model.asked[1][-1]["content"], "it is shown what it made of the code, not what the codemod did"


def test_what_replaces_a_binary_file_is_left_to_the_judges(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "x = 1\n", "data.bin": b"\0\1"})
    shard = shard_of(ws.base, "a.py")
    chain = Chain((Shell("sed -i s/1/2/ a.py; echo text > data.bin"),))
    outcome = refine(ws, shard, chain, lambda ws, shard, edit: judged(ws, shard, edit, [Inside()]), attempts=1)
    assert (outcome.status, outcome.skipped) == ("rejected", "")
    assert outcome.verdicts[0].findings[0].place == "data.bin"


def test_what_a_file_cannot_hold_is_told_to_whoever_wrote_it(workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "# coding: latin-1\nx = 'ü'\n".encode("latin-1")})
    model = Talks(["a.py\n<<<<<<< SEARCH\nx = 'ü'\n=======\nx = '→'\n>>>>>>> REPLACE\n"])
    edit = Chain((Rewrite("p", model), Shell("true"))).propose(ws, shard_of(ws.base, "a.py"), ())
    assert edit
    assert edit.trouble.startswith(
        "What the steps before made cannot be written in its file's encoding: 'latin-1' codec"
    )
