"""What there is to know of one merge request before it is decided what to do about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from operators.proc import GitError, git
from operators.veil import tellable
from pipelines.audit.requests import published
from pipelines.bare import has
from pipelines.commands import Command
from pipelines.comments import cause, unheard
from pipelines.data import Change, Repo, Shards
from pipelines.decide import Seen
from pipelines.explain import explain
from pipelines.forge import Comment, Forge, Place, Request
from pipelines.group import AGAIN
from pipelines.job import Job
from pipelines.masking import among
from pipelines.notes import Notes
from pipelines.orders import Told, listen
from pipelines.people import candidates
from pipelines.rules import confirm, pending, propose
from pipelines.signing import Committer
from pipelines.store import Store

if TYPE_CHECKING:
    from pipelines.evidence.notary import Notary


@dataclass(frozen=True, slots=True)
class Desk:
    """What all that is done in one tick shares."""

    job: Job
    forge: Forge
    store: Store
    learns: bool
    now: float
    """Seconds since 1970."""
    planned: Shards
    """Those of the plan."""
    by: Committer
    busy: Counter[str]
    """User to the number of the job's open requests that wait for them; new ones are counted as they are opened."""
    after: dict[Place, Request] = field(default_factory=dict)
    """Requests as this tick leaves them, as far as it did something about them."""
    notary: Notary | None = None
    """Who speaks for what is pushed; None: nobody does."""

    def members(self, place: Place) -> list[str]:
        """Return the shards, by key, of the group that a request is for, as the plan has it."""
        branch = AGAIN.sub("", place[1])
        return [one.shard.key for one in self.planned.of(place[0]) if one.branch == branch]


def look(desk: Desk, change: Change, request: Request | None, held: str) -> Seen:
    """Gather the facts, and hear what people say. `held`: why no request may be opened now. Raises ForgeError."""
    keys = [part.shard.key for part in change.parts]
    if request is None:
        return Seen(held=held, now=desk.now, rules=pending(desk.job, keys, desk.store))
    notes = Notes(desk.store, (request.repo, request.branch))
    if request.state == "open":
        notes.open()

    def apart(told: Told) -> bool:
        return bool(told.adopted) and notes.apart(request.head, change.digest)

    def answer(command: Command, comment: Comment) -> str:
        return _answer(desk, change, request, command, comment)

    told = listen(request, notes, desk.forge, apart, answer, desk.job.name)
    if request.state in {"merged", "closed"}:
        return Seen(request, orders=told.todo, now=desk.now)
    last = notes.last(request.head)
    if last and last.head == request.head:
        published(desk.store, desk.job.name, request, request.head, request.digest, _HOW[request.state])
    moved = last is not None and last.base != change.repo.commit
    conflicts = moved and last is not None and not _fits(change.repo, last.head)
    holds = notes.holds(request.digest)
    asks = not notes.when("asked") and bool(notes.when("reminded"))
    return Seen(
        request,
        [one for one in unheard(request, desk.store) if _may_ask(desk, request, one)],
        holds,
        rules=pending(desk.job, keys, desk.store),
        orders=told.todo,
        stopped=told.stopped,
        adopted=told.adopted,
        replaced=told.replaced,
        turns=told.turns,
        apart=apart(told),
        moved=moved,
        stands=moved
        and not (conflicts or request.conflicts)
        and request.digest != change.digest
        and change.whole.keys() == set(holds)
        and last is not None
        and set(wishes(change, desk.store)) <= set(last.wishes)
        and not change.about,
        conflicts=conflicts,
        repaired=notes.repaired,
        reminded=notes.when("reminded"),
        asked=bool(notes.when("asked")),
        candidates=_others(desk, change, request, notes) if asks else (),
        held=held,
        now=desk.now,
    )


_HOW = {"branch": "push", "open": "open"}  # what has been noted of a request that is so


def _may_ask(desk: Desk, request: Request, comment: Comment) -> bool:
    """Say whether a comment is of somebody who may push. What strangers say never reaches a model. Asked once for each
    comment."""
    name = f"may ask {cause(request, comment)}"
    if desk.store.fact(name) is None:
        desk.store.keep(name, desk.forge.may_write(request, comment.author))
    return bool(desk.store.fact(name))


def wishes(change: Change, store: Store) -> list[str]:
    """Return why the shards of a change were opened again."""
    found = store.reopenings([part.shard.key for part in change.parts])
    return sorted({cause for reasons in found.values() for cause, _ in reasons})


def _others(desk: Desk, change: Change, request: Request, notes: Notes) -> list[str]:
    asked = {name.casefold() for name in (*request.reviewers, *notes.passed_over)}
    return [name for name in candidates(desk.job, change, desk.busy, desk.forge.me) if name.casefold() not in asked]


def _fits(repo: Repo, commit: str) -> bool:
    """Say whether git can merge a commit into the base as it is now. Of one that another machine pushed, and this one
    does not have, the forge alone can tell."""
    mirror = Path(repo.mirror)
    if not has(mirror, commit):
        return True
    try:
        git(mirror, "merge-tree", "--write-tree", repo.commit, commit)
    except GitError:
        return False
    return True


def _answer(desk: Desk, change: Change, request: Request, command: Command, comment: Comment) -> str:
    if command.verb == "explain":
        return explain(change, comment.path)
    if command.verb == "confirm":
        return confirm(desk.job, desk.store, request, comment, command.text)
    text = tellable(command.text, among(change.repo.base, (part.shard for part in change.parts)).masked)
    return propose(desk.job, desk.store, request, comment, text, desk.learns)
