"""Builds commits by plumbing in our own bare repository: exact paths, exact bytes, fixed names and dates.

The same content on the same base is the same commit, whoever builds it and whenever, so that pushing twice is once; so
is what is signed, for the kinds of keys that are taken. Nothing of the target repository (attributes, filters, hooks)
has a say: git fast-import knows none of them.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from operators.data import Skip
from operators.proc import git
from operators.source import Source
from operators.spot import more_marks
from operators.workspace import Workspace
from pipelines.data import Repo
from pipelines.forge import NotPushed
from pipelines.signing import UMBAU, Committer, signature

REF = "refs/umbau/built"  # fast-import wants one, which is gone again at its end: branches are made by pushing
AT_ONCE = 500  # paths in one command; the system takes 2 MB of arguments
_NAME = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def commit(repo: Repo, files: Mapping[str, str | None], message: str, by: Committer = UMBAU) -> str:
    """Return the commit that makes `files` (None: deleted) of the base. Raises GitError, and NotPushed where a file
    would hold a placeholder in the place of a secret."""
    mirror, ws = Path(repo.mirror), Workspace(repo.base)
    _shown(ws, files)
    date = git(mirror, "show", "--no-patch", "--format=%ct", repo.commit).decode().strip()
    with tempfile.NamedTemporaryFile(prefix="umbau-") as marks:
        stream = b"".join(_commands(repo, ws, files, message.encode(), date, by))
        git(mirror, "fast-import", "--quiet", "--force", f"--export-marks={marks.name}", stdin=stream)
        return signed(mirror, checked(Path(marks.name).read_bytes().removeprefix(b":1 ")), by)


def _shown(ws: Workspace, files: Mapping[str, str | None]) -> None:
    """Raise NotPushed where a file, or its name, would hold more placeholders than the base has there. Checks see to it
    that no edit has any (operators.checks.secrets): this is for what was kept and does not fit the base any more."""
    for path, text in files.items():
        if text is None:
            continue
        try:
            before = ws.base_text(path)
        except Skip:
            before = ""
        if words := more_marks(before or "", text) or (more_marks("", path) if before is None else []):
            raise NotPushed(
                f"{path} would hold {words[0]}, which stands for a secret that could not be put back: what is kept of "
                "this edit does not fit the base any more. Nothing was committed; `umbau retry JOB SHARD` makes it anew"
            )


def signed(mirror: Path, commit: str, by: Committer) -> str:
    """Return a commit with a signature, as git itself writes it; the commit as it is for who has no key. Raises
    GitError."""
    if not by.key:
        return commit
    data = git(mirror, "cat-file", "commit", commit)
    header, _, message = data.partition(b"\n\n")
    lines = signature(data, by).rstrip(b"\n").replace(b"\n", b"\n ")
    made = header + b"\ngpgsig " + lines + b"\n\n" + message
    return checked(git(mirror, "hash-object", "-t", "commit", "-w", "--stdin", stdin=made))


def quoted(path: str) -> bytes:
    """Return a path as fast-import reads it, whatever characters it has."""
    return (
        b'"'
        + path.encode(errors="surrogateescape").replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
        + b'"'
    )


def checked(name: bytes) -> str:
    """Return an object name that git printed. An empty one in a refspec would delete the branch."""
    text = name.decode().strip()
    assert _NAME.fullmatch(text), f"git named no object but {text!r}"
    return text


def person(date: str, by: Committer = UMBAU) -> dict[str, str]:
    """Return the environment that makes us author and committer, at `date` (seconds since 1970)."""
    facts = {"NAME": by.name, "EMAIL": by.mail, "DATE": f"@{date} +0000"}
    return {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in facts.items()}


def _commands(
    repo: Repo, ws: Workspace, files: Mapping[str, str | None], message: bytes, date: str, by: Committer
) -> Iterator[bytes]:
    yield f"commit {REF}\nmark :1\ncommitter {by.name} <{by.mail}> {date} +0000\n".encode()
    yield b"data %d\n%s\nfrom %s\n" % (len(message), message, checked(repo.commit.encode()).encode())
    modes = _modes(repo, list(files))
    for path, text in sorted(files.items()):
        if text is None:
            yield b"D %s\n" % quoted(path)
            continue
        data = (ws.source(path) or Source("")).encode(text)
        mode = modes.get(path, "100644").encode()
        yield b"M %s inline %s\ndata %d\n%s\n" % (mode, quoted(path), len(data), data)
    yield b"reset %s\nfrom %s\n" % (REF.encode(), b"0" * len(repo.commit))


def _modes(repo: Repo, paths: Sequence[str]) -> dict[str, str]:
    """Return the modes that files have in the base; those it does not have are left out."""
    found = {}
    for at in range(0, len(paths), AT_ONCE):
        asked = ("--literal-pathspecs", "ls-tree", "-z", "--full-tree", repo.commit, "--", *paths[at : at + AT_ONCE])
        for entry in git(Path(repo.mirror), *asked).decode().split("\0")[:-1]:
            facts, _, path = entry.partition("\t")
            found[path] = facts.split()[0]
    return found
