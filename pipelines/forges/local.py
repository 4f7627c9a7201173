"""A forge without a server: branches in bare repositories, and for each merge request a record and a page to read.

The embedded default, and the forge of the tests: it keeps the same rules as the others. People review while a job runs:
whatever writes a record holds the folder's lock and reads the record again first.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from operators.folders import alone, clear
from operators.proc import GitError
from operators.veil import Veil, tellable, veil_at
from pipelines.bare import bare
from pipelines.data import Change, Repo
from pipelines.errors import Refused
from pipelines.forge import AUTOMATED, Comment, Description, NotPushed, Request
from pipelines.forges import branches
from pipelines.forges.page import file_diffs, index_page, request_page
from pipelines.forges.record import BOT, Record, dumped, read, without_texts, write
from pipelines.masking import masked, rules
from pipelines.repos import strangers

_Mark = tuple[int, int]  # inode and time of the last change: records are replaced as a whole


class LocalForge:
    """Merge requests below one folder: `<repo>/repo.git`, `<repo>/<number>.json` and `<repo>/<number>.html`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._files: dict[Path, tuple[_Mark, Record]] = {}
        self._records: dict[tuple[str, str], Record] = {}
        self._current: set[Repo] = set()

    @property
    def me(self) -> str:
        return ""  # BOT is no account

    def requests(self, prefix: str, repos: Sequence[Repo]) -> Iterator[Request]:
        names = {repo.name for repo in repos}
        for record in self.records():
            if record.branch.startswith(prefix) and record.repo in names:
                yield self._request(record)

    def push(self, change: Change, commit: str, text: Description, *, opened: bool = True) -> Request:
        """Make the branch hold `commit` and the open request say so. There is no CI here that an unopened one could
        wait for. Raises NotPushed, GitError."""
        with alone(self._folder / ".lock"):
            repo = self._prepared(change.repo)
            record = self._fresh(change.repo.name, change.branch) or self._new(change, text)
            if record.state != "open":
                raise NotPushed(f"{change.branch} of {change.repo.name} was {record.state} meanwhile")
            held = branches.head(repo, change.branch)
            if held not in {"", commit, record.head, record.intends} and held != text.replaces:
                raise NotPushed(f"{change.branch} of {change.repo.name} holds commits of somebody else")
            done = replace(record, commit=change.repo.commit, head=commit, intends="", digest=change.digest, purged="")
            done = replace(done, title=text.title, body=text.body, labels=text.labels, draft=text.draft)
            done = replace(done, assignees=text.assignees, milestone=text.milestone, message=text.message)
            done = replace(done, reviewers=tuple(dict.fromkeys((*text.reviewers, *record.reviewers))))
            if held == commit and done == record:
                return self._request(record)
            # Killed after this, it is known that the branch is ours, whether it holds what it held or what it was to;
            # as long as it is not written that this was pushed, an approval is of what was there before.
            ours = record.head if held in {"", commit, text.replaces} else held
            self._note(replace(record, head=ours, intends=commit))
            branches.push(repo, Path(change.repo.mirror), commit, change.branch, held)
            return self._request(self._save(done.after("push", text=commit) if record.head != commit else done))

    def merge(self, request: Request) -> None:
        """Merge into the base branch. Raises GitError when it conflicts, or is not any more what was looked at."""
        with alone(self._folder / ".lock"):
            record = self._known(request)
            repo = self._repo(record.repo)
            if record.state != "open" or record.digest != request.digest:
                raise GitError(f"{record.branch} was changed meanwhile: it is looked at again by the next `umbau tend`")
            if branches.head(repo, record.branch) != record.head:
                raise GitError(f"{record.branch} is not what was approved: somebody pushed to it")
            if branches.conflicts(repo, record.base, record.head):
                raise GitError(f"{record.branch} conflicts with {record.base}")
            made = branches.merge(repo, record.base, record.head, f"Merge {record.branch}: {record.title}")
            self._save(replace(record.after("merge"), state="merged", merged=made))

    def close(self, request: Request, why: str) -> None:
        with alone(self._folder / ".lock"):
            record = self._known(request)
            if record.state == "open":
                self._save(replace(record.after("close", text=why), state="closed"))

    def reopen(self, request: Request) -> None:
        with alone(self._folder / ".lock"):
            record = self._known(request)
            if record.state == "closed":
                self._save(replace(record.after("reopen"), state="open"))

    def rebase(self, request: Request) -> bool:
        return False

    def ask(self, request: Request, reviewers: Sequence[str]) -> None:
        with alone(self._folder / ".lock"):
            record = self._known(request)
            new = [name for name in reviewers if name not in record.reviewers]
            if new:
                self._save(replace(record, reviewers=(*record.reviewers, *new)))

    def may_write(self, request: Request, author: str) -> bool:
        return True  # whoever can write a record can write the branch

    def log(self, request: Request) -> str:
        return ""  # there is no CI

    def fetch(self, request: Request, repo: Repo) -> str:
        return branches.fetch(self._repo(request.repo), Path(repo.mirror), request.branch)

    def comment(self, request: Request, text: str, key: str, thread: str = "") -> None:
        """Say something on the request; under the same key it is said once. There are no threads here."""
        with alone(self._folder / ".lock"):
            record = self._known(request)
            if not any(event.key == key for event in record.events):
                self._save(record.after("comment", text=f"{text}\n\n{AUTOMATED}", key=key))

    def review(self, name: str, author: str, *, text: str, path: str, line: int, approve: bool, close: bool) -> Record:
        """Write down what a person says and decides. Raises KeyError when there is no request of that name, and Refused
        when it is merged or closed and more is to be done than to comment on it."""
        with alone(self._folder / ".lock"):
            record = next((record for record in self.records() if record.name == name), None)
            if record is None:
                raise KeyError(name)
            if (approve or close) and record.state != "open":
                raise Refused(f"{name} is {record.state}: it can only be commented on")
            if approve:
                record = record.after("approve", author)
            if text:  # said with an approval, it is not settled by it
                text = masked(tellable(text, _veil(self._repo(record.repo), record).masked))
                record = record.after("comment", author, text, path, line)
            if close:
                record = replace(record.after("close", author), state="closed")
            return self._save(record)

    def records(self) -> list[Record]:
        """Return all requests, by repository and number, as they stand on disk."""
        files = sorted(self._folder.glob("*/*.json"), key=lambda file: (file.parent.name, int(file.stem)))
        self._files = {file: self._read(file) for file in files}
        self._records = {(record.repo, record.branch): record for _, record in self._files.values()}
        return list(self._records.values())

    def _read(self, file: Path) -> tuple[_Mark, Record]:
        """Read a record unless the file is as it was the last time."""
        stat = file.stat()
        mark = stat.st_ino, stat.st_mtime_ns
        known = self._files.get(file)
        return known if known and known[0] == mark else (mark, read(file))

    def old(self, before: float) -> list[Record]:
        """Return the requests that ended before and still have texts: some may have been said after a purge."""
        return [one for one in self.records() if without_texts(one, one.purged) != one and _over(one, before)]

    def empty(self, record: Record, day: str) -> None:
        """Remove texts, page and branch of a request that is over."""
        with alone(self._folder / ".lock"):
            bare = without_texts(record, day)
            if self._repo(record.repo).exists():
                branches.remove(self._repo(record.repo), record.branch)
            self._records[record.repo, record.branch] = bare
            write(self.page(record), request_page(bare, "", ""))
            self._note(bare)

    def finished(self, before: float, sources: Mapping[str, Repo]) -> list[tuple[str, bool]]:
        """Return the repositories whose requests are all over since then, and whether they hold what is not in their
        source. `sources`: repositories as they were looked at last."""
        by_repo: dict[str, list[Record]] = {}
        for record in self.records():
            by_repo.setdefault(record.repo, []).append(record)
        over = [repo for repo, own in by_repo.items() if all(_over(one, before) for one in own)]
        there = [repo for repo in over if self._repo(repo).exists()]
        return [(repo, branches.ahead(self._repo(repo), by_repo[repo][0].base, sources.get(repo))) for repo in there]

    def bare_of(self, repo: str) -> Path:
        return self._repo(repo)

    def drop(self, repo: str) -> None:
        """Remove a repository; it is made again when something is pushed to it."""
        with alone(self._folder / ".lock"):
            clear(self._repo(repo))

    def page(self, record: Record) -> Path:
        return self._folder / _slug(record.repo) / f"{record.number}.html"

    @property
    def overview(self) -> str:
        return str(self._folder / "index.html")

    def _request(self, record: Record) -> Request:
        repo = self._repo(record.repo)
        held = branches.head(repo, record.branch) if repo.exists() else ""
        approvals = [number for number, event in enumerate(record.events) if event.kind == "approve"]
        comments = [
            Comment(
                str(number),
                event.author,
                event.text,
                event.path,
                event.line,
                number < max(approvals, default=0),
                at=event.time,
            )
            for number, event in enumerate(record.events)
            if event.kind == "comment" and event.author != BOT
        ]
        return Request(
            record.repo,
            record.branch,
            record.digest,
            record.state,
            str(self.page(record)),
            approved=record.approved,
            conflicts=record.state == "open"
            and bool(record.head)
            and branches.conflicts(repo, record.base, record.head),
            touched=held not in {record.head, record.intends, ""},
            comments=tuple(comments),
            title=record.title,
            number=record.number,
            head=held,
            draft=record.draft,
            opened=record.events[0].time if record.events else 0.0,
            ended=max((event.time for event in record.events if event.kind in {"merge", "close"}), default=0.0)
            if record.state in {"merged", "closed"}
            else 0.0,
            active=max((event.time for event in record.events if event.author != BOT), default=0.0),
            reviewers=record.reviewers,
            approvers=record.approvers,
            merged=record.merged,
        )

    def _new(self, change: Change, text: Description) -> Record:
        files = self._repo(change.repo.name).parent.glob("*.json")
        number, base = max((int(file.stem) for file in files), default=0) + 1, change.repo.branch
        return Record(change.repo.name, number, change.branch, base, change.repo.commit, text.title, text.body)

    def _prepared(self, repo: Repo) -> Path:
        """Return the bare repository, made on the first occasion, its base branch no older than the source's. Raises
        GitError when it is that of another source."""
        path = self._repo(repo.name)
        if repo not in self._current or not path.exists():
            bare(path, repo.branch, receive_shallowUpdate="true")  # the source may itself be a shallow clone
            source, last = branches.origin(path, repo)
            if strangers(repo, source, last):
                raise GitError(
                    f"the local forge has a {repo.name} already, from {source}: with UMBAU_HOME give this one "
                    "a home of its own"
                )
            branches.follow(path, repo)
            self._current.add(repo)
        return path

    def _repo(self, repo: str) -> Path:
        return self._folder / _slug(repo) / "repo.git"

    def _fresh(self, repo: str, branch: str) -> Record | None:
        if not self._records:
            self.records()
        known = self._records.get((repo, branch))
        return read(self.page(known).with_suffix(".json")) if known else None

    def _known(self, request: Request) -> Record:
        record = self._fresh(request.repo, request.branch)
        assert record, "requests are never deleted"
        return record

    def _note(self, record: Record) -> None:
        self._records[record.repo, record.branch] = record
        write(self.page(record).with_suffix(".json"), dumped(record))

    def _save(self, record: Record) -> Record:
        """Write pages and record; the record last, so that what a crash leaves half done is done again."""
        self.records()  # other jobs may have opened some meanwhile
        self._records[record.repo, record.branch] = record
        repo = self._repo(record.repo)
        write(self.page(record), request_page(record, _diff(repo, record), str(repo)))
        listed = [(one, self.page(one).relative_to(self._folder)) for one in self._records.values()]
        write(Path(self.overview), index_page(listed))
        self._note(record)
        return record


def _over(record: Record, before: float) -> bool:
    return record.state in {"merged", "closed"} and all(event.time <= before for event in record.events)


def _diff(repo: Path, record: Record) -> str:
    """Return what the branch changes, without the secrets of its files; "" when there is nothing, or it was purged."""
    if not record.head or record.purged:
        return ""
    return tellable(branches.diff(repo, record.commit, record.head), _veil(repo, record).masked)


def _veil(repo: Path, record: Record) -> Veil:
    """Return what knows the secrets of the files that the branch changes."""
    if not record.head or record.purged:
        return Veil(rules())
    found = branches.diff(repo, record.commit, record.head)
    paths = tuple(one.path for one in file_diffs(found.split("\n")))
    return veil_at(str(repo), record.commit, paths, rules())


def _slug(repo: str) -> str:
    """Return the name of a repository's folder; one that had to be spelt otherwise is told apart by a digest."""
    word = re.sub(r"[^A-Za-z0-9._-]+", "-", repo)[-60:].strip(".-") or "repository"
    plain = word == repo and word != "index.html"
    return word if plain else f"{word}-{hashlib.sha256(repo.encode()).hexdigest()[:8]}"
