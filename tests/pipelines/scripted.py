"""A forge for tests, whose people, pipelines and rights are scripted.

A real implementation of the protocol: branches are in bare git repositories, as a server has them; requests are kept in
memory. It does what neither the local forge can (pipelines, threads, rights, branches without a request, rebasing) nor
a real one on demand (failures).
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from operators.proc import git
from pipelines.data import Change, Repo
from pipelines.forge import Comment, Description, ForgeError, NotPushed, Place, Request, State
from tests.conftest import GIT

CI = Literal["none", "pending", "passed", "failed"]
_ALLOW = ("-c", "protocol.file.allow=always")


@dataclass
class Kept:
    """A merge request as the server has it."""

    number: int
    digest: str
    title: str
    state: State
    opened: float
    active: float = 0.0
    approved: bool = False
    draft: bool = False
    reviewers: tuple[str, ...] = ()
    comments: list[Comment] = field(default_factory=list)
    said: list[tuple[str, str, str]] = field(default_factory=list)
    """What Umbau said: key, text, thread."""
    pushed: list[str] = field(default_factory=list)
    """Commits that Umbau brought there, or had brought."""
    body: str = ""


@dataclass
class ScriptedForge:
    """Repositories `<name>.git` below one folder."""

    folder: Path
    kept: dict[Place, Kept] = field(default_factory=dict)
    ci: dict[str, CI] = field(default_factory=dict)
    """By commit."""
    begins: CI = "none"
    """What the pipeline of a commit is at first."""
    logs: str = ""
    writers: set[str] = field(default_factory=lambda: {"ada", "bob"})
    rebases: bool = False
    trouble: dict[str, str] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    """Names of methods that fail."""
    unknown: set[str] = field(default_factory=set)
    """Users whom nobody can be asked for a review."""
    now: float = 0.0
    asked_for_rights: int = 0
    compared: dict[tuple[str, str], bool] = field(default_factory=dict)
    """Base and commit to whether they conflict."""

    # What Umbau asks.

    @property
    def overview(self) -> str:
        return "https://forge.example"

    @property
    def me(self) -> str:
        return "umbau-bot"

    def requests(self, prefix: str, repos: Sequence[Repo]) -> Iterator[Request]:
        self._up("requests")
        names = {repo.name for repo in repos} - set(self.trouble)
        for (repo, branch), kept in list(self.kept.items()):
            if repo in names and branch.startswith(prefix):
                yield self._request((repo, branch), kept)

    def push(self, change: Change, commit: str, text: Description, *, opened: bool = True) -> Request:
        self._up("push")
        place = (change.repo.name, change.branch)
        kept, held = self.kept.get(place), self.head(place)
        if kept and kept.state in {"merged", "closed"}:
            raise NotPushed(f"{change.branch} was {kept.state} meanwhile")
        if held not in {"", commit, text.replaces, *(kept.pushed if kept else ())}:
            raise NotPushed(f"{change.branch} holds commits of somebody else")
        if kept is None:
            kept = self.kept[place] = Kept(len(self.kept) + 1, change.digest, text.title, "branch", 0.0)
        if held != commit:
            repo = self.bare(change.repo.name)
            git(
                repo, *_ALLOW, "fetch", "--quiet", change.repo.mirror, f"+{commit}:refs/heads/{change.branch}", env=FILE
            )
            self.ci.setdefault(commit, self.begins)
            kept.approved = False
        kept.pushed.append(commit)
        kept.digest, kept.title, kept.draft, kept.body = change.digest, text.title, text.draft, text.body
        kept.reviewers = tuple(dict.fromkeys((*kept.reviewers, *text.reviewers)))
        if opened and kept.state == "branch":
            kept.state, kept.opened = "open", self.now
        return self._request(place, kept)

    def merge(self, request: Request) -> None:
        self._up("merge")
        place, kept = self._known(request)
        if kept.state == "merged":
            return
        if self.head(place) != request.head or self._conflicts(place):
            raise ForgeError(f"{request.branch} cannot be merged: it is another now, or conflicts")
        repo, main = self.bare(request.repo), self.main(request.repo)
        tree = git(repo, "merge-tree", "--write-tree", main, request.head).decode().split("\n")[0]
        made = self._commit(repo, tree, main, request.head)
        git(repo, "update-ref", "refs/heads/main", made)
        kept.state = "merged"

    def close(self, request: Request, why: str) -> None:
        self._up("close")
        _, kept = self._known(request)
        if kept.state in {"open", "branch"}:
            kept.state = "closed"
            kept.said.append(("close", why, ""))

    def reopen(self, request: Request) -> None:
        self._up("reopen")
        _, kept = self._known(request)
        if kept.state == "closed":
            kept.state = "open"

    def rebase(self, request: Request) -> bool:
        self._up("rebase")
        place, kept = self._known(request)
        if not self.rebases:
            return False
        repo, main = self.bare(request.repo), self.main(request.repo)
        tree = git(repo, "merge-tree", "--write-tree", main, self.head(place)).decode().split("\n")[0]
        made = self._commit(repo, tree, main)
        git(repo, "update-ref", f"refs/heads/{request.branch}", made)
        kept.pushed.append(made)
        return True

    def comment(self, request: Request, text: str, key: str, thread: str = "") -> None:
        self._up("comment")
        _, kept = self._known(request)
        if all(known != key for known, _, _ in kept.said):
            kept.said.append((key, text, thread))

    def ask(self, request: Request, reviewers: Sequence[str]) -> None:
        self._up("ask")
        if strangers := self.unknown.intersection(reviewers):
            raise ForgeError(f"there is nobody named {', '.join(strangers)}")
        _, kept = self._known(request)
        kept.reviewers = tuple(dict.fromkeys((*kept.reviewers, *reviewers)))

    def may_write(self, request: Request, author: str) -> bool:
        self._up("may_write")
        self.asked_for_rights += 1
        return author in self.writers

    def log(self, request: Request) -> str:
        self._up("log")
        return self.logs

    def fetch(self, request: Request, repo: Repo) -> str:
        self._up("fetch")
        ref = f"+refs/heads/{request.branch}:refs/umbau/fetched"
        git(Path(repo.mirror), *_ALLOW, "fetch", "--quiet", str(self.bare(request.repo)), ref, env=FILE)
        return git(Path(repo.mirror), "rev-parse", "refs/umbau/fetched").decode().strip()

    # What people and machines do.

    def create(self, name: str, files: dict[str, str]) -> None:
        subprocess.run(["git", "init", "-q", "--bare", "--template=", "-b", "main", str(self.bare(name))], check=True)
        self.commit(name, "main", files)

    def commit(self, name: str, branch: str, files: dict[str, str | None], message: str = "change") -> str:
        """Have a person push a commit."""
        with Clone(self.bare(name), branch) as clone:
            for path, text in files.items():
                target = clone.folder / path
                if text is None:
                    target.unlink()
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text)
            clone.git("add", "--all")
            clone.git("commit", "--quiet", "-m", message)
            clone.git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
            made = clone.git("rev-parse", "HEAD")
        self.ci.setdefault(made, self.begins)
        for (repo, where), kept in self.kept.items():
            if (repo, where) == (name, branch):
                kept.active, kept.approved = self.now, False
        return made

    def say(self, place: Place, text: str, author: str = "ada", **more: Any) -> Comment:
        kept = self.kept[place]
        number = str(len(kept.comments) + 1)
        kept.comments.append(Comment(number, author, text, **{"thread": f"t{number}", "at": self.now, **more}))
        kept.active = self.now
        return kept.comments[-1]

    def approve(self, place: Place) -> None:
        kept = self.kept[place]
        kept.approved, kept.active = True, self.now
        kept.comments = [replace(one, settled=True) for one in kept.comments]

    def runs(self, place: Place, ci: CI) -> None:
        """Have the pipeline of what the branch holds end, or begin, like that."""
        self.ci[self.head(place)] = ci

    def text(self, name: str, branch: str, path: str) -> str:
        return git(self.bare(name), "show", f"refs/heads/{branch}:{path}").decode()

    def head(self, place: Place) -> str:
        ref = self.bare(place[0]) / "refs" / "heads" / place[1]  # nothing packs them here
        return ref.read_text().strip() if ref.exists() else ""

    def main(self, name: str) -> str:
        return self.head((name, "main"))

    def bare(self, name: str) -> Path:
        return self.folder / f"{name}.git"

    def states(self) -> dict[str, str]:
        return {f"{repo} {branch.rpartition('/')[2]}": kept.state for (repo, branch), kept in self.kept.items()}

    def _known(self, request: Request) -> tuple[Place, Kept]:
        place = (request.repo, request.branch)
        return place, self.kept[place]

    def _request(self, place: Place, kept: Kept) -> Request:
        head = self.head(place)
        return Request(
            *place,
            kept.digest,
            kept.state,
            f"https://forge.example/{place[0]}/{kept.number}",
            ci=self.ci.get(head, "none"),
            approved=kept.approved,
            conflicts=kept.state == "open" and self._conflicts(place),
            touched=head not in kept.pushed,
            comments=tuple(kept.comments),
            title=kept.title,
            number=kept.number,
            head=head,
            draft=kept.draft,
            opened=kept.opened,
            active=kept.active,
            reviewers=kept.reviewers,
        )

    def _conflicts(self, place: Place) -> bool:
        repo, sides = self.bare(place[0]), (self.main(place[0]), self.head(place))
        if sides not in self.compared:
            argv = ["git", "-C", str(repo), "merge-tree", "--write-tree", *sides]
            self.compared[sides] = subprocess.run(argv, capture_output=True, check=False).returncode != 0
        return self.compared[sides]

    def _commit(self, repo: Path, tree: str, *parents: str) -> str:
        date = {"GIT_AUTHOR_DATE": "@1700000000 +0000", "GIT_COMMITTER_DATE": "@1700000000 +0000"}
        env = {name: value for name, value in GIT.items() if "AUTHOR" in name or "COMMITTER" in name} | date
        given = [word for parent in parents for word in ("-p", parent)]
        return git(repo, "commit-tree", tree, *given, "-m", "made by the forge", env=env).decode().strip()

    def _up(self, method: str) -> None:
        if method in self.down:
            raise ForgeError(f"{method}: the forge answered 500; it is tried again")


FILE = {"GIT_ALLOW_PROTOCOL": "file"}


class Clone:
    """Somebody's working copy of a branch."""

    def __init__(self, bare: Path, branch: str) -> None:
        self.folder = bare.with_name(f"clone-{bare.stem}")
        self._bare, self._branch = bare, branch

    def __enter__(self) -> Clone:
        if not self.folder.exists():
            self.folder.mkdir()
            self.git("init", "--quiet", "-b", "work")
            self.git("remote", "add", "origin", str(self._bare))
        if self.git("ls-remote", "origin", f"refs/heads/{self._branch}"):
            self.git("fetch", "--quiet", "origin", self._branch)
            self.git("checkout", "--quiet", "--detach", "FETCH_HEAD")
        return self

    def __exit__(self, *_: object) -> None: ...

    def git(self, *args: str) -> str:
        env = {"PATH": "/usr/bin:/bin", **GIT}
        done = subprocess.run(["git", *args], cwd=self.folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()
