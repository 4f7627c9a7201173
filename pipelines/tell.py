"""What a driver writes down for whoever looks at a job without its file, and without asking the forge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter

from pipelines.act import Tended
from pipelines.forge import Place, Request
from pipelines.job import Job
from pipelines.limits import Budget
from pipelines.listing import Listing
from pipelines.people import owner_of_repo
from pipelines.store import Store


@dataclass(frozen=True, slots=True)
class Told:
    """A merge request as the last tick left it."""

    repo: str
    branch: str
    state: str
    """`branch`, `open`, `merged`, `closed`."""
    url: str
    title: str
    owner: str
    """In whose name it stands."""
    number: int = 0
    ci: str = "none"
    approved: bool = False
    conflicts: bool = False
    touched: bool = False
    """The branch holds a commit of somebody else."""
    draft: bool = False
    opened: float = 0.0
    """Seconds since 1970, 0 when that is not known; likewise below."""
    active: float = 0.0
    reviewers: tuple[str, ...] = ()
    comments: int = 0
    """Of people."""
    trouble: str = ""
    """What went wrong with it at that tick."""


@dataclass(frozen=True, slots=True)
class About:
    """What the job file says that a looker-on wants to know."""

    description: str = ""
    budget: Budget = field(default_factory=Budget)


_AFTER = {"open": "open", "merge": "merged", "close": "closed", "reopen": "open"}  # what an act leaves a request as
_TOLD, _ABOUT = TypeAdapter(tuple[Told, ...]), TypeAdapter(About)


def describe(job: Job, store: Store) -> None:
    """Write down what the job is about."""
    about = _ABOUT.dump_python(About(job.description, job.budget), mode="json")
    if store.recall(f"about {job.name}") != about:
        store.remember(f"about {job.name}", about)


def told(
    job: Job,
    listed: Listing,
    done: Iterable[Tended],
    owners: Mapping[Place, str],
    store: Store,
    now: float,
    *,
    part: bool,
) -> None:
    """Write the requests down as this tick leaves them. Those of repositories that nothing is known of today stay as
    they were, and with `part` those of all others. `owners`: in whose name one stands, where that is known."""
    found = {place: _of(request, owners.get(place, "")) for place, request in listed.requests.items()}
    for one in done:
        place = (one.repo, one.branch)
        known = found.get(place)
        if known is None and one.url:
            opened = one.action.verb == "open" or job.rollout.open_when == "at_once"
            state, owner = "open" if opened else "branch", owners.get(place) or owner_of_repo(one.repo)
            known = Told(*place, state, one.url, one.title, owner, opened=now if opened else 0.0)
        if known:
            state = known.state if one.trouble else _AFTER.get(one.action.verb, known.state)
            found[place] = Told(**asdict(known) | {"state": state, "trouble": one.trouble})
    looked = {repo for repo, _ in found} | {one.repo for one in done}
    before = _TOLD.validate_python((store.recall(_name(job.name)) or {}).get("requests", ()))
    kept = [one for one in before if one.repo in listed.trouble or (part and one.repo not in looked)]
    requests = [*kept, *(one for one in found.values() if one.repo not in listed.trouble)]
    store.remember(_name(job.name), {"at": now, "requests": [asdict(one) for one in requests]})


def requests_of(memory: Any) -> tuple[float, tuple[Told, ...]]:
    """Return when the forge was asked last, in seconds since 1970, and what it said; 0.0 when it never was."""
    return (memory["at"], _TOLD.validate_python(memory["requests"])) if memory else (0.0, ())


def about_of(memory: Any) -> About:
    return _ABOUT.validate_python(memory) if memory else About()


def memories(job: str) -> tuple[str, str]:
    """Return under which keys the two are kept: what the job is about, and its requests."""
    return f"about {job}", _name(job)


def _name(job: str) -> str:
    return f"requests {job}"


def _of(request: Request, owner: str) -> Told:
    shown = {name: getattr(request, name) for name in Told.__dataclass_fields__ if name not in _OWN}
    return Told(**shown, owner=owner or owner_of_repo(request.repo), comments=len(request.comments))


_OWN = {"owner", "comments", "trouble"}
