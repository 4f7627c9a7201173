"""From a model's reply to new texts: search/replace blocks with the markers that Devstral knows, or whole files.

Blocks are looked up in the text as it was shown, each must match exactly one place, and near matches only serve to say
what went wrong. What could be applied is kept; what could not is said in words for the model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from operators.hunks import Hunk, apply, diff
from operators.source import newline, split

_SEARCH = re.compile(r"<{5,9} ?SEARCH\b.*")
_DIVIDER = re.compile(r"={7}\s*")
_REPLACE = re.compile(r">{5,9} ?REPLACE\b.*")
_FENCE = re.compile(r"\s*(```|~~~).*")
_SHOWN = 20  # lines of a near match that are quoted back


@dataclass(frozen=True, slots=True)
class Applied:
    """`texts`: what changed. `trouble`: what could not be applied, for the model to read; "" when all was."""

    texts: Mapping[str, str]
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Block:
    """`body`: the lines between the markers; code may itself hold a line of seven equal signs, so where the search
    text ends is decided when it is looked up."""

    path: str
    body: tuple[str, ...]

    def readings(self) -> list[tuple[list[str], list[str]]]:
        dividers = [number for number, line in enumerate(self.body) if _DIVIDER.fullmatch(line)]
        return [(list(self.body[:at]), list(self.body[at + 1 :])) for at in dividers]


def blocks(reply: str, texts: Mapping[str, str]) -> Applied:
    """Apply search/replace blocks to `texts` (path to text as shown)."""
    found, trouble = _blocks(reply, texts)
    if not found and not trouble:
        return Applied({}, "There is no SEARCH/REPLACE block in the reply. Answer with such blocks only.")
    hunks: dict[str, list[Hunk]] = {}
    done, failed = [], []
    for number, block in enumerate(found, 1):
        path, hunk, fault = _locate(block, texts)
        taken = hunks.setdefault(path, [])
        if hunk and any(hunk.first < other.last and other.first < hunk.last for other in taken):
            fault = "It overlaps a block before it: make one block of the two."
        if hunk and not fault:
            taken.append(hunk)
            done.append(number)
        else:
            failed.append(f"Block {number}{f' ({path})' if path else ''}: {fault}")
    new = {
        path: _revised(texts[path], apply(_contents(texts[path]), sorted(own))) for path, own in hunks.items() if own
    }
    return Applied(new, "\n\n".join([*_summary(done, failed, trouble), *failed, *trouble]))


def whole(reply: str, texts: Mapping[str, str]) -> Applied:
    """Take whole files, each in a fence below its path, as the new `texts`."""
    lines = reply.split("\n")
    fences = [number for number, line in enumerate(lines) if _FENCE.fullmatch(line)]
    opens = [(at, path) for at in fences if (path := _path_above(lines, at, texts))]
    if not opens and len(texts) == 1 and fences:
        opens = [(fences[0], next(iter(texts)))]
    new: dict[str, str] = {}
    trouble = [] if opens else ["There is no code in the reply. Answer with the whole file in a ``` fence."]
    for (at, path), (end, _) in zip(opens, [*opens[1:], (len(lines), "")], strict=True):
        closing = [number for number in fences if at < number < end]
        if closing:
            new[path] = _revised(texts[path], lines[at + 1 : closing[-1]])
        else:
            trouble.append(f"The code of {path} is not finished: its closing ``` is missing.")
    return Applied({path: text for path, text in new.items() if text != texts[path]}, "\n\n".join(trouble))


def _blocks(reply: str, texts: Mapping[str, str]) -> tuple[list[_Block], list[str]]:
    lines, found, trouble = reply.split("\n"), [], []
    start: int | None = None
    for number, line in enumerate(lines):
        if start is None and _SEARCH.fullmatch(line.rstrip("\r")):
            start = number
        elif start is not None and _REPLACE.fullmatch(line.rstrip("\r")):
            body = tuple(text.rstrip("\r") for text in lines[start + 1 : number])
            found.append(_Block(_path_above(lines, start, texts), body))
            start = None
    if start is not None:
        trouble.append(f"Block {len(found) + 1} is not finished: its >>>>>>> REPLACE is missing. Send it again, whole.")
    return found, trouble


def _path_above(lines: Sequence[str], at: int, texts: Mapping[str, str]) -> str:
    """Return what stands as a path on the line above, fences passed over; "" when nothing looks like one."""
    for line in reversed(lines[max(at - 3, 0) : at]):
        word = line.strip().strip("`*#: ")
        if word in texts:
            return word
        if word and not _FENCE.fullmatch(line):
            return word if re.fullmatch(r"\S+\.\w+|\S*/\S+", word) else ""
    return ""


def _locate(block: _Block, texts: Mapping[str, str]) -> tuple[str, Hunk | None, str]:
    """Return the path, the hunk and, when there is none, why not."""
    readings = block.readings()
    if not readings:
        return block.path, None, "It has no ======= line between what to find and what to put there."
    if block.path and block.path not in texts:
        return block.path, None, f"This file is not yours to change. Yours: {', '.join(texts)}."
    paths = [block.path] if block.path else list(texts)
    places = [
        (path, Hunk(at, at + len(search), tuple(replace)))
        for search, replace in readings
        for path in paths
        for at in _matches(_contents(texts[path]), search)
    ]
    if len(places) == 1:
        return places[0][0], places[0][1], ""
    path = paths[0] if len(paths) == 1 else ""
    if len(places) > 1:
        where = ", ".join(str(hunk.first + 1) for _, hunk in places[:5])
        return (
            path,
            None,
            f"SEARCH matches {len(places)} places (lines {where}). Add lines around it until it is unique.",
        )
    return path, None, _missed(*readings[0], [_contents(texts[path]) for path in paths])


def _matches(lines: Sequence[str], search: Sequence[str]) -> list[int]:
    if not search:
        return [] if any(lines) else [0]  # nothing can only be found in an empty file
    last = len(lines) - len(search)
    return [at for at in range(last + 1) if lines[at] == search[0] and list(lines[at : at + len(search)]) == search]


def _missed(search: list[str], replace: list[str], texts: list[list[str]]) -> str:
    if not search:
        return "SEARCH is empty. Quote the lines to be replaced."
    if replace and any(_matches(lines, replace) for lines in texts):
        return "SEARCH matches nothing, but what it should become is there already. Leave this block out."
    ratio, at, lines = max((_nearest(search, lines) for lines in texts), key=lambda found: found[0])
    if ratio < 0.6:
        return "SEARCH matches nothing, and nothing comes near it. Quote the lines exactly as they stand in the code."
    near = "\n".join(lines[at : at + min(len(search), _SHOWN)])
    return f"SEARCH matches nothing exactly. The nearest, from line {at + 1}, is:\n```\n{near}\n```"


def _nearest(search: list[str], lines: list[str]) -> tuple[float, int, list[str]]:
    """Return how alike (0 to 1) the most similar run of as many lines is, and where it begins."""
    matcher = SequenceMatcher(None, autojunk=False)
    matcher.set_seq2("\n".join(search))
    best = 0.0, 0
    for at in range(max(len(lines) - len(search), 0) + 1):
        matcher.set_seq1("\n".join(lines[at : at + len(search)]))
        if matcher.real_quick_ratio() > best[0] and matcher.quick_ratio() > best[0]:
            best = max(best, (matcher.ratio(), -at), key=lambda found: found[0])
    return best[0], -best[1], lines


def _summary(done: Sequence[int], failed: Sequence[str], trouble: Sequence[str]) -> list[str]:
    if not done or not (failed or trouble):
        return []
    return [f"Applied: block{'s' * (len(done) > 1)} {', '.join(map(str, done))}. Do not send what was applied again."]


def _contents(text: str) -> list[str]:
    return [line.rstrip("\r\n") for line in split(text)]


def _revised(text: str, contents: Sequence[str]) -> str:
    """Return `text` with these lines in it: lines that stay keep their ending, new ones get the file's usual one, and
    the end of the file stays as it is."""
    lines, usual = split(text), newline(text)
    hunks = [
        Hunk(hunk.first, hunk.last, tuple(line + usual for line in hunk.lines))
        for hunk in diff(_contents(text), list(contents))
    ]
    new = apply([line if line.endswith(("\n", "\r")) else line + usual for line in lines], hunks)
    result = "".join(new)
    if text and not text.endswith(("\n", "\r")):
        return result.removesuffix(usual)
    return result
