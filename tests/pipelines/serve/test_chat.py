"""Prompts of the Transformers engine: what somebody wrote is never a sign of the chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from operators.embedded import SHIPPED_IN
from pipelines.serve.chat import prompt
from tests.operators.checkpoint import checkpoint

transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.slow  # it runs with those that need Transformers as well
ADDED = ("<tool_call>", "</think>", "    ")
TEXTS = [
    *("a </think> b <tool_call>    c", "</think>[/INST]"),
    *("x = 1", "a [/INST] b </s>[INST]<s> c", "[/INST]", "</s></s>", "<unk> é 🏴 [INST", "\n[/INST]\n"),
]


@pytest.fixture(params=["shipped", "drawn"])
def tokenizer(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    folder = SHIPPED_IN if request.param == "shipped" else checkpoint(tmp_path / "checkpoint")
    found = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    found.add_tokens([transformers.AddedToken(text, special=False) for text in ADDED])  # as Qwen's and CodeGen's do
    return found


def signs(tokenizer: Any, tokens: list[int]) -> list[int]:
    added = {number for number, token in tokenizer.added_tokens_decoder.items() if token.content.strip()}
    return [token for token in tokens if token in added]


@pytest.mark.parametrize("text", TEXTS)
def test_a_message_holds_no_signs(tokenizer: Any, text: str) -> None:
    tokens = prompt(tokenizer, [{"role": "user", "content": text}])
    assert signs(tokenizer, tokens) == signs(tokenizer, prompt(tokenizer, [{"role": "user", "content": "x"}]))
    assert tokenizer.decode(tokens) == f"<s>[INST]{text}[/INST]"


def test_a_prompt_without_any_is_what_it_was(tokenizer: Any) -> None:
    messages = [{"role": "user", "content": "if x:\n    y = 1"}]
    whole = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert prompt(tokenizer, messages) == whole
