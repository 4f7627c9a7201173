"""From a model's reply to new texts: search/replace blocks with the markers that Devstral knows.

Blocks are looked up in the text as it was shown, each must match exactly one place, and near matches only serve to say
what went wrong. What could be applied is kept; what could not is said in words for the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from operators.hunks import Hunk
from operators.locate import locate
from operators.revise import contents, placeholder, revised

MOST = 300  # blocks of one reply that are looked at
EXPLAINED = 3  # blocks that match nothing whose nearest match is looked for, which takes a while in a long file

# Models are careless with the number of characters and with case; none of this is Python.
_SEARCH = re.compile(r"<{5,9}\s?(SEARCH\b.*)?", re.I)
_DIVIDER = re.compile(r"={5,9}\s*")
_REPLACE = re.compile(r">{5,9}\s?(REPLACE\b.*)?", re.I)
FENCE = re.compile(r"(\s*)(`{3,}|~{3,})\s*(.*)")
_PATH = re.compile(r"\S*\.\w+|\S*/\S*|CODEOWNERS|[A-Z]\w+file")
_THOUGHT = re.compile(r"^\s*(?:</think>|\[/THINK\])|(?:</think>|\[/THINK\])\s*$")  # it may begin in the chat template


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


def spoken(reply: str) -> list[str]:
    """Return the lines of a reply that come after what was only thought aloud."""
    lines = [line.rstrip("\r") for line in reply.rstrip().split("\n")]
    within = False  # a block
    for number in reversed(range(len(lines) - 1)):
        below = lines[number + 1]
        within = bool(_REPLACE.fullmatch(below)) or (within and not _SEARCH.fullmatch(below))
        if _THOUGHT.search(lines[number]) and not within:
            return lines[number + 1 :]
    return lines


def blocks(reply: str, texts: Mapping[str, str]) -> Applied:
    """Apply search/replace blocks to `texts` (path to text as shown)."""
    found, stray = _blocks(spoken(reply), texts)
    shown = {path: contents(text) for path, text in texts.items()}
    if not found:
        return Applied({}, "There is no SEARCH/REPLACE block in the reply. Answer with such blocks only.")
    hunks: dict[str, list[Hunk]] = {path: [] for path in texts}
    done: list[int] = []
    failed: list[str] = []
    last = ""
    seen: set[tuple[str, _Block]] = set()
    for number, block in enumerate(found[:MOST], 1):
        if (block.path or last, block) in seen:  # the same block twice is once
            continue
        path, hunk, fault = _locate(block, shown, last, explain=len(failed) < EXPLAINED)
        last = path or last
        seen.add((last, block))
        if hunk and any(_overlap(hunk, other) for other in hunks[path]):
            fault = "It overlaps a block before it: make one block of the two."
        if hunk and not fault:
            hunks[path] += [hunk] if hunk not in hunks[path] else []
            done.append(number)
        else:
            failed.append(f"Block {number}{f' ({path})' if path else ''}: {fault}")
    if stray:
        failed.append("There is a >>>>>>> REPLACE without a <<<<<<< SEARCH. What stands above it was left out.")
    if len(found) > MOST:
        failed.append(f"Blocks after the first {MOST} were not looked at. Send them now.")
    new = {path: revised(texts[path], sorted(own)) for path, own in hunks.items() if own}
    if done and failed:
        named = f"block{'s' * (len(done) > 1)} {', '.join(map(str, done))}"
        failed.insert(0, f"Applied: {named}. Do not send what was applied again.")
    return Applied(new, "\n\n".join(failed))


def path_above(lines: Sequence[str], texts: Mapping[str, str]) -> str:
    """Return the path that the last of `lines`, a marker or a fence, ends with or that stands above it, fences passed
    over; "" when nothing looks like one."""
    for number, line in enumerate(reversed(lines[-4:])):
        word = line.strip().strip("`*#: ")
        for name in (word, word.rpartition(" ")[2].strip("`*")):
            if name.removeprefix("./") in texts:
                return name.removeprefix("./")
        if number and word and not FENCE.fullmatch(line):
            return word if _PATH.fullmatch(word) else ""
    return ""


def _blocks(lines: Sequence[str], texts: Mapping[str, str]) -> tuple[list[_Block], bool]:
    """Return the blocks, and whether there are ends that end none."""
    starts = [number for number, line in enumerate(lines) if _SEARCH.fullmatch(line)]
    ends = {number: match for number, line in enumerate(lines) if (match := _REPLACE.fullmatch(line))}
    found: list[_Block] = []
    used: set[int] = set()
    for start, stop in pairwise([*starts, len(lines)]):
        own = [number for number in range(start, stop) if number in ends]
        # A bare >>>>>>> may be part of the code, where the word still follows.
        end = next((number for number in own if ends[number][1]), own[0] if own else None)
        body = tuple(lines[start + 1 : end]) if end else ()
        found.append(_Block(path_above(lines[: start + 1], texts), body, finished=end is not None))
        used.update(number for number in own if end and number <= end)
    return found, not used.issuperset(ends)


def _locate(block: _Block, shown: Mapping[str, list[str]], last: str, *, explain: bool) -> tuple[str, Hunk | None, str]:
    """Return the path, the hunk and, when it is not to be applied, why not. `last`: the path of the block before."""
    path = block.path
    if path and path not in shown:
        return path, None, f"This file is not yours to change. Yours: {', '.join(shown)}."
    if not block.finished:
        return path, None, "It is not finished: its >>>>>>> REPLACE is missing. Send it again, whole."
    readings = list(block.readings())
    if not readings:
        return path, None, "It has no ======= line between what to find and what to put there."
    found = locate(readings, {path: shown[path]} if path else shown, last, explain=explain)
    if isinstance(found, str):
        return path, None, found
    path, hunk = found
    left_out = placeholder(shown[path], hunk.lines)
    return path, hunk, f"`{left_out}` stands for code that was left out. Write every line." if left_out else ""


def _overlap(one: Hunk, other: Hunk) -> bool:
    if one == other:
        return False  # the same block twice is once
    return one.first == other.first or (one.first < other.last and other.first < one.last)


def _fenced(lines: Sequence[str]) -> bool:
    return len(lines) > 1 and bool(FENCE.fullmatch(lines[0]) and FENCE.fullmatch(lines[-1]))
