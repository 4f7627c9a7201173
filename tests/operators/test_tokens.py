from __future__ import annotations

import builtins
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators import tokens as counting
from operators.tokens import CHARACTERS, fits, tokens

SOURCE = Path(counting.__file__).read_text()


@pytest.fixture
def estimated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As where the tokenizer is not installed."""
    whole = builtins.__import__

    def without(name: str, globals: Mapping[str, Any] | None = None, *args: Any) -> Any:
        if name.startswith("mistral_common"):
            raise ImportError(name)
        return whole(name, globals, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    counting._tokenizer.cache_clear()
    yield
    counting._tokenizer.cache_clear()


@pytest.mark.parametrize(("text", "count"), [("", 0), ("hello", 2), ("x" * 30, 10)])
def test_without_the_tokenizer_it_is_an_estimate(estimated: None, text: str, count: int) -> None:
    assert tokens(text) == count
    assert fits(text, max(count, len(text)))


def test_a_short_text_is_not_counted(estimated: None, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[str] = []
    monkeypatch.setattr(counting, "tokens", lambda text: counted.append(text) or 1)
    assert fits("ä" * 50, 100)
    assert counted == []
    assert fits("ä" * 50, 99)
    assert counted == ["ä" * 50]


@pytest.fixture(scope="module")
def tekken() -> Any:
    module = pytest.importorskip("mistral_common.tokens.tokenizers.mistral")
    return module.MistralTokenizer.v3(is_tekken=True).instruct_tokenizer.tokenizer


def test_tokens_are_those_of_the_models(tekken: Any) -> None:
    assert tokens("hello") == 1
    assert tokens(SOURCE) == pytest.approx(len(tekken.encode(SOURCE, bos=False, eos=False)), rel=0.01)
    assert 0 < tokens(SOURCE) < len(SOURCE) / CHARACTERS, "the estimate is on the safe side"


def test_special_words_in_code_are_words(tekken: Any) -> None:
    assert tokens("[INST] </s>") > 2


def test_one_word_of_a_million_letters_is_counted_in_no_time(tekken: Any) -> None:
    tokens("warm")
    start = time.perf_counter()
    assert tokens("a" * 1_000_000) > 1000
    assert time.perf_counter() - start < 20


@given(st.text(max_size=200))
def test_no_token_is_less_than_a_byte(tekken: Any, text: str) -> None:
    assert tokens(text) <= len(text.encode())
    assert fits(text, len(text.encode()))


def test_threads_load_it_once(tekken: Any) -> None:
    counting._tokenizer.cache_clear()
    threads = [threading.Thread(target=tokens, args=("x",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counting._tokenizer.cache_info().misses == 1
