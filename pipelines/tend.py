"""change, request -> action: a pure decision, then a small act. Level-triggered: each tick looks at what is, so that
nothing is lost when one is interrupted, and running twice is running once."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from operators.proc import GitError
from operators.veil import Slow
from pipelines.act import Tended, act
from pipelines.audit.requests import seen
from pipelines.comments import answer
from pipelines.data import Change, Plan, Repo
from pipelines.decide import Action, decide
from pipelines.errors import Refused
from pipelines.forge import Forge, ForgeError, NotPushed, Place, Request
from pipelines.gather import Gathered
from pipelines.group import AGAIN
from pipelines.guard.change import guarding, guards, shows
from pipelines.history import note
from pipelines.job import Job
from pipelines.listing import Listing, archived, gone, keep, listing
from pipelines.look import Desk, look
from pipelines.notes import Notes
from pipelines.people import load, owner, owner_of_repo
from pipelines.rollout import Candidate, allowed
from pipelines.signing import committer
from pipelines.store import Store
from pipelines.tell import told
from pipelines.text import BadTemplate

if TYPE_CHECKING:
    from pipelines.evidence.notary import Notary

__all__ = ["Action", "Tended", "current", "standing", "tend"]
Pair = tuple[Change, Request | None]
UNKNOWN = Action("wait", "it cannot be looked at")
TROUBLES = (ForgeError, GitError, NotPushed, BadTemplate, Slow)


def tend(
    job: Job,
    plan: Plan,
    gathered: Gathered,
    forge: Forge,
    store: Store,
    learns: bool,
    now: float,
    *,
    complete: bool = False,
    part: bool = False,
    happened: Callable[[str, str, Mapping[str, Any]], None] = lambda kind, repo, body: None,
    hold: str = "",
    notary: Notary | None = None,
) -> list[Tended]:
    """Look at each merge request once and do what there is to be done.

    A repair only asks for another go at the shards; once that is done, the next tick sees another change. What goes
    wrong with one request, or one repository, is told, and the others are tended. `now`: seconds since 1970.
    `complete`: the plan has all repositories that the job names, so that those that are not in it are none of its own
    any more. `part`: it has some of them, and nothing is opened, as the job's limits count all. `happened` is told what
    became of requests, when that is first seen. `hold`: why nothing is opened at all. `notary`: who speaks for what is
    pushed and merged. Raises Refused when commits or evidence cannot be signed.
    """
    by = committer(job.merge_request)
    if notary:
        notary.ready()
    listed = listing(job, plan, forge, store, part)
    busy = load(listed.requests.values())
    desk = Desk(job, forge, store, learns, now, plan.planned, by, busy, notary=notary)
    turns = turns_of(job, gathered, listed, store)
    keep(job, plan, listed, [turn.place for turn in turns if turn.wanted], store, part)
    held = waits(job, plan, gathered, listed, turns, store, now)
    if part:
        held = dict.fromkeys(held, "opened when all repositories are looked at")
    if hold:
        held = dict.fromkeys(held, hold)
    done = [tended(desk, *pair, listed, held) for pair in _pairs(gathered, listed, store)]
    inside = {repo.name: repo for repo in plan.repos}
    if complete:
        inside |= {name: listed.earlier[name] for name in gone(plan, listed) - archived(plan)}
    done += _beside(desk, plan, inside, listed, held)
    if notary:
        notary.merges(listed.requests.values())
    for kind, repo, body in note([*listed.requests.values(), *desk.after.values()], job.name, store, now):
        seen(store, job.name, kind, repo, body)
        happened(kind, repo, body)
    for request in listed.requests.values():
        try:
            answer(plan, gathered.dropped, [request], forge, store)
        except (ForgeError, GitError, Slow) as why:
            action = Action("wait", "comments are to be answered")
            done.append(Tended(request.repo, request.branch, action, request.url, str(why), title=request.title))
    owners = {turn.place: turn.owner for turn in turns if turn.owner}
    told(job, listed, done, owners, store, now, part=part)
    return done


def _beside(
    desk: Desk, plan: Plan, inside: Mapping[str, Repo], listed: Listing, held: Mapping[Place, str]
) -> Iterator[Tended]:
    """Tend the requests of guards, and those of which no shard is left. `inside`: the repositories whose requests are
    the job's, by name."""
    places = {(one.shard.repo, one.branch) for one in plan.planned}
    for (repo, branch), request in listed.requests.items():
        if request.state not in {"open", "branch"} or repo not in inside:
            continue
        if guards(desk.job, branch):
            yield _guarded(desk, inside[repo], request, listed)
        elif (repo, AGAIN.sub("", branch)) not in places:
            nothing = Change(desk.job.name, inside[repo], branch, branch, (), {})
            yield tended(desk, nothing, request, listed, held)


