"""From a model's reply to new texts: search/replace blocks with the markers that Devstral knows, or whole files.

Blocks are looked up in the text as it was shown, each must match exactly one place, and near matches only serve to say
what went wrong. What could be applied is kept; what could not is said in words for the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from operators.hunks import Hunk, apply, diff
from operators.locate import locate
from operators.source import ending, newline, split

# Models are careless with the number of characters and with case; none of this is Python.
_SEARCH = re.compile(r"<{5,9}\s?(SEARCH\b.*)?", re.I)
_DIVIDER = re.compile(r"={5,9}\s*")
_REPLACE = re.compile(r">{5,9}\s?(REPLACE\b.*)?", re.I)
_FENCE = re.compile(r"\s*(`{3,}|~{3,})\s*(.*)")
_PATH = re.compile(r"\S+\.\w+|\S*/\S+")
_THOUGHT = re.compile(r"\s*<think>.*?</think>", re.S)


@dataclass(frozen=True, slots=True)
class Applied:
    """`texts`: what changed. `trouble`: what could not be applied, for the model to read; "" when all was."""

    texts: Mapping[str, str]
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Block:
    path: str
    body: tuple[str, ...]
    """The lines between the markers."""
    finished: bool

    def readings(self) -> Iterator[tuple[list[str], list[str]]]:
        """Yield what may be meant to be found and to be put there, the longest search first: code may itself hold a
        line of equal signs, and then all that matches is the search text."""
        for at in reversed(range(len(self.body))):
            if _DIVIDER.fullmatch(self.body[at]):
                search, replace = list(self.body[:at]), list(self.body[at + 1 :])
                yield search, replace
                if _fenced(search) and _fenced(replace):
                    yield search[1:-1], replace[1:-1]


def blocks(reply: str, texts: Mapping[str, str]) -> Applied:
    """Apply search/replace blocks to `texts` (path to text as shown)."""
    found = list(_blocks(_lines(reply), texts))
    if not found:
        return Applied({}, "There is no SEARCH/REPLACE block in the reply. Answer with such blocks only.")
    hunks: dict[str, list[Hunk]] = {path: [] for path in texts}
    done, failed, last = [], [], ""
    for number, block in enumerate(found, 1):
        path, hunk, fault = _locate(block, texts, last)
        last = path or last
        if hunk and any(_overlap(hunk, other) for other in hunks[path]):
            fault = "It overlaps a block before it: make one block of the two."
        if hunk and not fault:
            hunks[path] += [hunk] if hunk not in hunks[path] else []
            done.append(number)
        else:
            failed.append(f"Block {number}{f' ({path})' if path else ''}: {fault}")
    new = {path: _revised(texts[path], sorted(own)) for path, own in hunks.items() if own}
    if done and failed:
        named = f"block{'s' * (len(done) > 1)} {', '.join(map(str, done))}"
        failed.insert(0, f"Applied: {named}. Do not send what was applied again.")
    return Applied(new, "\n\n".join(failed))


def whole(reply: str, texts: Mapping[str, str]) -> Applied:
    """Take whole files, each in a fence below its path, as the new `texts`."""
    lines = _lines(reply)
    fences = {number: fence for number, line in enumerate(lines) if (fence := _FENCE.fullmatch(line))}
    opens: list[tuple[int, str]] = []
    for at, fence in fences.items():
        path = _path_above(lines, at, texts)
        again = bool(opens) and opens[-1][1] == path and not fence[2]  # a comment at the end of the code
        if (path in texts and not again) or not opens or (path and fence[2]):
            opens.append((at, path))
    new: dict[str, str] = {}
    trouble = [] if opens else ["There is no code in the reply. Answer with the whole file in a ``` fence."]
    for (at, named), (end, _) in zip(opens, [*opens[1:], (len(lines), "")], strict=False):
        path = named or (next(iter(texts)) if len(texts) == 1 else "")
        closing = _closing(fences[at], [(number, fences[number]) for number in fences if at < number < end])
        if path in texts and closing:
            new[path] = _revised(texts[path], diff(_contents(texts[path]), lines[at + 1 : closing]))
        elif path in texts:
            trouble.append(f"The code of {path} is not finished: its closing ``` is missing.")
        elif path:
            trouble.append(f"{path} is not yours to change. Yours: {', '.join(texts)}.")
    if not new and not trouble:
        trouble = ["Which file is this? Put its path on the line above the ``` fence."]
    return Applied({path: text for path, text in new.items() if text != texts[path]}, "\n\n".join(trouble))


def _closing(opening: re.Match[str], fences: Sequence[tuple[int, re.Match[str]]]) -> int | None:
    """Return which of the fences after `opening` ends its code; the code may hold fences of its own."""
    depth, closing = 1, None
    for number, fence in fences:
        if not fence[1].startswith(opening[1]):
            continue
        if fence[2] and not depth:
            break  # something else, such as how to run it
        depth = depth + 1 if fence[2] else max(depth - 1, 0)
        closing = closing if depth else number
    return closing


def _lines(reply: str) -> list[str]:
    """Split a reply, without what was only thought aloud."""
    thought = _THOUGHT.match(reply)
    return [line.rstrip("\r") for line in reply[thought.end() if thought else 0 :].split("\n")]


def _blocks(lines: Sequence[str], texts: Mapping[str, str]) -> Iterator[_Block]:
    start: int | None = None
    for number, line in enumerate([*lines, "<<<<<<< SEARCH"]):
        if _SEARCH.fullmatch(line):
            if start is not None:
                yield _Block(_path_above(lines, start, texts), (), finished=False)
            start = number
        elif start is not None and _REPLACE.fullmatch(line):
            yield _Block(_path_above(lines, start, texts), tuple(lines[start + 1 : number]), finished=True)
            start = None


def _path_above(lines: Sequence[str], at: int, texts: Mapping[str, str]) -> str:
    """Return the path that a line ends with or that stands above it, fences passed over; "" when nothing looks like
    one."""
    for number in range(at, max(at - 4, -1), -1):
        word = lines[number].strip().strip("`*#: ")
        for name in (word, word.rpartition(" ")[2].strip("`*")):
            if name.removeprefix("./") in texts:
                return name.removeprefix("./")
        if number < at and word and not _FENCE.fullmatch(lines[number]):
            return word if _PATH.fullmatch(word) else ""
    return ""


def _locate(block: _Block, texts: Mapping[str, str], last: str) -> tuple[str, Hunk | None, str]:
    """Return the path, the hunk and, when there is none, why not. `last`: the path of the block before."""
    path = block.path
    if path and path not in texts:
        return path, None, f"This file is not yours to change. Yours: {', '.join(texts)}."
    if not block.finished:
        return path, None, "It is not finished: its >>>>>>> REPLACE is missing. Send it again, whole."
    readings = list(block.readings())
    if not readings:
        return path, None, "It has no ======= line between what to find and what to put there."
    found = locate(readings, {name: _contents(texts[name]) for name in ([path] if path else texts)}, last)
    return (path, None, found) if isinstance(found, str) else (*found, "")


def _overlap(one: Hunk, other: Hunk) -> bool:
    if one == other:
        return False  # the same block twice is once
    return one.first == other.first or (one.first < other.last and other.first < one.last)


def _fenced(lines: Sequence[str]) -> bool:
    return len(lines) > 1 and bool(_FENCE.fullmatch(lines[0]) and _FENCE.fullmatch(lines[-1]))


def _contents(text: str) -> list[str]:
    return [line.rstrip("\r\n") for line in split(text)]


def _revised(text: str, hunks: Sequence[Hunk]) -> str:
    """Return `text` with the hunks, told without line endings, in it: lines that stay keep their ending, new ones get
    the file's usual one, and the end of the file stays as it is."""
    contents, usual = _contents(text), newline(text)
    own = [
        Hunk(hunk.first + part.first, hunk.first + part.last, tuple(line + usual for line in part.lines))
        for hunk in hunks
        for part in diff(contents[hunk.first : hunk.last], hunk.lines)
    ]
    lines = apply([line if ending(line) else line + usual for line in split(text)], own)
    if lines and text and not ending(split(text)[-1]):
        lines[-1] = lines[-1].rstrip("\r\n")
    return "".join(lines)
