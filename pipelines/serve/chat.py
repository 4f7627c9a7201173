"""From messages to the tokens of a prompt, in which nothing that somebody wrote is a sign of the chat template."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4


def prompt(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Return the tokens of a chat. A tokenizer reads a rendered template as one text, in which `[/INST]` ends the
    question whoever wrote it: what stands in a message is read apart, as the letters that it consists of.

    `tokenizer`: a fast one of Transformers. Raises jinja2.TemplateError for what the template cannot hold.
    """
    # What was added to a vocabulary is a sign, special or not (`</think>`), but for blanks, which code is full of.
    added = tokenizer.added_tokens_decoder.values()
    signs = [token.content for token in added if token.content and (token.special or token.content.strip())]
    written = re.compile("|".join(map(re.escape, sorted(signs, key=len, reverse=True))) or "(?!)")
    found: list[str] = []
    mark = uuid4().hex  # unknown to whoever wrote a message

    def kept(match: re.Match[str]) -> str:
        found.append(match[0])
        return f"{mark}{len(found) - 1}{mark}"

    masked = [{**message, "content": written.sub(kept, message["content"])} for message in messages]
    if not found:
        whole: list[int] = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        return whole
    text = tokenizer.apply_chat_template(masked, add_generation_prompt=True, tokenize=False)
    tokens: list[int] = []
    for number, part in enumerate(re.split(f"{mark}([0-9]+){mark}", text)):
        if number % 2:
            for letter in found[int(part)]:  # only what is special would be split by itself
                tokens += tokenizer.encode(letter, add_special_tokens=False, split_special_tokens=True)
        elif part:
            tokens += tokenizer.encode(part, add_special_tokens=False)
    return tokens