def standing(job: Job, plan: Plan, gathered: Gathered, forge: Forge, store: Store, now: float) -> list[Tended]:
    """Return the requests as the forge has them, and those that wait to be opened; nothing is done about them."""
    listed = listing(job, plan, forge, store)
    turns = turns_of(job, gathered, listed, store)
    held = waits(job, plan, gathered, listed, turns, store, now)
    found = [
        Tended(one.repo, one.branch, Action("wait", held.get(place) or one.state), one.url, title=one.title)
        for place, one in listed.requests.items()
    ]
    found += [
        Tended(*place, Action("wait", why)) for place, why in held.items() if why and place not in listed.requests
    ]
    return found + [
        Tended(repo, "", Action("wait", "it cannot be asked"), "", why) for repo, why in listed.trouble.items()
    ]


def current(
    change: Change,
    requests: Mapping[Place, Request],
    closed: Container[Place] = (),
    stands: Callable[[Request], str] = lambda request: "",
) -> Pair:
    """Return the change under the branch that is its own now, with the request that is there (see `now_at`)."""
    first = change.repo.name, change.branch
    place, request, wanted = now_at(first, change.digest, bool(change.whole), requests, closed, stands)
    return replace(change, branch=place[1], whole=change.whole if wanted else {}), request


def now_at(
    place: Place,
    digest: str,
    wanted: bool,
    requests: Mapping[Place, Request],
    closed: Container[Place],
    stands: Callable[[Request], str],
) -> tuple[Place, Request | None, bool]:
    """Return where a change of that digest belongs now, the request that is there, and whether it is still wanted.

    What was merged stays merged, and when something else is to be changed in the same files later, that is another
    request, on a branch of its own; likewise when Umbau itself closed one (`closed`) and there is something to propose
    after all. What a person closed stays closed. `stands`: the digest of the change that a request stands for as well.
    """
    repo, branch = place
    chain = [branch]
    while (repo, chain[-1]) in requests:
        chain.append(f"{branch}.again{len(chain) if len(chain) > 1 else ''}")
    known = [requests[repo, each] for each in chain[:-1]]
    if not known:
        return place, None, wanted

    def merged(request: Request) -> bool:
        return request.state == "merged" and digest in {request.digest, stands(request)}

    last = known[-1]
    if any(merged(request) for request in known[:-1]):
        wanted = False  # as merged before: what has been opened since is not wanted any more
    over = last.state == "merged" and not merged(last)
    if wanted and (over or (last.state == "closed" and (last.repo, last.branch) in closed)):
        return (repo, chain[-1]), None, True
    return (repo, last.branch), last, wanted


@dataclass(frozen=True, slots=True)
class Turn:
    """What counts of a change where it is a matter of whose turn it is."""

    place: Place
    owner: str
    """"" where that does not count."""
    wanted: bool
    """It changes something."""
    unfinished: bool
    begun: bool
    """It has a branch, or a request."""
    ready: bool
    """It could be opened now."""


