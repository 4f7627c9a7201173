"""Characters and names that a reader does not see for what they are, and how they are shown.

Imports nothing of ours: the guarded child looks for them, and so do prompts and checks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# Bidirectional controls (CVE-2021-42574), what has no width or is blank, tags and variation selectors that nothing
# visible uses, and controls that a terminal or an editor obeys. Left out: selectors 15 and 16, which emoji have.
UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
# Cyrillic and Greek letters that look like those of ASCII: https://www.unicode.org/reports/tr39/
_ALIKE = str.maketrans(
    "аеорсухіјѕһԁԛԝАВЕКМНОРСТХЅІЈΑΒΕΖΗΙΚΜΝΟΡΤΥΧονιρα",
    "aeopcyxijshdqwABEKMHOPCTXSIJABEZHIKMNOPTYXovipa",
)
_WORD = re.compile(r"[^\W\d]\w*")
_NAME = re.compile(rf"{UNSEEN.pattern[:-1]}\t\n\r\x0c\\`\ud800-\udfff]")
# What chat templates of Mistral, Llama, Gemma and those in ChatML take for their own signs.
CONTROL = re.compile(
    r"\[/?(?=(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS|CALL_ID|THINK|MODEL_SETTINGS"
    r"|IMG|IMG_BREAK|IMG_END|AUDIO|BEGIN_AUDIO|TRANSCRIBE|PREFIX|MIDDLE|SUFFIX|REFERENCE_DOC)\])"
    r"|<(?=\|[\w ]{1,40}\|>|/?s>|(?:unk|pad|bos|eos)>|(?:start|end)_of_turn>|</?SYS>>)"
)
NAMED = 8  # places in a label


def shown(text: str) -> str:
    """Return text that is only to be read with what cannot be seen made visible (`\\u202e`), and with what chat
    templates take for their own signs made something else (`[\\INST]`). Twice is once."""
    return CONTROL.sub(r"\g<0>\\", UNSEEN.sub(_escaped, text))


def name(path: str) -> str:
    """Return how a model is shown the name of a file: in one line, which it neither leaves nor marks up. Different
    names are shown differently."""
    return CONTROL.sub(r"\g<0>\\", _NAME.sub(_escaped, path))


def label(text: str) -> str:
    """Say what a text, which has to be shown as it is, holds that a reader takes for something else; "" for nothing."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.isascii() or UNSEEN.search(line):
            for what in _hidden(line):
                found.setdefault(what, []).append(number)
    told = [f"{what} (line {', '.join(map(str, lines[:NAMED]))})" for what, lines in found.items()]
    more = [f"and {len(told) - NAMED} more"] if len(told) > NAMED else []
    return ", ".join(told[:NAMED] + more)


def deceives(word: str) -> bool:
    """Say whether a name reads like another one, or is such as Python takes for another."""
    return unicodedata.normalize("NFKC", word) != word or (len(word) > 1 and word.translate(_ALIKE).isascii())


def point(character: str) -> str:
    return f"U+{ord(character):04X}"


def _hidden(line: str) -> Iterator[str]:
    yield from dict.fromkeys(map(point, UNSEEN.findall(line)))
    for word in dict.fromkeys(_WORD.findall(line)):
        if not word.isascii() and deceives(word):
            yield f"the name {word.encode('ascii', 'backslashreplace').decode()}"


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    known = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\\": "\\\\", "`": "\\x60"}.get(found[0])
    return known or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
