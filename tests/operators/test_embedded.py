"""The embedded engine, really run, on a checkpoint that knows nothing."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from operators.data import Completion, Skip
from operators.embedded import SHIPPED_IN, Embedded, lacking
from operators.model import ModelError
from operators.piecewise import Piecewise
from operators.syntax.grammar import copying
from tests.operators.checkpoint import checkpoint
from tests.operators.conftest import MakeWorkspace, shard_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint(tmp_path_factory.mktemp("embedded") / "checkpoint")


NEW = ("self", "pytest", "raises")
QUESTION = [{"role": "user", "content": "self.assertTrue(x)"}]


def ask(model: Embedded, code: str, attempt: int = 0) -> Completion:
    return model.complete([{"role": "user", "content": code}], shard="s", attempt=attempt)


def test_it_answers_and_counts(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = Embedded(str(folder), max_tokens=8)
    reply = ask(model, "self.assertTrue(x)")
    assert reply == ask(model, "self.assertTrue(x)"), "the first attempt is greedy"
    assert (reply.tokens_in, reply.tokens_out, reply.cut) == (len("self.assertTrue(x)") + 3, 8, True)
    assert reply.text
    assert ask(model, "self.assertTrue(x)", attempt=1).tokens_out == 8
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("attempt", [0, 1])
def test_it_keeps_to_a_grammar_that_it_understands(folder: Path, attempt: int) -> None:
    model = Embedded(str(folder), max_tokens=24)
    said = model.complete(QUESTION, shard="s", attempt=attempt, grammar='start: "assert " WORD\nWORD: /é影/\n')
    assert (said.text, said.cut) == ("assert é影", False)
    assert model.complete(QUESTION, shard="s", attempt=attempt, grammar="start: nothing").tokens_out


@pytest.mark.parametrize(
    ("code", "right"),
    [
        ("self.assertEqual(slug('a b'), 'a-b')", "assert slug('a b') == 'a-b'"),
        ("self.assertIsNone(self.find('tea'), 'not sold')", "assert self.find('tea') is None, 'not sold'"),
        ("self.assertNotIn(3, [1, 2])", "assert 3 not in [1, 2]"),
        ("self.assertRaises(KeyError, d.pop, 1)", "import pytest\nwith pytest.raises(KeyError):\n    d.pop(1)"),
        ("self.assertEqual(\n    len(shops), 12,\n)", "assert len(shops) == 12"),
    ],
)
def test_the_model_that_comes_with_umbau_knows_its_task(code: str, right: str) -> None:
    model = Embedded(str(SHIPPED_IN), max_tokens=128, bare=True)
    said = model.complete(
        [{"role": "user", "content": code}], shard="s", attempt=0, grammar=copying(code, NEW, r"\bself\.assert\w+")
    )
    assert ast.dump(ast.parse(said.text)) == ast.dump(ast.parse(right))


def test_many_may_ask_at_a_time(folder: Path) -> None:
    asked = [f"f({number})" for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda code: ask(Embedded(str(folder), max_tokens=4), code), asked))
    assert together == [ask(Embedded(str(folder), max_tokens=4), code) for code in asked]


def test_what_it_says_is_judged_as_that_of_any_model(folder: Path, workspace: MakeWorkspace) -> None:
    ws = workspace({"a.py": "self.assertTrue(x)\n"})
    operator = Piecewise("", Embedded(str(folder), max_tokens=4, bare=True), hits=r"self\.assert")
    edit = operator.propose(ws, shard_of(ws.base, "a.py"), ())
    assert edit
    assert edit.trouble == "a.py:1: the reply was cut at its length limit."
    assert edit.tokens_out == 4


def test_what_is_longer_than_it_can_see_is_left_alone(folder: Path) -> None:
    with pytest.raises(Skip, match="longer than the model can see"):
        ask(Embedded(str(folder)), "x" * 600)
    assert ask(Embedded(str(folder)), "x" * 505).cut, "there is hardly room for an answer"


def without_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def without_template(folder: Path) -> None:
    (folder / "tokenizer_config.json").unlink()


def with_weights_that_are_a_folder(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").mkdir()


def truncated(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(10_000)


def of_another_shape(folder: Path) -> None:
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"hidden_size": 32', '"hidden_size": 16'))


def with_a_broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (without_tokenizer, r"holds no checkpoint: tokenizer.json missing"),
        (without_template, r"holds no checkpoint: tokenizer_config.json missing"),
        (with_weights_that_are_a_folder, r"holds no checkpoint: \*.safetensors missing"),
        (
            shutil.rmtree,
            "holds no checkpoint: config.json, tokenizer.json, tokenizer_config.json, ",
        ),
        (truncated, "cannot be loaded: "),
        (of_another_shape, "cannot be loaded: "),
        (with_a_broken_config, "cannot be loaded: "),
    ],
)
def test_a_checkpoint_that_is_none_is_no_fault_of_the_shard(
    harm: Callable[[Path], None], why: str, tmp_path: Path
) -> None:
    folder = checkpoint(tmp_path / "checkpoint")
    assert not lacking(str(folder))
    harm(folder)
    with pytest.raises(ModelError, match=f"{folder} {why}"):
        ask(Embedded(str(folder)), "self.assertTrue(x)")


def test_a_folder_that_cannot_be_read() -> None:
    assert lacking("a" * 5_000) == f"{'a' * 200} cannot be read: File name too long"


def test_without_the_engine_it_says_what_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.embedded.find_spec", lambda name: None)
    assert "run by mistralrs, which is not installed" in lacking(str(folder))


def test_another_checkpoint_is_another_revision(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "checkpoint"
    shutil.copytree(folder, other)
    assert Embedded(str(other)).revision == Embedded(str(folder)).revision
    assert Embedded(str(other), max_tokens=1).revision != Embedded(str(folder)).revision
    third = tmp_path / "third"
    shutil.copytree(folder, third)
    config = third / "tokenizer_config.json"
    config.write_text(config.read_text().replace("[INST]", "[ASK]"))
    assert Embedded(str(third)).revision != Embedded(str(folder)).revision, "it is asked in another way"


@pytest.mark.parametrize("sign", ["[INST]", "[/INST]", "</s>", "<s>"])
def test_it_is_not_shown_what_it_would_take_for_a_sign_of_its_own(folder: Path, sign: str) -> None:
    with pytest.raises(Skip, match=re.escape(f"it holds {sign!r}, which checkpoint takes for a sign of its own")):
        ask(Embedded(str(folder), max_tokens=4), f"f('{sign}')")
    assert ask(Embedded(str(folder), max_tokens=4), f"f('{sign[:-1]}')").tokens_out