def turns_of(job: Job, gathered: Gathered, listed: Listing, store: Store) -> list[Turn]:
    owners = {}
    if job.rollout.max_open_per_owner:
        owners = {
            (change.repo.name, change.branch): owner(change)
            for change, request in _pairs(gathered, listed, store)
            if request or (change.whole and change.repo.name not in listed.trouble)
        }
    (closed, stands), found = noted(listed, store), []
    for brief in gathered.briefs:
        place, request, wanted = now_at(brief.place, brief.digest, brief.wanted, listed.requests, closed, stands)
        ready = place[0] not in listed.trouble and _ready(job, wanted, request)
        found.append(Turn(place, owners.get(place, ""), wanted, brief.unfinished, request is not None, ready))
    return found


def waits(
    job: Job,
    plan: Plan,
    gathered: Gathered,
    listed: Listing,
    turns: Sequence[Turn],
    store: Store,
    now: float,
) -> dict[Place, str]:
    """Return for each request that could be opened why it waits, "" when it does not."""
    ready = [Candidate(turn.place, turn.owner, turn.begun) for turn in turns if turn.ready]
    requests = [*listed.requests.values(), *listed.last_known]
    owners = {(one.repo, one.branch): owner_of_repo(one.repo) for one in requests}
    owners |= {turn.place: turn.owner for turn in turns if turn.begun}
    unfinished = {turn.place[0]: "shards are not done yet" for turn in turns if turn.unfinished}
    unfinished |= {repo: "sums of edits are not judged yet" for repo, _ in (*gathered.waiting, *gathered.trouble)}
    unfinished |= dict.fromkeys((*plan.trouble, *listed.trouble), "nothing is known today")
    ours, _ = noted(listed, store)
    beside = {(one.repo, one.branch) for one in requests if guards(job, one.branch)}
    return allowed(ready, requests, job.rollout, now, owners=owners, ours=ours, unfinished=unfinished, beside=beside)


def _ready(job: Job, wanted: bool, request: Request | None) -> bool:
    if request is None:
        return wanted
    return request.state == "branch" and (request.ci == "passed" or job.rollout.open_when == "at_once")


def _pairs(gathered: Gathered, listed: Listing, store: Store) -> Iterator[Pair]:
    closed, stands = noted(listed, store)
    return (current(change, listed.requests, closed, stands) for change in gathered.changes)


def noted(listed: Listing, store: Store) -> tuple[set[Place], Callable[[Request], str]]:
    """Return which requests Umbau itself closed, and what tells the change that one stands for as well."""
    closed = {place for place, one in listed.requests.items() if one.state == "closed" and Notes(store, place).closed}
    return closed, lambda request: Notes(store, (request.repo, request.branch)).stands_for(request.digest)


def _guarded(desk: Desk, repo: Repo, request: Request, listed: Listing) -> Tended:
    """Look after the request of a guard, which no shard is part of."""
    try:
        change = replace(
            guarding(desk.job, repo, shows(desk.job, listed.requests.values(), repo.name)), branch=request.branch
        )
    except (GitError, Refused, Slow) as why:
        return Tended(repo.name, request.branch, UNKNOWN, request.url, str(why), title=request.title)
    return tended(replace(desk, learns=False), change, request, listed, {})


def tended(desk: Desk, change: Change, request: Request | None, listed: Listing, held: Mapping[Place, str]) -> Tended:
    """Do what there is to be done about one request, or open it; `held`: why some may not be opened."""
    start, since = time.time(), time.monotonic()
    found = _tended(desk, change, request, listed, held)
    return replace(found, start=start, seconds=time.monotonic() - since)


def _tended(desk: Desk, change: Change, request: Request | None, listed: Listing, held: Mapping[Place, str]) -> Tended:
    place, action = (change.repo.name, change.branch), UNKNOWN
    url, title = (request.url, request.title) if request else ("", "")
    if why := listed.trouble.get(change.repo.name):
        return Tended(*place, action, url, why, title=title)
    try:
        seen = look(desk, change, request, held.get(place, ""))
        if request and seen.stands:
            Notes(desk.store, place).stand(request.digest, change.digest)
        action = decide(change, seen, desk.job, desk.learns)
        if action.verb == "close" and not change.parts and not desk.members(place):
            action = replace(action, why="left the job's scope")
        return act(desk, change, seen, action)
    except TROUBLES as trouble:
        return Tended(*place, action, url, str(trouble), title=title)
