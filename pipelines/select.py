"""Which files of a commit a job is about. Nothing outside the detector's hits is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pathspec import GitIgnoreSpec

from operators.data import Skip
from operators.proc import GitError, git, git_records
from operators.source import MAX_BYTES, decode, generated, split
from pipelines.job import Select

MAX_FILES = 1_000_000  # in one commit; a handful of objects can describe billions
_KINDS = {b"120000": "symbolic link", b"160000": "submodule"}


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


@dataclass(frozen=True, slots=True)
class Selection:
    entries: Mapping[str, Entry]
    """All files of the commit."""
    hits: Sequence[Hit]
    left_out: Mapping[str, str]
    """Path, as it can be shown, to the reason."""


def select(mirror: Path, commit: str, what: Select) -> Selection:
    """Find the files that `what` asks for, in the order of their paths. Raises GitError."""
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
        reason = _unfit(name, entries[name].mode) or ("excluded" if excluded.match_file(path) else "")
        if reason:
            left_out[_shown(name)] = reason
        else:
            looked_at[path] = entries[name].blob
    hits = list(_read(mirror, looked_at, what, left_out))
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
    if not what.contains:
        return None
    globs = [f":(glob){pattern}" for glob in what.files for pattern in _as_pathspec(glob)]
    try:
        # A record is `commit:name`. git's -P is PCRE, which reads nearly all of Python's patterns; _read decides.
        found = git_records(
            mirror, "grep", "-l", "-z", "-P", "-e", what.contains, commit, "--", *globs, limit=MAX_FILES, codes=(0, 1)
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
    return "name holds a control character" if any(ord(character) < 32 for character in text) else ""


def _read(mirror: Path, blobs: Mapping[str, str], what: Select, left_out: dict[str, str]) -> Iterator[Hit]:
    pattern = re.compile(what.contains)
    sizes = git(mirror, "cat-file", "--batch-check=%(objectsize)", stdin=_lines(blobs.values())).split()
    small = {}
    for (path, blob), size in zip(blobs.items(), sizes, strict=True):
        if int(size) > MAX_BYTES:
            left_out[path] = f"larger than {MAX_BYTES >> 20} MB"
        else:
            small[path] = blob
    data = git(mirror, "cat-file", "--batch=%(objectsize)", stdin=_lines(small.values()))
    at = 0
    for path, blob in small.items():
        start = data.index(b"\n", at) + 1
        at = start + int(data[at:start]) + 1
        try:
            text = decode(data[start : at - 1], path).text
        except Skip as why:
            left_out[path] = str(why)
            continue
        if what.contains and not any(pattern.search(line) for line in split(text)):
            continue
        if generated(text):
            left_out[path] = "generated"
        else:
            yield Hit(path, blob, text)


def _lines(blobs: Iterable[str]) -> bytes:
    return "".join(f"{blob}\n" for blob in blobs).encode()


def _shown(name: bytes) -> str:
    """Return a name that may hold anything as it can be printed and stored."""
    text = name.decode(errors="backslashreplace")
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
