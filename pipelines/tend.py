"""change, request -> action: a pure decision, then a small act. Level-triggered: each tick looks at what is, so that
nothing is lost when one is interrupted, and running twice is running once."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace

from operators.proc import GitError
from pipelines.act import Tended, act
from pipelines.comments import answer
from pipelines.data import Change, Plan
from pipelines.decide import Action, decide
from pipelines.forge import Forge, ForgeError, NotPushed, Place, Request
from pipelines.gather import Gathered
from pipelines.group import AGAIN
from pipelines.job import Job
from pipelines.listing import Listing, archived, gone, keep, listing
from pipelines.look import Desk, look
from pipelines.notes import Notes
from pipelines.people import load, owner, owner_of_repo
from pipelines.rollout import Candidate, allowed
from pipelines.signing import committer
from pipelines.store import Store
from pipelines.text import BadTemplate

__all__ = ["Action", "Tended", "current", "standing", "tend"]
Pair = tuple[Change, Request | None]
TROUBLES = (ForgeError, GitError, NotPushed, BadTemplate)


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
) -> list[Tended]:
    """Look at each merge request once and do what there is to be done.

    A repair only asks for another go at the shards; once that is done, the next tick sees another change. What goes
    wrong with one request, or one repository, is told, and the others are tended. `now`: seconds since 1970.
    `complete`: the plan has all repositories that the job names, so that those that are not in it are none of its own
    any more. `part`: it has some of them, and nothing is opened, as the job's limits count all. Raises Refused when
    commits cannot be signed.
    """
    members: dict[Place, list[str]] = {}
    for one in plan.planned:
        members.setdefault((one.shard.repo, one.branch), []).append(one.shard.key)
    listed = listing(job, plan, forge, store, part)
    busy = load(listed.requests.values())
    desk = Desk(job, forge, store, learns, now, members, committer(job.merge_request), busy)
    pairs = _pairs(gathered, listed, store)
    keep(job, plan, listed, [(change.repo.name, change.branch) for change, _ in pairs if change.whole], store, part)
    held = waits(job, plan, gathered, listed, pairs, store, now)
    if part:
        held = dict.fromkeys(held, "opened when all repositories are looked at")
    done = [_tended(desk, change, request, listed, held) for change, request in pairs]
    inside = {repo.name: repo for repo in plan.repos}
    if complete:
        inside |= {name: listed.earlier[name] for name in gone(plan, listed) - archived(plan)}
    for (repo, branch), request in listed.requests.items():
        if request.state in {"open", "branch"} and repo in inside and (repo, AGAIN.sub("", branch)) not in members:
            nothing = Change(job.name, inside[repo], branch, branch, (), {})
            done.append(_tended(desk, nothing, request, listed, held))
    dropped = [one for change in gathered.changes for one in change.dropped]
    for request in listed.requests.values():
        try:
            answer(plan, dropped, [request], forge, store)
        except (ForgeError, GitError) as why:
            action = Action("wait", "comments are to be answered")
            done.append(Tended(request.repo, request.branch, action, request.url, str(why), title=request.title))
    return done


def standing(job: Job, plan: Plan, gathered: Gathered, forge: Forge, store: Store, now: float) -> list[Tended]:
    """Return the requests as the forge has them, and those that wait to be opened; nothing is done about them."""
    listed = listing(job, plan, forge, store)
    pairs = _pairs(gathered, listed, store)
    held = waits(job, plan, gathered, listed, pairs, store, now)
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
    """Return the change under the branch that is its own now, with the request that is there.

    What was merged stays merged, and when something else is to be changed in the same files later, that is another
    request, on a branch of its own; likewise when Umbau itself closed one (`closed`) and there is something to propose
    after all. What a person closed stays closed. `stands`: the digest of the change that a request stands for as well.
    """
    chain = [change.branch]
    while (change.repo.name, chain[-1]) in requests:
        chain.append(f"{change.branch}.again{len(chain) if len(chain) > 1 else ''}")
    known = [requests[change.repo.name, branch] for branch in chain[:-1]]
    if not known:
        return change, None

    def merged(request: Request) -> bool:
        return request.state == "merged" and change.digest in {request.digest, stands(request)}

    last = known[-1]
    if any(merged(request) for request in known[:-1]):
        change = replace(change, whole={})  # as merged before: what has been opened since is not wanted any more
    over = last.state == "merged" and not merged(last)
    if change.whole and (over or (last.state == "closed" and (last.repo, last.branch) in closed)):
        return replace(change, branch=chain[-1]), None
    return replace(change, branch=last.branch), last


def waits(
    job: Job,
    plan: Plan,
    gathered: Gathered,
    listed: Listing,
    pairs: Sequence[Pair],
    store: Store,
    now: float,
) -> dict[Place, str]:
    """Return for each request that could be opened why it waits, "" when it does not."""

    def whose(change: Change) -> str:
        return owner(change) if job.rollout.max_open_per_owner else ""

    ready = [
        Candidate((change.repo.name, change.branch), whose(change), request is not None)
        for change, request in pairs
        if change.repo.name not in listed.trouble and _ready(job, change, request)
    ]
    requests = [*listed.requests.values(), *listed.last_known]
    owners = {(one.repo, one.branch): owner_of_repo(one.repo) for one in requests}
    owners |= {(change.repo.name, change.branch): whose(change) for change, request in pairs if request}
    unfinished = {change.repo.name: "shards are not done yet" for change, _ in pairs if change.unfinished}
    unfinished |= {repo: "sums of edits are not judged yet" for repo, _ in (*gathered.waiting, *gathered.trouble)}
    unfinished |= dict.fromkeys((*plan.trouble, *listed.trouble), "nothing is known today")
    ours = {place for place, one in listed.requests.items() if one.state == "closed" and Notes(store, place).closed}
    return allowed(ready, requests, job.rollout, now, owners=owners, ours=ours, unfinished=unfinished)


def _ready(job: Job, change: Change, request: Request | None) -> bool:
    if request is None:
        return bool(change.whole)
    return request.state == "branch" and (request.ci == "passed" or job.rollout.open_when == "at_once")


def _pairs(gathered: Gathered, listed: Listing, store: Store) -> list[Pair]:
    closed = {place for place, one in listed.requests.items() if one.state == "closed" and Notes(store, place).closed}

    def stands(request: Request) -> str:
        return Notes(store, (request.repo, request.branch)).stands_for(request.digest)

    return [current(change, listed.requests, closed, stands) for change in gathered.changes]


def _tended(desk: Desk, change: Change, request: Request | None, listed: Listing, held: Mapping[Place, str]) -> Tended:
    place, action = (change.repo.name, change.branch), Action("wait", "it cannot be looked at")
    url, title = (request.url, request.title) if request else ("", "")
    if why := listed.trouble.get(change.repo.name):
        return Tended(*place, action, url, why, title=title)
    try:
        seen = look(desk, change, request, held.get(place, ""))
        if request and seen.stands:
            Notes(desk.store, place).stand(request.digest, change.digest)
        action = decide(change, seen, desk.job, desk.learns)
        if action.verb == "close" and not change.parts and (place[0], AGAIN.sub("", place[1])) not in desk.members:
            action = replace(action, why="left the job's scope")
        return act(desk, change, seen, action)
    except TROUBLES as trouble:
        return Tended(*place, action, url, str(trouble), title=title)
