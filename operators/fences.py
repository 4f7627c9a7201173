"""From a model's reply to new texts: whole files, each in a fence below its path."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import takewhile
from operator import not_

from operators.hunks import Hunk
from operators.reply import FENCE, Applied, path_above, spoken
from operators.revise import contents, placeholder, revised

_ASIDE = frozenset({"bash", "sh", "shell", "console", "text", "diff"})  # how to run it, what it prints, what changed
_DEFINED = re.compile(r"(?:async\s+def|def|class)\s+(\w+)")
_BOUND = re.compile(r"(?:from|import)\b.*|\w[\w, ]*(?::[^=]+)?=(?!=)")
_REMOVED = re.compile(r"\W*removed:(.*)", re.I)


@dataclass(frozen=True, slots=True)
class _Fence:
    path: str
    """"" when none stands above it."""
    info: str
    body: tuple[str, ...] = ()
    trouble: str = ""
    """Why it is not known where the body ends."""


def whole(reply: str, texts: Mapping[str, str]) -> Applied:
    """Take whole files as the new `texts` (path to text as shown)."""
    lines = spoken(reply)
    removed = {word for line in lines if (found := _REMOVED.fullmatch(line)) for word in re.findall(r"\w+", found[1])}
    files: dict[str, list[_Fence]] = {}
    for fence in _meant(list(_fences(lines, texts)), texts):
        files.setdefault(fence.path, []).append(fence)
    new: dict[str, str] = {}
    trouble = [] if files else ["There is no code in the reply. Answer with the whole file in a ``` fence."]
    for path, own in files.items():
        fault = _misplaced(path, own, texts)
        if not fault:
            before = contents(texts[path])
            after = _framed(before, own[0])
            fault = _lost(path, before, after, removed)
            new[path] = texts[path] if fault else revised(texts[path], [Hunk(0, len(before), tuple(after))])
        trouble += [fault] if fault else []
    return Applied({path: text for path, text in new.items() if text != texts[path]}, "\n\n".join(trouble))


def _fences(lines: Sequence[str], texts: Mapping[str, str]) -> Iterator[_Fence]:
    at, floor = 0, 0
    while at < len(lines):
        opening = FENCE.fullmatch(lines[at])
        if not opening:
            at += 1
            continue
        path = path_above(lines[floor : at + 1], texts)
        name = path or (next(iter(texts)) if len(texts) == 1 else "this file")
        ends = _ends(opening, lines, at + 1)
        found = _Fence(path, opening[3])
        if not ends:
            yield replace(found, trouble=f"The code of {name} is not finished: its closing {opening[2]} is missing.")
            at += 1
        elif len(ends) > 1 and any(_like(opening, line) for line in contents(texts.get(name, ""))):
            longer = opening[2] + opening[2][0]
            yield replace(found, trouble=f"{name} holds fences itself, where does it end? Put it into {longer} fences.")
            at = floor = ends[-1] + 1
        else:
            yield replace(found, body=tuple(lines[at + 1 : ends[0]]))
            at = floor = ends[0] + 1


def _ends(opening: re.Match[str], lines: Sequence[str], start: int) -> list[int]:
    """Return which lines from `start` on may end the code: those with nothing behind the fence that end no other."""
    depth, ends = 0, []
    for number in range(start, len(lines)):
        if fence := _like(opening, lines[number]):
            ends += [number] if not depth and not fence[3] else []
            depth = depth + 1 if fence[3] else max(depth - 1, 0)
    return ends


def _like(opening: re.Match[str], line: str) -> re.Match[str] | None:
    """Return the fence that a line is, if it could end what `opening` begins but for what stands behind it."""
    fence = FENCE.fullmatch(line)
    return fence if fence and fence[1] == opening[1] and fence[2].startswith(opening[2]) else None


def _meant(fences: Sequence[_Fence], texts: Mapping[str, str]) -> list[_Fence]:
    """Return the fences that are meant to be files: those below a path, or the one there is for the only file."""
    named = [fence for fence in fences if fence.path]
    if named:
        return [*named, *(fence for fence in fences if not fence.path and fence.trouble)]
    code = [fence for fence in fences if fence.info not in _ASIDE]
    return [replace(code[0], path=next(iter(texts)))] if len(code) == len(texts) == 1 else code


def _misplaced(path: str, own: Sequence[_Fence], texts: Mapping[str, str]) -> str:
    """Say why the fences of a path cannot be taken for its file, "" when they can."""
    if path and path not in texts:
        return f"{path} is not yours to change. Yours: {', '.join(texts)}."
    if own[0].trouble:
        return own[0].trouble
    if not path:
        return "Which file is this? Put its path on the line above the ``` fence."
    if len(own) > 1:
        return f"There are {len(own)} fences for {path}, of which none was taken. Send the whole file, once."
    return ""


def _framed(before: Sequence[str], fence: _Fence) -> list[str]:
    """Return the code of a fence with the blank lines of before at both ends, which the prompt leaves out, and without
    a first line that only names the file."""
    body = list(fence.body)
    if body and body[0].strip("#/* ").removeprefix("./") == fence.path and before[:1] != body[:1]:
        del body[0]
    if not any(before):
        return body
    while body and not body[-1]:
        del body[-1]
    first = next((number for number, line in enumerate(body) if line), len(body))
    return [*takewhile(not_, before), *body[first:], *takewhile(not_, reversed(before))]


def _lost(path: str, before: Sequence[str], after: Sequence[str], removed: Set[str]) -> str:
    """Say what of a file the reply lacks and nobody said had to go, "" when it is whole."""
    if any(before) and not any(after):
        return f"The code of {path} is empty. Send the whole file."
    if left_out := placeholder(before, after):
        return f"{path}: `{left_out}` stands for code that was left out. Send the whole file."
    now = _defined(after)
    bound = {word for line in after if (found := _BOUND.match(line)) for word in re.findall(r"\w+", found[0])}
    gone = [name for name in _defined(before) if name not in {*now, *bound, *removed}]
    if len(gone) > len(set(now).difference(_defined(before))):  # else each has one in its place, by another name
        return (
            f"{path}: {', '.join(gone[:10])} would be gone. Send the whole file; what has to go is named below it, as "
            f"in `Removed: {gone[0]}`."
        )
    return ""


def _defined(lines: Sequence[str]) -> list[str]:
    return [found[1] for line in lines if (found := _DEFINED.match(line))]
