"""Counts tokens as Mistral's models do, offline, where `mistral-common` is installed (extra `tokens`)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from math import ceil

CHARACTERS = 3.0  # of code per token, for an estimate that is rather too high: Umbau's own has 3.2 (tests) to 3.8
AT_ONCE = 2000  # characters: one word of a million letters would take minutes


def tokens(text: str) -> int:
    """Return how many tokens a text has: those of the Tekken tokenizer, else an estimate."""
    with _loading:
        encode = _tokenizer()
    if encode is None:
        return ceil(len(text) / CHARACTERS)
    return sum(len(encode(text[at : at + AT_ONCE])) for at in range(0, len(text), AT_ONCE))


def fits(text: str, room: int) -> bool:
    """Say whether a text has at most `room` tokens. No token has less than a byte: short texts need not be counted."""
    return len(text.encode(errors="replace")) <= room or tokens(text) <= room


_loading = threading.Lock()  # it takes a second, and once is enough


@lru_cache(maxsize=1)
def _tokenizer() -> Callable[[str], list[int]] | None:
    try:
        from mistral_common.tokens.tokenizers.mistral import MistralTokenizer
    except ImportError:
        return None
    tekken = MistralTokenizer.v3(is_tekken=True).instruct_tokenizer.tokenizer  # comes with the package
    return lambda text: tekken.encode(text, bos=False, eos=False)
