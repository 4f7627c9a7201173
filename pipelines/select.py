"""Which files of a commit a job is about. Nothing outside the detector's hits is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from operators.data import Skip, Span
from operators.proc import GitError, git, git_records
from operators.source import MAX_BYTES, decode, generated, split
from operators.spot import MASKED, mostly, spot
from pipelines.job import Select

MAX_FILES = 1_000_000  # in one commit; a handful of objects can describe billions
AT_ONCE = 64 << 20  # bytes of files that are read in one go
NAMED = "name holds a secret"
GUARDS = ".umbau-guard/"  # where guards stand, which say what old code is (pipelines.guard)
_KINDS = {b"120000": "symbolic link", b"160000": "submodule"}
# What git's PCRE reads otherwise than Python does: lines, which are patterns of their own, and a{,3}, [[:x].
_OTHERWISE = re.compile(r"\n|\{,|\[:")
# Files that git cannot search as Python does, hence read: in another encoding than UTF-8 (PEP 263), where PCRE
# matches nothing but ASCII, and with \r, which git takes for a part of the line.
_READ = ("-e", r"^[ \t\f]*#.*?coding[:=][ \t]*(?!(?i:utf))[-\w.]", "-e", r"\r")
_ORDINARY = re.compile(r"[^][\\!#]*[^][\\!# ]")  # a path pattern that git and pathspec read alike


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of the commit."""

    mode: bytes
    blob: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A file that the job is about."""

    path: str
    blob: str
    text: str


Cut = tuple[Sequence[Hit], tuple[Span, ...]]
"""The files of a shard and, where it is cut finer, its symbols."""


@dataclass(frozen=True, slots=True)
class Selection:
    entries: Mapping[str, Entry]
    """All files of the commit."""
    hits: Sequence[Hit]
    left_out: Mapping[str, str]
    """Path, as it can be shown, to the reason."""


def select(mirror: Path, commit: str, what: Select, *, secret: bool = False) -> Selection:
    """Find the files that `what` asks for, in the order of their paths. `secret`: also those that are too secret to be
    shown to anybody. Raises GitError."""
    with ThreadPoolExecutor(2) as pool:
        listing = pool.submit(_entries, mirror, commit)
        matching = pool.submit(_matching, mirror, commit, what)
        entries, matched = listing.result(), matching.result()
    wanted, excluded = GitIgnoreSpec.from_lines(what.files), GitIgnoreSpec.from_lines(what.exclude)
    left_out: dict[str, str] = {}
    looked_at: dict[str, str] = {}
    for name in entries if matched is None else matched:
        path = name.decode(errors="surrogateescape")
        if not wanted.match_file(path):
            continue
        unfit = _unfit(name, entries[name].mode)
        reason = "" if secret and unfit == NAMED else unfit
        reason = reason or ("excluded" if excluded.match_file(path) else "")
        reason = reason or ("Umbau's own" if path.startswith(GUARDS) else "")
        if reason:
            left_out[MASKED if reason == NAMED else _shown(name)] = reason
        else:
            looked_at[path] = entries[name].blob
    hits = list(_read(mirror, looked_at, what, left_out, secret=secret))
    usable = {name.decode(): entry for name, entry in entries.items() if not _unfit(name, entry.mode)}
    return Selection(usable, hits, left_out)


def _entries(mirror: Path, commit: str) -> dict[bytes, Entry]:
    found = {}
    for record in git_records(mirror, "ls-tree", "-r", "-z", "--full-tree", commit, limit=MAX_FILES):
        facts, _, name = record.partition(b"\t")
        mode, _, blob = facts.split(b" ")
        found[name] = Entry(mode, blob.decode())
    return dict(sorted(found.items()))


def _matching(mirror: Path, commit: str, what: Select) -> list[bytes] | None:
    """Return the names of files in which the detector matches a line; None: not asked, or git cannot tell."""
    if not what.contains or _OTHERWISE.search(what.contains):
        return None
    globs = [f":(glob){pattern}" for glob in what.files for pattern in _as_pathspec(glob)]
    if not all(map(_ORDINARY.fullmatch, what.files)):
        globs = []
    # Within brackets git matches line by line. Without, it looks at all of a file first, where \A, $ and (?<! see the
    # neighbouring lines. UCP: \w, \d and \b mean what they mean in Python. _read decides.
    patterns = ("(", "-e", f"(*UCP){what.contains}", *_READ, ")")
    try:
        # A record is `commit:name`.
        found = git_records(
            mirror, "grep", "-l", "-z", "-P", *patterns, commit, "--", *globs, limit=MAX_FILES, codes=(0, 1)
        )
        return [record.partition(b":")[2] for record in found]
    except GitError:
        return None  # a git without PCRE, or a pattern that only Python knows: every selected file is read


def _as_pathspec(glob: str) -> Iterator[str]:
    """Say a .gitignore pattern in git's own terms, rather too wide than too narrow."""
    bare = glob.strip("/")
    anywhere = "" if "/" in glob.rstrip("/") else "**/"
    yield f"{anywhere}{bare}"
    yield f"{anywhere}{bare}/**"


