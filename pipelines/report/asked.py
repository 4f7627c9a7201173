"""What the forge says of a job's merge requests when a report is made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from operators.proc import GitError
from pipelines.data import Dropped, Plan
from pipelines.driver import Driver
from pipelines.errors import Refused
from pipelines.forge import Place, Request
from pipelines.gather import Brief, Gathered
from pipelines.group import AGAIN
from pipelines.listing import listing


@dataclass(frozen=True, slots=True)
class Asked:
    requests: Sequence[Request] = ()
    trouble: Mapping[str, str] = field(default_factory=dict)
    """Repository to the reason why nothing is known of its requests."""
    dropped: Mapping[str, str] = field(default_factory=dict)
    """Key of an accepted shard that is left out of its merge request to what is held against the sum with it."""
    wanted: int = 0
    """Requests that are still to be opened."""

    def latest(self) -> Mapping[Place, Request]:
        """Return, by the branch that a group had at first, the last request of the group."""
        found = sorted(self.requests, key=lambda one: (one.repo, _turn(one.branch)))
        return {(one.repo, AGAIN.sub("", one.branch)): one for one in found}


def asked(driver: Driver, plan: Plan) -> Asked:
    """Ask the forge, and the store for what was left out; nothing is done about any of it. A forge that cannot be asked
    is told as trouble."""
    try:
        gathered = driver.gather(plan, None)
    except GitError:  # the repositories are not here: what goes together cannot be told
        gathered = Gathered((), {})
    try:
        listed = listing(driver.job, plan, driver.forge, driver.store)
        requests, trouble = listed.requests, listed.trouble
    except Refused as why:  # nobody is let in, as where a report is made by somebody without a token
        requests, trouble = {}, dict.fromkeys((repo.name for repo in plan.repos), str(why))
    return Asked(
        tuple(requests.values()),
        trouble,
        {one.part.shard.key: _told(one) for one in gathered.dropped},
        _unopened(gathered.briefs, requests, trouble),
    )


def _unopened(briefs: Iterable[Brief], requests: Mapping[Place, Request], trouble: Mapping[str, str]) -> int:
    known = {place for place, one in requests.items() if one.state != "branch"}
    return sum(one.wanted and one.place not in known and one.place[0] not in trouble for one in briefs)


def _told(dropped: Dropped) -> str:
    finding = dropped.findings[0]
    return f"{finding.judge}: {finding.message}"


def _turn(branch: str) -> int:
    found = re.search(r"\.again(\d*)$", branch)
    return int(found[1] or 1) if found else 0
