"""Places that name what shards define: by text search, as the detector looks."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from operators import guard
from operators.data import Span
from operators.proc import GitError, git_records
from operators.source import split
from pipelines.select import MAX_FILES, Cut, Hit, texts

MOST = 6  # functions shown with one shard
AT_ONCE = 500  # names in one pattern: PCRE's longest has some 60,000 characters
SEEN = 100  # places at which a name is noted: one with more is used everywhere
_WORD = re.compile(r"\w+")
_OWN = re.compile(r"\s*(?:from|import|def|async\s+def)\s")  # what these lines name is imported or defined there
_BOUND = re.compile(r"\s*(?:(?:class|for)\s+(\w+)|(\w+)\s*[^\w\s(.\[=]{0,3}=(?!=))")  # a name of the line's own


class Place(NamedTuple):
    """A line that has a name; calls come first."""

    mentions: bool
    path: str
    line: int


def callers(mirror: Path, commit: str, files: Mapping[str, str], cuts: Sequence[Cut]) -> Iterator[list[Span]]:
    """Yield for each shard places that name what it defines, the nearest files first."""
    names = [_names(hits, spans) for hits, spans in cuts]
    seen = _seen(mirror, commit, files, {name for some in names for name in some})
    picked = [
        _picked(cut, {place for name in some for place in seen[name]}) for cut, some in zip(cuts, names, strict=True)
    ]
    parts: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for shard, chosen in enumerate(picked):
        for one in chosen:
            parts[one.path][shard].append(one.line)
    found: list[dict[str, list[tuple[str, Any]]]] = [{} for _ in cuts]
    for path, text in texts(mirror, {path: files[path] for path in parts}):
        told = guard.tried("shown:callers", text=text, parts=[sorted(those) for those in parts[path].values()]) or []
        for shard, those in zip(parts[path], told, strict=False):
            found[shard][path] = those
    for some, here in zip(picked, found, strict=True):
        near = [(path, *one) for path in dict.fromkeys(one.path for one in some) for one in here.get(path, [])]
        yield [Span(path, name, *lines) for path, name, those in near[:MOST] for lines in those]


def _names(hits: Sequence[Hit], spans: Sequence[Span]) -> set[str]:
    """Return what a shard's functions, methods and classes are called; Python's own (`__init__`) are called by all."""
    symbols = [span.symbol for span in spans]
    if not spans:
        tops = [
            guard.tried("cut:cut", text=hit.text, hits="", most=1 << 30) or []
            for hit in hits
            if hit.path.endswith(".py")
        ]
        symbols = [name for those in tops for name, _, _ in those]
    found = {symbol.rpartition(".")[2] for symbol in symbols}
    return {name for name in found if name.isidentifier() and not name.startswith("__")}


def _seen(mirror: Path, commit: str, files: Mapping[str, str], names: set[str]) -> dict[str, list[Place]]:
    """Return file and line of the places at which each name stands, imports and definitions left out."""
    found: dict[str, list[Place]] = {name: [] for name in names}
    if not names:
        return found
    for path, text in texts(mirror, _holding(mirror, commit, files, sorted(names))):
        for number, line in enumerate(split(text), 1):
            here = names.intersection(_WORD.findall(line))
            if here and not _OWN.match(line):
                bound = _BOUND.match(line)
                for name in here.difference(bound.groups() if bound else ()):
                    if len(found[name]) < SEEN:
                        found[name].append(Place(f"{name}(" not in line, path, number))
    return found


def _holding(mirror: Path, commit: str, files: Mapping[str, str], names: Sequence[str]) -> Mapping[str, str]:
    """Return the files that may have one of the names in them; all where git cannot tell."""
    chunks = ["|".join(names[start : start + AT_ONCE]) for start in range(0, len(names), AT_ONCE)]
    patterns = [part for chunk in chunks for part in ("-e", rf"(*UCP)\b(?:{chunk})\b")]
    args = ("grep", "-l", "-z", "-P", *patterns, commit, "--", "*.py", "*.pyi")
    try:
        found = list(git_records(mirror, *args, limit=MAX_FILES, codes=(0, 1)))
    except (GitError, OSError):  # a git without PCRE, or more names than a command line may have
        return files
    paths = [record.partition(b":")[2].decode(errors="replace") for record in found]
    return {path: files[path] for path in paths if path in files}


def _picked(cut: Cut, seen: Iterable[Place]) -> list[Place]:
    """Return the places outside of the shard that are worth looking at, those in files near by first."""
    hits, spans = cut
    own, folder = {hit.path for hit in hits}, hits[0].path.rpartition("/")[0]

    def outside(path: str, number: int) -> bool:
        mine = [span for span in spans if span.path == path]
        return path not in own or (bool(mine) and not any(one.first <= number <= one.last for one in mine))

    near = sorted(seen, key=lambda one: (one.path not in own, one.path.rpartition("/")[0] != folder, one))
    return [one for one in near if outside(one.path, one.line)][: 3 * MOST]  # several may be in one function
