"""What commits hold, as evidence tells it: names of blobs, digests of their bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from operators.proc import GitError, git

NONE = set("0")
Descriptor = dict[str, Any]
"""A ResourceDescriptor of in-toto: name, uri, digest, annotations; a uri or a digest at least."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A file that differs between two commits."""

    path: str
    """Bytes that are no UTF-8 are told as `\\xff`."""
    blob: str
    """Of the later commit; "" when it has no such file."""
    before: str
    """Likewise of the earlier one."""


def changed(mirror: Path, base: str, commit: str) -> list[Changed]:
    """Return the files in which a commit differs from another, by path. Raises GitError."""
    told = git(mirror, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", base, commit)
    words = told.split(b"\0")[:-1]
    return [_changed(facts, path) for facts, path in zip(words[::2], words[1::2], strict=True)]


def _changed(facts: bytes, path: bytes) -> Changed:
    _, _, before, after, _ = facts.decode().split(" ")
    blobs = ("" if set(name) <= NONE else name for name in (after, before))
    return Changed(path.decode(errors="backslashreplace"), *blobs)


def hashes(mirror: Path, blobs: Sequence[str]) -> dict[str, str]:
    """Return the SHA-256, in hex, of the bytes of each blob. Raises GitError."""
    return {blob: sha256(data).hexdigest() for blob, data in _contents(mirror, list(dict.fromkeys(blobs)))}


def _contents(mirror: Path, blobs: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    told = git(mirror, "cat-file", "--batch", stdin="".join(f"{blob}\n" for blob in blobs).encode()) if blobs else b""
    at = 0
    for blob in blobs:
        end = told.index(b"\n", at)
        words = told[at:end].split(b" ")
        if len(words) != 3:
            raise GitError(f"{blob} is not in the repository any more")
        yield blob, told[end + 1 : end + 1 + int(words[2])]
        at = end + 2 + int(words[2])


def subjects(mirror: Path, base: str, commit: str) -> tuple[list[Descriptor], list[Descriptor]]:
    """Return the files that a commit adds or changes, and those that it removes, as in-toto describes them. Raises
    GitError."""
    files = changed(mirror, base, commit)
    sums = hashes(mirror, [one.blob for one in files if one.blob])
    held = [{"name": one.path, "digest": {"gitBlob": one.blob, "sha256": sums[one.blob]}} for one in files if one.blob]
    return held, [{"name": one.path, "digest": {"gitBlob": one.before}} for one in files if not one.blob]


def diff(mirror: Path, base: str, commit: str) -> Descriptor:
    """Describe a diff that depends on nothing but the two commits. Raises GitError."""
    options = ("-r", "--patch", "--full-index", "--binary", "--no-renames", "--no-ext-diff", "--no-textconv")
    told = git(mirror, "diff-tree", *options, "--diff-algorithm=myers", base, commit)
    return {"name": "diff", "digest": {"sha256": sha256(told).hexdigest()}}


def message(mirror: Path, commit: str) -> str:
    """Return the message of a commit. Raises GitError."""
    said = git(mirror, "show", "--no-patch", "--encoding=UTF-8", "--format=%B", commit).decode(errors="replace")
    return said.rstrip() + "\n"


def trailers(said: str) -> dict[str, str]:
    """Return the trailers of a commit's message: of several of a name, all, one a line."""
    found: dict[str, list[str]] = {}
    for line in said.rstrip().rpartition("\n\n")[2].splitlines():
        name, colon, value = line.partition(": ")
        if colon and name.replace("-", "").isalnum():
            found.setdefault(name, []).append(value)
    return {name: "\n".join(values) for name, values in found.items()}


def parents(mirror: Path, commit: str) -> list[str]:
    return git(mirror, "show", "--no-patch", "--format=%P", commit).decode().split()


def shallow(mirror: Path) -> bool:
    """Say whether the beginnings of histories are missing. Raises GitError."""
    return git(mirror, "rev-parse", "--is-shallow-repository").strip() == b"true"
