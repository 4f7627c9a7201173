"""Where the search text of a block stands and, where it stands nowhere, what it may have meant.

The latter is only told to the model, never applied.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from heapq import nlargest

from operators.hunks import Hunk

SHOWN = 20  # lines of a near match that are quoted back
LOOKED_AT = 500  # characters of each run that are compared, of as many lines as have most lines in common
COMPARED = 8  # runs that are compared in order, which takes quadratic time; the others only by their letters


def locate(
    readings: Sequence[tuple[list[str], list[str]]], texts: Mapping[str, list[str]], last: str, *, explain: bool = True
) -> tuple[str, Hunk] | str:
    """Return the path and the hunk of the first reading (what to find, what to put there) that is found in exactly
    one place, or else why not, in words for the model. Lines are without their endings. `last`: the path to prefer.
    `explain`: look for the nearest match, which takes a tenth of a second for 10,000 lines."""
    for search, replace in readings:
        places = [(path, at) for path, lines in texts.items() for at in _matches(lines, search)]
        if len(places) > 1 and len(own := [place for place in places if place[0] == last]) == 1:
            places = own
        if len(places) == 1:
            path, at = places[0]
            return path, Hunk(at, at + len(search), tuple(replace))
        if places:
            return _ambiguous(places)
    return _missed(*readings[-1], list(texts.values()), explain)


def _ambiguous(places: Sequence[tuple[str, int]]) -> str:
    if len({path for path, _ in places}) > 1:
        where = ", ".join(f"{path} line {at + 1}" for path, at in places[:5])
        return f"SEARCH matches {len(places)} places ({where}). Name the file on the line above the block."
    where = ", ".join(str(at + 1) for _, at in places[:5])
    return f"SEARCH matches {len(places)} places (lines {where}). Add lines around it until it is unique."


def _matches(lines: Sequence[str], search: Sequence[str]) -> list[int]:
    if not search:
        return [] if any(lines) else [0]  # nothing can only be found in an empty file
    last = len(lines) - len(search)
    return [at for at in range(last + 1) if lines[at] == search[0] and list(lines[at : at + len(search)]) == search]


def _missed(search: list[str], replace: list[str], texts: list[list[str]], explain: bool) -> str:
    if not search:
        return "SEARCH is empty. Quote the lines to be replaced."
    if replace and any(_matches(lines, replace) for lines in texts):
        return "SEARCH matches nothing, but what it should become is there already. Leave this block out."
    if not explain:
        return "SEARCH matches nothing exactly."
    (ratio, at), lines = max(((_nearest(search, lines), lines) for lines in texts), key=lambda found: found[0][0])
    if ratio < 0.6:
        return "SEARCH matches nothing, and nothing comes near it. Quote the lines exactly as they stand in the code."
    near = "\n".join(lines[at : at + min(len(search), SHOWN)])
    return f"SEARCH matches nothing exactly. The nearest, from line {at + 1}, is:\n```\n{near}\n```"


def _nearest(search: Sequence[str], lines: Sequence[str]) -> tuple[float, int]:
    """Return how alike (0 to 1) the most similar run of as many lines is, and where it begins (0-based).

    Runs that have most lines in common, indentation apart, come first; characters decide between those.
    """
    common = _in_common(search, lines)
    most = max(common)
    matcher = SequenceMatcher(None, autojunk=False)
    matcher.set_seq2("\n".join(search)[:LOOKED_AT])

    def alike(at: int, how: Callable[[], float]) -> tuple[float, int]:
        matcher.set_seq1("\n".join(lines[at : at + len(search)])[:LOOKED_AT])
        return how(), -at

    rough = (alike(at, matcher.quick_ratio) for at, count in enumerate(common) if count == most)
    ratio, at = max(alike(-at, matcher.ratio) for _, at in nlargest(COMPARED, rough))
    return ratio, -at


def _in_common(search: Sequence[str], lines: Sequence[str]) -> list[int]:
    """Return, for each run of as many lines, how many of its lines are among those of `search`."""
    wanted = Counter(text for line in search if any(map(str.isalnum, text := line.strip())))
    have: Counter[str] = Counter()
    bare = [line.strip() for line in lines]
    count, counts = 0, []
    for at, text in enumerate(bare):
        have[text] += 1
        count += have[text] <= wanted[text]
        if at >= len(search):
            gone = bare[at - len(search)]
            count -= have[gone] <= wanted[gone]
            have[gone] -= 1
        if at >= len(search) - 1:
            counts.append(count)
    return counts or [count]
