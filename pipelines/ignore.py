"""`.umbauignore`: what a repository says is to be left alone."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from operators.proc import GitError, git
from pipelines.data import Repo

FILE = ".umbauignore"
MAX_BYTES = 64 << 10
TIMEOUT = 60.0  # seconds: the file comes with the repository, and there are patterns that take for ever


class LeftAlone(Exception):
    """Nothing in the repository is to be changed; the message says why."""


def ignored(repo: Repo, files: Mapping[str, str]) -> set[str]:
    """Return which of these files, path to blob, the repository's own `.umbauignore` names, by the rules of .gitignore.
    Raises LeftAlone when it has no line, which means all of them, or cannot be read: then it may mean all of them.
    """
    mirror = Path(repo.mirror)
    facts, _, _ = git(mirror, "ls-tree", "-l", "-z", "--full-tree", repo.commit, "--", FILE).partition(b"\t")
    if not facts:
        return set()
    mode, _, blob, size = facts.decode().split()
    if mode not in {"100644", "100755"} or int(size) > MAX_BYTES:
        raise LeftAlone(f"repository has a {FILE} that cannot be read")
    text = git(mirror, "cat-file", "blob", blob)
    if not re.search(rb"^[ \t]*[^#\s]", text, re.M):
        raise LeftAlone(f"repository has {FILE}")
    with tempfile.TemporaryDirectory(prefix="umbau-") as folder:
        patterns, place = Path(folder) / "patterns", Path(folder) / "place"
        patterns.write_bytes(text)
        place.mkdir()
        # An index of these files alone, and an empty folder where git looks for them.
        env = {"GIT_INDEX_FILE": f"{folder}/index", "GIT_WORK_TREE": str(place)}
        index = b"".join(f"100644 {sha} 0\t{path}\0".encode() for path, sha in files.items())
        try:
            git(mirror, "update-index", "-z", "--index-info", stdin=index, env=env)
            listed = ("ls-files", "-z", "--cached", "--ignored", f"--exclude-from={patterns}")
            found = git(mirror, *listed, env=env, timeout=TIMEOUT)
        except GitError as why:
            raise LeftAlone(f"repository has a {FILE} that cannot be followed: {why}") from None
    return {path.decode() for path in found.split(b"\0") if path}
