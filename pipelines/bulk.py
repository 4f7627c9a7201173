"""The same for many requests at once, because somebody at the command line said so. What goes wrong with one is told,
and the others are done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from operators.workspace import Workspace
from pipelines.act import Tended
from pipelines.carry import carried
from pipelines.commit import commit
from pipelines.data import Change, Repo, digest
from pipelines.decide import Action, Verb
from pipelines.forge import Description, Forge, ForgeError, NotPushed, Request
from pipelines.job import Job
from pipelines.neutral import line
from pipelines.notes import Notes
from pipelines.signing import committer
from pipelines.store import Store
from pipelines.tend import TROUBLES


def merge(requests: Iterable[Request], forge: Forge) -> list[Tended]:
    return _each(requests, "merge", "open", forge.merge)


def close(requests: Iterable[Request], why: str, forge: Forge) -> list[Tended]:
    """Close them as a person does: they are not opened again unless somebody says so."""
    return _each(requests, "close", "open", lambda request: forge.close(request, why))


def reopen(requests: Iterable[Request], forge: Forge) -> list[Tended]:
    return _each(requests, "reopen", "closed", forge.reopen)


def comment(requests: Iterable[Request], text: str, forge: Forge) -> list[Tended]:
    """Say something on all of them; the same is said once."""
    key = f"said {digest(text)[:16]}"
    return _each(requests, "wait", "", lambda request: forge.comment(request, text, key))


def revert(
    job: Job, repos: Mapping[str, Repo], requests: Iterable[Request], forge: Forge, store: Store
) -> list[Tended]:
    """Open, for each merged request, one that takes back what it brought. `repos`: by name, as their bases are now."""

    def undo(request: Request) -> Request:
        if request.repo not in repos:
            raise ForgeError(f"{request.repo} is not planned today: umbau plan {job.name} says why")
        return _revert(job, repos[request.repo], request, forge, store)

    return _each(requests, "push", "merged", undo)


def _each(requests: Iterable[Request], verb: Verb, state: str, do: Callable[[Request], object]) -> list[Tended]:
    done = []
    for request in requests:
        action, trouble, found = Action(verb, "told to at the command line"), "", request
        if state and request.state != state:
            action = Action("wait", f"it is {request.state}")
        else:
            try:
                made = do(request)
                found = made if isinstance(made, Request) else request
            except TROUBLES as why:
                trouble = str(why)
        done.append(Tended(found.repo, found.branch, action, found.url, trouble, title=found.title))
    return done


def _revert(job: Job, repo: Repo, request: Request, forge: Forge, store: Store) -> Request:
    notes, by = Notes(store, (request.repo, request.branch)), committer(job.merge_request)
    last = notes.last(request.head)
    if last is None:
        raise NotPushed("it is not known any more what Umbau pushed there: revert it on the forge")
    undone = carried(repo, last.own, last.base, repo.commit, by)
    if undone is None:
        raise NotPushed("its base branch has changed in the same places since: revert it by hand")
    files, before = notes.holds(request.digest), Workspace(repo.base)
    after = Workspace(replace(repo.base, commit=undone))
    whole = {path: after.text(path) for path in files if after.text(path) != before.text(path)}
    if not whole:
        raise NotPushed("nothing of it is left to be reverted")
    # Not among the branches of the job, which are tended: no shard stands behind it.
    change = Change(job.name, repo, f"umbau/{job.name}-revert/{request.number}", request.title, (), whole)
    title = line(f"Revert {request.title}")
    body = f"Takes back what {request.url} brought, as somebody asked at the command line."
    message = f"{title}\n\n{body}\n\nUmbau-Job: {job.name}\nUmbau-Change: {change.digest}\n"
    text = Description(title, f"{body}\n", message, tuple(job.merge_request.labels))
    return forge.push(change, commit(repo, whole, message, by), text)
