"""A forge without a server: branches in bare repositories, and for each merge request a record and a page to read.

The embedded default, and the forge of the tests: it keeps the same rules as the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from git import Repo as GitRepo

from operators.proc import GitError, git
from pipelines.commit import checked, person
from pipelines.data import Change, Comment, Description, NotPushed, Repo, Request
from pipelines.forges.page import index_page, request_page
from pipelines.forges.record import BOT, Record, dumped, read, write

ALLOW_FILE = ("-c", "protocol.file.allow=always")
FILE = {"GIT_ALLOW_PROTOCOL": "file"}


class LocalForge:
    """Merge requests below one folder: `<repo>/repo.git`, `<repo>/<number>.json` and `<repo>/<number>.html`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._records: dict[tuple[str, str], Record] = {}
        self._current: set[Repo] = set()

    def requests(self, prefix: str) -> Iterator[Request]:
        """Return the requests whose branch begins with `prefix`."""
        for record in self.records():
            if record.branch.startswith(prefix):
                yield self._request(record)

    def push(self, change: Change, commit: str, text: Description) -> Request:
        """Make the branch hold `commit` and the request say so. Raises NotPushed, GitError."""
        repo, mirror = self._prepared(change.repo), Path(change.repo.mirror)
        record = self._find(change.repo.name, change.branch) or self._new(change, text)
        held = _head(repo, change.branch)
        if held not in {"", commit, record.head, record.intends}:
            raise NotPushed(f"{change.branch} of {change.repo.name} holds commits of somebody else")
        if held == commit == record.head and (record.body, record.title) == (text.body, text.title):
            return self._request(record)
        record = self._save(replace(record, intends=commit))
        lease = f"--force-with-lease=refs/heads/{change.branch}:{held}"
        refspec = f"{checked(commit.encode())}:refs/heads/{change.branch}"
        git(mirror, *ALLOW_FILE, "push", "--quiet", lease, "--", str(repo), refspec, env=FILE)
        record = replace(record, commit=change.repo.commit, head=commit, intends="", digest=change.digest)
        record = replace(record, title=text.title, body=text.body, labels=text.labels, draft=text.draft)
        return self._request(self._save(record.after("push", text=commit)))

    def merge(self, request: Request) -> None:
        """Merge into the base branch. Raises GitError when it conflicts or the branch moved."""
        record = self._known(request)
        repo = self._repo(record.repo)
        base = _head(repo, record.base)
        tree = checked(git(repo, "merge-tree", "--write-tree", base, record.head).split(b"\n")[0])
        date = git(repo, "show", "--no-patch", "--format=%ct", record.head).decode().strip()
        message = f"Merge {record.branch}: {record.title}".encode()
        parents = ("-p", base, "-p", record.head)
        merged = checked(git(repo, "commit-tree", tree, *parents, "-F", "-", stdin=message, env=person(date)))
        git(repo, "update-ref", f"refs/heads/{record.base}", merged, base)
        self._save(replace(record.after("merge"), state="merged"))

    def close(self, request: Request, why: str) -> None:
        self._save(replace(self._known(request).after("close", text=why), state="closed"))

    def comment(self, request: Request, text: str) -> None:
        """Say something on the request; the same text twice is said once."""
        record = self._known(request)
        if not any(event.author == BOT and event.text == text for event in record.events):
            self._save(record.after("comment", text=text))

    def review(self, name: str, author: str, *, text: str, path: str, line: int, approve: bool, close: bool) -> Record:
        """Write down what a person says and decides. Raises KeyError when there is no request of that name."""
        record = next((record for record in self.records() if record.name == name), None)
        if record is None:
            raise KeyError(name)
        if text:
            record = record.after("comment", author, text, path, line)
        if approve:
            record = record.after("approve", author)
        if close:
            record = replace(record.after("close", author), state="closed")
        return self._save(record)

    def records(self) -> list[Record]:
        """Return all requests, by repository and number, as they stand on disk."""
        files = sorted(self._folder.glob("*/*.json"), key=lambda file: (file.parent.name, int(file.stem)))
        self._records = {(record.repo, record.branch): record for record in map(read, files)}
        return list(self._records.values())

    def page(self, record: Record) -> Path:
        return self._folder / _slug(record.repo) / f"{record.number}.html"

    def index(self) -> Path:
        return self._folder / "index.html"

    def _request(self, record: Record) -> Request:
        repo = self._repo(record.repo)
        said = enumerate(record.events)
        comments = [
            Comment(str(number), event.author, event.text, event.path, event.line)
            for number, event in said
            if event.kind == "comment" and event.author != BOT
        ]
        return Request(
            record.repo,
            record.branch,
            record.digest,
            record.state,
            str(self.page(record)),
            approved=record.approved,
            conflicts=record.state == "open" and bool(record.head) and _conflicts(repo, record),
            touched=_head(repo, record.branch) not in {record.head, record.intends, ""},
            comments=tuple(comments),
        )

    def _new(self, change: Change, text: Description) -> Record:
        numbers = [record.number for record in self._records.values() if record.repo == change.repo.name]
        number, base = max(numbers, default=0) + 1, change.repo.branch
        return Record(change.repo.name, number, change.branch, base, change.repo.commit, text.title, text.body)

    def _prepared(self, repo: Repo) -> Path:
        """Return the bare repository, made on the first occasion, its base branch no older than the source's."""
        path, mirror = self._repo(repo.name), Path(repo.mirror)
        if repo in self._current:
            return path
        if not (path / "HEAD").exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            git(None, "init", "--quiet", "--bare", "--template=", f"--initial-branch={repo.branch}", "--", str(path))
            git(path, "config", "receive.shallowUpdate", "true")  # the source may itself be a shallow clone
        try:
            forward = f"{repo.commit}:refs/heads/{repo.branch}"
            git(mirror, *ALLOW_FILE, "push", "--quiet", "--", str(path), forward, env=FILE)
        except GitError:
            if not _head(path, repo.branch):
                raise
            # What was merged here is not in the source: the branch goes its own way, and requests meet it there.
        self._current.add(repo)
        return path

    def _repo(self, repo: str) -> Path:
        return self._folder / _slug(repo) / "repo.git"

    def _find(self, repo: str, branch: str) -> Record | None:
        if not self._records:
            self.records()
        return self._records.get((repo, branch))

    def _known(self, request: Request) -> Record:
        record = self._find(request.repo, request.branch)
        assert record, "requests are never deleted"
        return record

    def _save(self, record: Record) -> Record:
        self._records[record.repo, record.branch] = record
        page, repo = self.page(record), self._repo(record.repo)
        write(page.with_suffix(".json"), dumped(record))
        write(page, request_page(record, _diff(repo, record), str(repo)))
        write(
            self.index(),
            index_page([(own, self.page(own).relative_to(self._folder)) for own in self._records.values()]),
        )
        return record


def _head(repo: Path, branch: str) -> str:
    """Return the commit a branch of our own bare repository holds, "" when there is none."""
    with GitRepo(repo) as own:
        return next((head.commit.hexsha for head in own.heads if head.name == branch), "")


def _conflicts(repo: Path, record: Record) -> bool:
    try:
        git(repo, "merge-tree", "--write-tree", _head(repo, record.base), record.head)
    except GitError:
        return True
    return False


def _diff(repo: Path, record: Record) -> str:
    if not record.head:
        return ""
    options = ("--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/")
    return git(repo, "diff", *options, record.commit, record.head, "--").decode(errors="replace")


def _slug(repo: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", repo).strip(".-") or "repository"
