"""The local forge's bare repositories: where their branches stand, how they are followed, compared and merged."""

from __future__ import annotations

from pathlib import Path

from git import Repo as GitRepo
from git import SymbolicReference

from operators.proc import GitError, git
from pipelines.commit import checked, person
from pipelines.data import Repo

_ALLOW_FILE = ("-c", "protocol.file.allow=always")
_FILE = {"GIT_ALLOW_PROTOCOL": "file"}


def head(repo: Path, branch: str) -> str:
    """Return the commit a branch holds, "" when there is none."""
    with GitRepo(repo) as own:
        try:
            return SymbolicReference.dereference_recursive(own, f"refs/heads/{branch}")
        except ValueError:
            return ""


def push(repo: Path, mirror: Path, commit: str, branch: str, held: str) -> None:
    """Make a branch hold a commit of the mirror, unless it holds something else than `held`. Raises GitError."""
    lease = f"--force-with-lease=refs/heads/{branch}:{held}"
    _push(repo, mirror, f"{checked(commit.encode())}:refs/heads/{branch}", lease)


def remove(repo: Path, branch: str) -> None:
    """Remove a branch with all that only it holds. Raises GitError."""
    git(repo, "update-ref", "-d", f"refs/heads/{branch}")
    git(repo, "gc", "--quiet", "--prune=now")


def ahead(repo: Path, base: str, source: Repo | None) -> bool:
    """Say whether the branch `base` holds commits that the source did not have when it was last looked at."""
    if source and Path(source.mirror).is_dir():
        try:
            git(Path(source.mirror), "merge-base", "--is-ancestor", head(repo, base), source.commit)
        except GitError:
            return True
        return False
    seen = f"refs/umbau/source/{base}"
    if not git(repo, "for-each-ref", seen):
        return True
    return bool(git(repo, "rev-list", "--max-count=1", f"{seen}..refs/heads/{base}"))


def fetch(repo: Path, mirror: Path, branch: str) -> str:
    """Bring what a branch holds into the mirror and return that commit. Raises GitError."""
    ref = "refs/umbau/fetched"
    git(
        mirror, *_ALLOW_FILE, "fetch", "--quiet", "--no-tags", "--", str(repo), f"+refs/heads/{branch}:{ref}", env=_FILE
    )
    return checked(git(mirror, "rev-parse", "--verify", ref))


def origin(repo: Path, source: Repo) -> tuple[str, str]:
    """Return which source the repository follows, and the commit it last saw of it; both "" at first."""
    with GitRepo(repo) as own, own.config_reader("repository") as settings:
        return str(settings.get_value("umbau", "source", "")), _last(repo, source)


def follow(repo: Path, source: Repo) -> None:
    """Bring the base branch to where the source has it, also when the source's history was rewritten. What was merged
    here is not in the source: then the branch goes its own way until the source has it too. Raises GitError."""
    base, seen, last = f"refs/heads/{source.branch}", f"refs/umbau/source/{source.branch}", _last(repo, source)
    git(repo, "config", "umbau.source", source.source)
    for options in ([f"--force-with-lease={base}:{last}"], []):
        try:
            _push(repo, Path(source.mirror), f"{source.commit}:{base}", *options)
        except GitError as why:
            if "[rejected]" not in str(why):  # but "[remote rejected]": no question of who holds what
                raise
        else:
            git(repo, "update-ref", seen, source.commit)
            return


def _last(repo: Path, source: Repo) -> str:
    return git(repo, "for-each-ref", "--format=%(objectname)", f"refs/umbau/source/{source.branch}").decode().strip()


def conflicts(repo: Path, base: str, commit: str) -> bool:
    """Say whether a commit cannot be merged into the branch `base`."""
    try:
        git(repo, "merge-tree", "--write-tree", head(repo, base), commit)
    except GitError:
        return True
    return False


def merge(repo: Path, base: str, commit: str, message: str) -> str:
    """Merge a commit into the branch `base`; what is merged already stays so. Return the commit that did it. Raises
    GitError."""
    into = head(repo, base)
    if not git(repo, "rev-list", "--max-count=1", f"{into}..{commit}"):
        merges = git(repo, "rev-list", "--first-parent", "--merges", "--parents", into).decode().splitlines()
        return next((words[0] for line in merges if commit in (words := line.split())[2:]), commit)
    tree = checked(git(repo, "merge-tree", "--write-tree", into, commit).split(b"\n")[0])
    date = git(repo, "show", "--no-patch", "--format=%ct", commit).decode().strip()
    parents = ("-p", into, "-p", commit)
    made = checked(git(repo, "commit-tree", tree, *parents, "-F", "-", stdin=message.encode(), env=person(date)))
    git(repo, "update-ref", f"refs/heads/{base}", made, into)
    return made


def diff(repo: Path, old: str, new: str) -> str:
    """Return what changed from one commit to another, as git prints it, no driver of the repository having a say."""
    options = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--src-prefix=a/", "--dst-prefix=b/")
    return git(repo, "diff", *options, old, new, "--").decode(errors="replace")


def _push(repo: Path, mirror: Path, ref: str, *options: str) -> None:
    git(mirror, *_ALLOW_FILE, "push", "--quiet", *options, "--", str(repo), ref, env=_FILE)
