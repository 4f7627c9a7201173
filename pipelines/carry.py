"""What people pushed on top of Umbau's commit, carried over to its next one."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from operators.proc import GitError, git
from pipelines.commit import checked, person, signed
from pipelines.data import Repo
from pipelines.neutral import line
from pipelines.signing import UMBAU, Committer

NAMED = 10  # of the commits that are kept
SHORT = 12  # characters of their names; git itself would take as many as the repository needs, which changes
# Attributes of the repository could ask for conflicts to be settled by a driver; none are read when it is git's empty
# tree that they come from. gits before 2.43 read none in a bare repository at all.
_PLAIN = {"GIT_ATTR_SOURCE": "4b825dc642cb6eb9a060e54bf8d69288fbee4904"}
_CONFLICT = "git merge-tree ended with 1"  # and nothing more to say: whatever else goes wrong ends with 128, and words


def carried(repo: Repo, ours: str, theirs: str, new: str, by: Committer = UMBAU, message: str = "") -> str | None:
    """Return the commit on top of `new` that adds what changed from `ours` to `theirs`; None when it conflicts.

    `ours` is what Umbau had pushed, `theirs` what the branch held when a person had gone on from there, `new` what
    Umbau would push now, perhaps on a newer base; all are in the mirror. The same three give the same commit. Its
    message, unless another is given, names what people pushed. Raises GitError.
    """
    mirror = Path(repo.mirror)
    tree = _merged(mirror, ours, theirs, new)
    if not tree:
        return None
    said = message or _message(mirror, ours, theirs)
    return signed(mirror, _commit(mirror, tree, new, said, _date(mirror, new), by), by)


def message_of(mirror: Path, commit: str) -> str:
    """Return the message of a commit of ours. Raises GitError."""
    return (
        git(mirror, "show", "--no-patch", "--encoding=UTF-8", "--format=%B", commit).decode(errors="replace").rstrip()
        + "\n"
    )


def _merged(mirror: Path, ours: str, theirs: str, new: str) -> str:
    """Return the tree of `new` with what changed from `ours` to `theirs`, "" when that conflicts.

    git before 2.40 cannot be told what both started from: it is found by history, so each is given one in which
    that is `ours`.
    """
    date = _date(mirror, ours)
    sides = [_commit(mirror, f"{side}^{{tree}}", ours, "", date, UMBAU) for side in (new, theirs)]
    try:
        return checked(git(mirror, "merge-tree", "--write-tree", "--no-messages", *sides, env=_PLAIN))
    except GitError as why:
        if str(why) != _CONFLICT:
            raise
        return ""


def _commit(mirror: Path, tree: str, parent: str, message: str, date: str, by: Committer) -> str:
    name = checked(git(mirror, "rev-parse", "--verify", tree))
    made = git(mirror, "commit-tree", name, "-p", parent, "-F", "-", stdin=message.encode(), env=person(date, by))
    return checked(made)


def _date(mirror: Path, commit: str) -> str:
    return git(mirror, "show", "--no-patch", "--format=%ct", commit).decode().strip()


def _message(mirror: Path, ours: str, theirs: str) -> str:
    """Return a message that names the commits and whose they are."""
    log = git(
        mirror, "log", "--reverse", "-z", "--encoding=UTF-8", "--format=%h%x09%an%x09%s", f"{ours}..{theirs}", "--"
    )
    kept = [entry.split("\t", 2) for entry in log.decode(errors="replace").split("\0") if entry]
    people = [line(author) or "nobody" for _, author, _ in kept]
    whose = list(dict.fromkeys(people))
    names = ", ".join(whose[:3]) + (f" and {len(whose) - 3} more" if len(whose) > 3 else "")
    told = [f"- {name[:SHORT]} {line(subject)}, by {who}" for (name, _, subject), who in zip(kept, people, strict=True)]
    left = [f"- {len(kept) - NAMED} before these"] if len(kept) > NAMED else []
    listed = "\n".join([*left, *told[-NAMED:]])
    return f"Keep what {names or 'others'} pushed\n\n{listed}\n\nGenerated-by: umbau/{version('umbau')}\n"