def _unfit(name: bytes, mode: bytes) -> str:
    if mode in _KINDS:
        return _KINDS[mode]
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return "name is not UTF-8"
    if any(ord(character) < 32 for character in text):
        return "name holds a control character"
    return NAMED if spot(text) else ""


def _read(
    mirror: Path, blobs: Mapping[str, str], what: Select, left_out: dict[str, str], *, secret: bool
) -> Iterator[Hit]:
    pattern = re.compile(what.contains)
    for path, blob, data in _contents(mirror, blobs, left_out):
        try:
            text = decode(data, path).text
        except Skip as why:
            left_out[path] = str(why)
            continue
        if what.contains and not any(pattern.search(line.rstrip("\r\n")) for line in split(text)):
            continue
        if generated(text):
            left_out[path] = "generated"
        elif not secret and (reason := mostly(path, text)):
            left_out[path] = reason
        else:
            yield Hit(path, blob, text)


def texts(mirror: Path, blobs: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield path and text of each file that can be read as one, told as path to blob. Raises GitError."""
    for path, _, data in _contents(mirror, blobs, {}) if blobs else ():
        with suppress(Skip):
            yield path, decode(data, path).text


def _contents(mirror: Path, blobs: Mapping[str, str], left_out: dict[str, str]) -> Iterator[tuple[str, str, bytes]]:
    """Yield path, blob and bytes of each file that is not too large."""
    sizes = git(mirror, "cat-file", "--batch-check=%(objectsize)", stdin=_lines(blobs.values())).split()
    batch: list[tuple[str, str]] = []
    total = 0
    for (path, blob), size in zip(blobs.items(), map(int, sizes), strict=True):
        if size > MAX_BYTES:
            left_out[path] = f"larger than {MAX_BYTES >> 20} MB"
            continue
        if total + size > AT_ONCE:
            yield from _batch(mirror, batch)
            batch, total = [], 0
        batch.append((path, blob))
        total += size
    yield from _batch(mirror, batch)


def _batch(mirror: Path, batch: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, bytes]]:
    data = git(mirror, "cat-file", "--batch=%(objectsize)", stdin=_lines(blob for _, blob in batch))
    at = 0
    for path, blob in batch:
        start = data.index(b"\n", at) + 1
        at = start + int(data[at:start]) + 1
        yield path, blob, data[start : at - 1]


def _lines(blobs: Iterable[str]) -> bytes:
    return "".join(f"{blob}\n" for blob in blobs).encode()


def _shown(name: bytes) -> str:
    """Return a name that may hold anything as it can be printed and stored."""
    text = name.decode(errors="backslashreplace")
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
