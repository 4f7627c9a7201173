"""Definitions of what shards import from their own repository and use."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from operators import guard
from operators.data import Span
from pipelines.modules import places
from pipelines.select import Cut, Hit, texts

Place = tuple[str, str]  # file and top-level name in it
MOST = 20  # shown with one shard
_WORD = re.compile(r"\w+")


def definitions(mirror: Path, files: Mapping[str, str], cuts: Sequence[Cut]) -> Iterator[list[Span]]:
    """Yield for each shard the definitions of what it uses, in the order of first use."""
    wanted = [[list(places(level, dotted, path, files)) for path, level, dotted in uses] for uses in _uses(cuts)]
    first = _defined(mirror, files, (place for uses in wanted for use in uses for place in use))
    onward = {
        place: [other for level, dotted in found["imported"] for other in places(level, dotted, place[0], files)]
        for place, found in first.items()
    }  # what a package only hands on is looked for once more
    second = _defined(mirror, files, (other for others in onward.values() for other in others))
    for (hits, _), uses in zip(cuts, wanted, strict=True):
        own = {hit.path for hit in hits}
        shown: dict[Place, list[Span]] = {}
        for use in uses:
            for place, found in _first(use, first, onward, second):
                if place[0] not in own:
                    shown[place] = [Span(*place, *lines) for lines in found]
        yield [span for spans in islice(shown.values(), MOST) for span in spans]


def _first(
    use: Iterable[Place],
    first: Mapping[Place, Mapping[str, Any]],
    onward: Mapping[Place, Sequence[Place]],
    second: Mapping[Place, Mapping[str, Any]],
) -> Iterator[tuple[Place, Any]]:
    """Yield the first place of those where a name may be defined at which it is, and the lines; or nothing."""
    for place in use:
        for one, known in ((place, first), *((other, second) for other in onward.get(place, ()))):
            if one in known and known[one]["lines"]:
                yield one, known[one]["lines"]
                return


def _uses(cuts: Sequence[Cut]) -> list[list[tuple[str, int, str]]]:
    """Return for each shard file, leading dots and name of each use of something imported. Each file is parsed once."""
    parts: dict[Hit, list[tuple[int, list[tuple[int, int]]]]] = defaultdict(list)
    for number, (hits, spans) in enumerate(cuts):
        for hit in hits:
            parts[hit].append((number, [(span.first, span.last) for span in spans if span.path == hit.path]))
    found: list[list[tuple[str, int, str]]] = [[] for _ in cuts]
    for hit, those in parts.items():
        if hit.path.endswith((".py", ".pyi")):
            uses = guard.tried("uses:used", text=hit.text, parts=[spans for _, spans in those]) or [[]] * len(those)
            for (number, _), names in zip(those, uses, strict=True):
                found[number] += [(hit.path, level, dotted) for level, dotted in names]
    return found


def _defined(mirror: Path, files: Mapping[str, str], wanted: Iterable[Place]) -> dict[Place, dict[str, Any]]:
    """Return of each place whether the name is defined there, and on which lines, or imported, and from where."""
    names: dict[str, dict[str, None]] = defaultdict(dict)
    for path, name in wanted:
        names[path][name] = None
    found: dict[Place, dict[str, Any]] = {}
    for path, text in texts(mirror, {path: files[path] for path in names}):
        there = set(_WORD.findall(text))
        if here := [name for name in names[path] if name in there]:
            told = guard.tried("shown:definitions", text=text, names=here) or {"lines": {}, "imported": {}}
            for name in here:
                found[path, name] = {what: those.get(name, []) for what, those in told.items()}
    return found
