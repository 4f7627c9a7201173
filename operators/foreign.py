"""Long passages of a model's that come from nowhere that can be seen: perhaps from what it was trained on."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable, Iterator, Mapping

from operators.data import Passage
from operators.hunks import diff
from operators.source import split

LEAST = 10
"""Lines of a passage. Of 150 functions of the standard library with 20 lines of code or more, put into files of
another project, 97 % are found; of 22 real migrations none has more than one foreign line in a row."""
_WORD = re.compile(r"\w{2,}")
_EVERYWHERE = frozenset({*keyword.kwlist, *dir(builtins), "self", "cls"})


def passages(
    before: Mapping[str, str], after: Mapping[str, str | None], shown: Iterable[str], least: int
) -> tuple[Passage, ...]:
    """Return the passages in texts that a model wrote (path to text, `before` as it found them) of which at least
    `least` lines are foreign: new, and with most of their words in nothing that it was shown. `shown`: that, the files
    themselves left out. With `least` 0 nothing is looked for.

    Words count, not their order: so what is only moved, renamed in part or put in another way is not foreign. Lines
    without words, blank ones for instance, count neither way; a few lines in between that are not foreign end nothing.
    """
    if not least:
        return ()
    known = {word for text in (*shown, *before.values()) for word in _words(text)}
    return tuple(
        one for path, text in after.items() if text for one in _passages(path, before.get(path, ""), text, known, least)
    )


def told(passage: Passage) -> str:
    """Say what a person should know of a passage; its path stands between backticks."""
    lines = f"lines {passage.first} to {passage.last} stand in nothing that the model was shown"
    return f"`{passage.path}`: {lines}; it may know them by heart, and their licence would be another's"


def _passages(path: str, before: str, after: str, known: set[str], least: int) -> Iterator[Passage]:
    found: list[int] = []  # foreign lines, as long as there are more of them than others in between
    ahead = most = whole = 0  # by how many; by how many at most, and the number of foreign lines up to there
    for number, foreign in [*_foreign(before, after, known), *((0, False),) * len(split(after))]:
        if foreign:
            found.append(number)
            ahead += 1
            if ahead >= most:
                most, whole = ahead, len(found)
        elif found:
            ahead -= 1
        if found and not ahead:
            if whole >= least:
                yield Passage(path, found[0], found[whole - 1])
            found, most, whole = [], 0, 0


def _foreign(before: str, after: str, known: set[str]) -> Iterator[tuple[int, bool]]:
    """Yield each line of `after` with words, by its number, and whether it is foreign."""
    lines, shift, new = split(after), 0, set[int]()
    for hunk in diff(split(before), lines):
        new.update(range(hunk.first + shift, hunk.first + shift + len(hunk.lines)))
        shift += hunk.grows
    for at, line in enumerate(lines):
        if words := _words(line):
            yield at + 1, at in new and 2 * len(words & known) < len(words)


def _words(text: str) -> set[str]:
    """Return the words of a text that do not stand in any code anyway."""
    return {*_WORD.findall(text)} - _EVERYWHERE
