"""How fast merge requests are opened: what may be opened now, and what waits for what. Pure.

A branch that was pushed ahead of its request has taken that request's place in every limit, so that whatever was begun
can be finished. Nothing that is open already is held back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from pipelines.forge import Place, Request
from pipelines.publishing import Rollout

HOUR = 3600.0  # seconds
LEAST = 10  # requests of which a share says something
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A request that there is something to propose in, and that is not open yet."""

    place: Place
    owner: str = ""
    pushed: bool = False
    """Its branch is there."""


def allowed(
    candidates: Sequence[Candidate],
    requests: Collection[Request],
    settings: Rollout,
    now: float,
    *,
    owners: Mapping[Place, str],
    ours: Collection[Place] = (),
    unfinished: Mapping[str, str],
    beside: Collection[Place] = (),
) -> dict[Place, str]:
    """Return for each candidate why it waits, "" when it may be opened, or its branch pushed.

    `requests`: all of the job, in any state. `owners`: of those. `ours`: the ones that Umbau closed of its own accord.
    `unfinished`: repositories in which more may be opened, and why. `beside`: requests that nobody waits for.
    `now`: seconds since 1970.
    """
    count = _Count(settings, now, owners)
    for request in requests:
        count.add(request)
    general = _closed_now(settings, now) or _paused(settings, requests, ours)
    waited = [one for one in requests if (one.repo, one.branch) not in beside]
    waits = _after(settings, candidates, waited, ours, unfinished)
    found: dict[Place, str] = {}
    for candidate in candidates:
        why = general or waits.get(candidate.place[0], "") or count.full(candidate)
        found[candidate.place] = why
        if not why:
            count.take(candidate)
    return found


@dataclass(slots=True)
class _Count:
    settings: Rollout
    now: float
    owners: Mapping[Place, str]
    opened: int = 0
    """In the last hour."""
    open: int = 0
    begun: int = 0
    """Branches without a request."""
    pending: int = 0
    by_owner: Counter[str] = field(default_factory=Counter)
    """Open requests and such branches."""

    def add(self, request: Request) -> None:
        self.opened += request.state != "branch" and self.now - request.opened < HOUR
        self.open += request.state == "open"
        self.begun += request.state == "branch"
        self.pending += request.state in {"open", "branch"} and request.ci == "pending"
        self.pending += request.state == "branch" and request.ci == "none"  # it has only just been pushed
        if request.state in {"open", "branch"}:
            self.by_owner[self.owners.get((request.repo, request.branch), "")] += 1

    def full(self, candidate: Candidate) -> str:
        """Say which limit leaves no room for one more."""
        rules, pushed = self.settings, candidate.pushed
        begun = 0 if pushed else self.begun
        owned = self.by_owner[candidate.owner] - pushed
        if rules.per_hour and self.opened + begun >= rules.per_hour:
            return f"per_hour: {rules.per_hour} were opened in the last hour" + (" or are about to be" if begun else "")
        if rules.max_open and self.open + begun >= rules.max_open:
            return f"max_open: {self.open + begun} are open" + (" or about to be" if begun else "")
        if rules.max_open_per_owner and owned >= rules.max_open_per_owner:
            return f"max_open_per_owner: {owned} of {candidate.owner or 'nobody'} are open"
        if rules.max_pending_pipelines and not pushed and self.pending >= rules.max_pending_pipelines:
            return f"max_pending_pipelines: {self.pending} are running"
        return ""

    def take(self, candidate: Candidate) -> None:
        """Count one that is opened, or whose branch is pushed, now."""
        if self.settings.open_when == "green" and not candidate.pushed:
            self.begun += 1
        else:
            self.opened, self.open, self.begun = self.opened + 1, self.open + 1, self.begun - candidate.pushed
        self.pending += not candidate.pushed
        self.by_owner[candidate.owner] += not candidate.pushed


def _closed_now(settings: Rollout, now: float) -> str:
    if not settings.windows or any(within(window, now, settings.time_zone) for window in settings.windows):
        return ""
    return f"outside of {', '.join(settings.windows)} ({settings.time_zone})"


def within(window: str, now: float, zone: str) -> bool:
    """Say whether a moment is in a window such as `mon-fri 22:00-02:00`, by the clock on the wall of a time zone. The
    days are those on which it begins; where it ends as it begins, it is 24 hours."""
    days, times = window.split(" ")
    first, _, last = days.partition("-")
    begin, end = (60 * int(text[:2]) + int(text[3:]) for text in times.split("-"))
    local = datetime.fromtimestamp(now, ZoneInfo(zone))
    minute = 60 * local.hour + local.minute
    today, yesterday = local.weekday(), (local.date() - timedelta(days=1)).weekday()
    if begin < end:
        return _among(today, first, last) and begin <= minute < end
    return (_among(today, first, last) and minute >= begin) or (_among(yesterday, first, last) and minute < end)


def _among(day: int, first: str, last: str) -> bool:
    begin, end = _DAYS.index(first), _DAYS.index(last or first)
    return (day - begin) % 7 <= (end - begin) % 7


def _paused(settings: Rollout, requests: Iterable[Request], ours: Collection[Place]) -> str:
    known = [one for one in requests if not (one.state == "closed" and (one.repo, one.branch) in ours)]
    bad = sum(_bad(one) for one in known)
    if not settings.pause_at or len(known) < LEAST or bad / len(known) < settings.pause_at:
        return ""
    return f"pause_at: {bad} of {len(known)} requests were closed by people or are red"


def _bad(request: Request) -> bool:
    return request.state == "closed" or (request.state in {"open", "branch"} and request.ci == "failed")


def _after(
    settings: Rollout,
    candidates: Iterable[Candidate],
    requests: Iterable[Request],
    ours: Collection[Place],
    unfinished: Mapping[str, str],
) -> dict[str, str]:
    """Return the repositories that wait for others, and for what; those of one wave do not wait for each other."""
    if not settings.after:
        return {}
    left: dict[str, str] = {
        one.repo: f"{one.branch} is {one.state}"
        for one in requests
        if one.state != "merged" and not (one.state == "closed" and (one.repo, one.branch) in ours)
    }
    repos = {one.place[0]: f"{one.place[1]} is not open yet" for one in candidates}
    left = {**repos, **unfinished, **left}
    # One is enough to wait for, and what is known of a request says more than that there is none yet.
    blocking = {
        later: next((repo for repo in reversed(left) if _matches(repo, earlier)), "")
        for later, earlier in settings.after.items()
    }
    return {
        repo: f"after: {other}, where {left[other]}"
        for repo in repos
        for later, earlier in settings.after.items()
        if (other := blocking[later]) and _matches(repo, [later]) and not _matches(repo, earlier)
    }


def _matches(repo: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(repo, glob) for glob in globs)
