"""The same thing done to many merge requests of a job: merged, closed, commented on, reopened, taken back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from operators.proc import GitError, git
from operators.workspace import Workspace
from pipelines.bare import has
from pipelines.carry import carried
from pipelines.data import Change, Repo
from pipelines.errors import Refused
from pipelines.facts import VERSION
from pipelines.forge import Description, Forge, ForgeError, NotPushed, Request
from pipelines.job import Job
from pipelines.neutral import line
from pipelines.signing import Committer, committer

if TYPE_CHECKING:
    from pipelines.evidence.notary import Notary

KEYS = ("repo", "branch", "state", "ci", "title", "url", "number", "approved", "conflicts", "touched", "draft")
REVERTS = "revert/"  # before the branch of what is taken back


@dataclass(frozen=True, slots=True)
class Condition:
    """`key=glob` or `key!=glob`."""

    key: str
    glob: str
    equal: bool = True

    def holds(self, request: Request) -> bool:
        value = getattr(request, self.key)
        text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
        return fnmatchcase(text, self.glob) is self.equal


def conditions(words: Sequence[str]) -> list[Condition]:
    """Read what `--where` was given. Raises Refused."""
    found = []
    for word in words:
        key, equals, glob = word.partition("=")
        name = key.removesuffix("!")
        if not equals or name not in KEYS:
            raise Refused(f"--where {word!r}: write KEY=GLOB or KEY!=GLOB, with a key of {', '.join(KEYS)}")
        found.append(Condition(name, glob, equal=key == name))
    return found


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one request."""

    repo: str
    url: str
    title: str
    what: str
    trouble: str = ""


Act = Callable[[Forge, Request], Request | None]
"""Returns the request that it opened, if it opened one."""


@dataclass(frozen=True, slots=True)
class Bulk:
    """One kind of act, and which requests it can be done to."""

    did: str
    states: tuple[str, ...]
    act: Act

    def fitting(self, requests: Sequence[Request], where: Sequence[Condition]) -> list[Request]:
        return [one for one in requests if one.state in self.states and all(each.holds(one) for each in where)]

    def each(
        self,
        forge: Forge,
        requests: Sequence[Request],
        confirm: Callable[[], None],
        noted: Callable[[Request, Done], None] = lambda request, done: None,
    ) -> list[Done]:
        """Do it to each; what goes wrong with one is told, and the others are done. `confirm` is called before each,
        and what it raises ends it; `noted` after each."""
        done = []
        for request in requests:
            confirm()
            url, trouble = request.url, ""
            try:
                made = self.act(forge, request)
                url = made.url if made else url
            except (ForgeError, GitError, NotPushed) as why:
                trouble = str(why)
            done.append(Done(request.repo, url, request.title, self.did, trouble))
            noted(request, done[-1])
        return done


def merging() -> Bulk:
    return Bulk("merged", ("open",), lambda forge, request: forge.merge(request))


def closing(why: str) -> Bulk:
    """As if a person had closed it: it is not opened again unless somebody says so."""
    return Bulk("closed", ("open",), lambda forge, request: forge.close(request, why))


def reopening() -> Bulk:
    return Bulk("reopened", ("closed",), lambda forge, request: forge.reopen(request))


def commenting(text: str, key: str) -> Bulk:
    """`key`: the same text under the same key is said once."""
    return Bulk("commented on", ("open",), lambda forge, request: forge.comment(request, text, key))


def reverting(job: Job, repos: Sequence[Repo], notary: Notary | None = None) -> Bulk:
    """`repos`: as they are now. `notary`: who speaks for what is pushed. Raises Refused when commits or evidence cannot
    be signed."""
    if notary:
        notary.ready()
    now, by = {repo.name: repo for repo in repos}, committer(job.merge_request)

    def act(forge: Forge, request: Request) -> Request:
        if request.repo not in now:
            raise ForgeError(f"is not among the repositories of the job today: umbau plan {job.name} says why")
        return _revert(job, now[request.repo], by, forge, request, notary)

    return Bulk("taken back", ("merged",), act)


def _revert(job: Job, repo: Repo, by: Committer, forge: Forge, request: Request, notary: Notary | None) -> Request:
    """Open a request that takes back what a merged one changed, whatever came after it in the same files."""
    mirror = Path(repo.mirror)
    head = request.head if request.head and has(mirror, request.head) else forge.fetch(request, repo)
    wanted = f"--grep=^Umbau-Change: {request.digest}$"  # an older one would be of another request, in the base already
    ours = git(mirror, "rev-list", "--first-parent", "--max-count=1", wanted, head).decode().strip()
    if not ours:
        raise ForgeError("holds no commit of Umbau's: take it back by hand")
    base = git(mirror, "rev-parse", "--verify", f"{ours}^1").decode().strip()
    title = line(f"Revert: {request.title}")
    body = f"Takes back {request.url}\n"
    message = f"{title}\n\n{body}\nUmbau-Job: {job.name}\nGenerated-by: umbau/{VERSION}\n"
    text = Description(title, body, message, tuple(job.merge_request.labels))
    made = carried(repo, head, base, repo.commit, by, text.message)
    if made is None:
        raise ForgeError("conflicts with what was changed later: take it back by hand")
    whole = _changed(repo, made)
    if not whole:
        raise ForgeError("is taken back already: nothing of it is left")
    change = Change(job.name, repo, f"{REVERTS}{request.branch}", "revert", (), whole)
    return forge.push(change, made, notary.spoken(change, made, text) if notary else text)


def _changed(repo: Repo, commit: str) -> dict[str, str | None]:
    names = git(Path(repo.mirror), "diff-tree", "-r", "-z", "--name-only", "--no-renames", repo.commit, commit)
    ws = Workspace(replace(repo, commit=commit).base)
    return {name: ws.text(name) for name in names.decode(errors="surrogateescape").split("\0")[:-1]}
