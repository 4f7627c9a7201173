"""What Umbau pushed to a branch on GitHub, and how far it got with the request: what a crash must not take away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from operators.proc import GitError, git
from pipelines.bare import grown, has
from pipelines.commit import checked
from pipelines.data import Repo
from pipelines.forge import Memory
from pipelines.forges.remote import Branches


@dataclass(frozen=True, slots=True)
class Pushed:
    commits: tuple[str, ...] = ()
    """What was pushed last, and after it what GitHub made of that by merging the base branch into it."""
    digest: str = ""
    title: str = ""
    squash: bool = False
    delete_branch: bool = False
    done: bool = True
    """Whether the request says and has all that it should."""


class Ledger:
    """What was pushed where, and which commits are ours."""

    def __init__(self, memory: Memory, branches: Callable[[], Branches], site: str) -> None:
        self._memory, self._branches, self._site = memory, branches, site

    def of(self, repo: str, branch: str) -> Pushed:
        found = self._memory.recall(self._key(repo, branch))
        return Pushed(**{**found, "commits": tuple(found["commits"])}) if found else Pushed()

    def note(self, repo: str, branch: str, pushed: Pushed) -> None:
        if pushed != self.of(repo, branch):
            self._memory.remember(self._key(repo, branch), asdict(pushed))

    def ours(self, repo: Repo, branch: str, head: str) -> bool:
        """Say whether nobody but Umbau, and GitHub at the press of "Update branch", made what a branch holds. Raises
        GitError, NotPushed."""
        if self._branches().ours(repo.name, branch, head):
            return True
        if not has(Path(repo.mirror), head) and self._branches().fetch(repo, repo.source, branch) != head:
            return False  # it moved on meanwhile
        before, base = merged(Path(repo.mirror), head)
        if not before or not self._branches().ours(repo.name, branch, before) or not self._in_base(repo, base):
            return False
        self._branches().push(repo, repo.source, head, branch)  # it holds that already: from now on it is ours as well
        pushed = self.of(repo.name, branch)
        if before in pushed.commits:
            self.note(repo.name, branch, replace(pushed, commits=(*pushed.commits, head)))
        return True

    def _in_base(self, repo: Repo, commit: str) -> bool:
        """Say whether the base branch holds a commit of the mirror: as it was planned with or, since it may have moved
        on, as it is now. Raises GitError."""
        mirror = Path(repo.mirror)
        return grown(mirror, commit, repo.commit) or grown(
            mirror, commit, self._branches().fetch(repo, repo.source, repo.branch)
        )

    def _key(self, repo: str, branch: str) -> str:
        return f"github pushed {self._site} {repo} {branch}"


def merged(mirror: Path, head: str) -> tuple[str, str]:
    """Return into which commit which other one was merged, if that alone made the commit `head`; else "" for both.
    Nothing is hidden in it when git merges the two into the same tree."""
    parents = git(mirror, "show", "--no-patch", "--format=%P", head).decode().split()
    if len(parents) != 2:
        return "", ""
    before, base = parents
    try:
        made = checked(git(mirror, "merge-tree", "--write-tree", before, base).split(b"\n")[0])
    except GitError:
        return "", ""
    return (before, base) if made == checked(git(mirror, "rev-parse", f"{head}^{{tree}}")) else ("", "")


def conflicts(repo: Repo, head: str) -> bool:
    """Say whether a commit of the mirror cannot be merged into the base."""
    try:
        git(Path(repo.mirror), "merge-tree", "--write-tree", repo.commit, head)
    except GitError:
        return True
    return False
