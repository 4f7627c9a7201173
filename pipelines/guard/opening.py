"""Which repositories are ready for their guard, and what becomes of it there."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from operators.proc import GitError
from pipelines.act import Tended
from pipelines.data import Change, Plan
from pipelines.driver import Driver
from pipelines.errors import Refused
from pipelines.forge import Place, Request
from pipelines.gather import Gathered
from pipelines.guard.change import guarding, guards, shows
from pipelines.guard.detector import FOLDER, old
from pipelines.history import note
from pipelines.listing import Listing, keep, listing
from pipelines.look import Desk
from pipelines.people import load, owner, owner_of_repo
from pipelines.printed import counted
from pipelines.rollout import Candidate, allowed
from pipelines.signing import committer
from pipelines.tend import current, noted, tended, turns_of

State = Literal["waits", "done", "open", "closed", "new", "left out", "trouble"]


@dataclass(frozen=True, slots=True)
class Guarded:
    """Where the guard of one repository stands."""

    repo: str
    state: State
    why: str
    url: str = ""
    files: Mapping[str, str | None] = field(default_factory=dict)
    """What it lacks: path to new text."""


@dataclass(slots=True)
class Guarding:
    """The guards of a job's repositories."""

    driver: Driver
    plan: Plan
    """Of the repositories that are meant, as they are now."""
    gathered: Gathered
    listed: Listing
    """Of all repositories, as limits count all."""
    found: dict[str, tuple[Change, Request | None]] = field(default_factory=dict)
    """By repository, where there is something to look after."""

    def look(self) -> Iterator[Guarded]:
        """Say of each repository where it stands. What is wrong with one is told, and the others are looked at."""
        waits = dict(self._waits())
        (closed, stands), job = noted(self.listed, self.driver.store), self.driver.job
        away = {one.repo: one.reason for one in self.plan.left_out if not one.path}
        yield from (Guarded(repo, "left out", why) for repo, why in away.items())
        yield from (Guarded(repo, "trouble", why) for repo, why in self.plan.trouble.items())
        for repo in self.plan.repos:
            if repo.name in away or repo.name in self.plan.trouble:
                continue
            try:
                change = guarding(job, repo, shows(job, self.listed.requests.values(), repo.name))
            except (Refused, GitError) as why:
                yield Guarded(repo.name, "trouble", str(why))
                continue
            change, request = current(change, self.listed.requests, closed, stands)
            yield self._stands(change, request, waits.get(repo.name, ""))

    def _stands(self, change: Change, request: Request | None, waits: str) -> Guarded:
        name, url = change.repo.name, request.url if request else ""
        if request and request.state in {"open", "branch"}:
            self.found[name] = change, request
            return Guarded(name, "open", "its request is open", url, change.whole)
        if not change.whole:
            return Guarded(name, "done", "nothing to do", url)
        if request and request.state == "closed":
            return Guarded(name, "closed", "somebody closed its request: `umbau reopen` opens it again", url)
        if request:
            return Guarded(name, "closed", "its request was merged, and somebody has taken back what it brought", url)
        if waits:
            return Guarded(name, "waits", waits, files=change.whole)
        self.found[name] = change, request
        return Guarded(name, "new", _told(change), files=change.whole)

    def _waits(self) -> Iterator[tuple[str, str]]:
        """Yield the repositories in which something is left of the migration, and what."""
        job, open_ = self.driver.job, {"open", "branch"}
        for turn in turns_of(job, self.gathered, self.listed, self.driver.store):
            if turn.unfinished:
                yield turn.place[0], "shards are not done yet: umbau run"
            elif turn.wanted and turn.place not in self.listed.requests:
                yield turn.place[0], "a request of the migration is still to be opened: umbau tend"
        for repo, _ in (*self.gathered.waiting, *self.gathered.trouble):
            yield repo, "sums of edits are not judged yet: umbau run"
        for request in self.listed.requests.values():
            if request.state in open_ and not guards(job, request.branch):
                yield request.repo, f"{request.url or request.branch} is not merged yet"
        yield from self.listed.trouble.items()

    def open(self, wanted: Collection[str]) -> list[Tended]:
        """Open the guards of these repositories as far as the job's limits let it, and look after those that are
        open."""
        driver, job = self.driver, self.driver.job
        requests = self.listed.requests.values()
        by, busy = committer(job.merge_request), load(requests)
        desk = Desk(job, driver.forge, driver.store, False, driver.clock(), self.plan.planned, by, busy)
        found = {repo: pair for repo, pair in self.found.items() if repo in wanted}
        held = self._held([change for change, request in found.values() if request is None])
        begun = [place for place, why in held.items() if not why]
        keep(job, driver.latest(), self.listed, begun, driver.store)
        done = [tended(desk, change, request, self.listed, held) for change, request in found.values()]
        for kind, repo, body in note([*requests, *desk.after.values()], job.name, driver.store, desk.now):
            driver.watch.tell(kind, repo=repo, **body)
        return done

    def _held(self, changes: list[Change]) -> dict[Place, str]:
        """Return for each request that is to be opened why it waits, "" when it does not."""
        job = self.driver.job
        by_owner = bool(job.rollout.max_open_per_owner)
        ready = [Candidate((one.repo.name, one.branch), owner(one) if by_owner else "") for one in changes]
        requests = [*self.listed.requests.values(), *self.listed.last_known]
        owners = {(one.repo, one.branch): owner_of_repo(one.repo) for one in requests}
        ours, _ = noted(self.listed, self.driver.store)
        beside = {place for place in self.listed.requests if guards(job, place[1])}
        now, unfinished = self.driver.clock(), dict.fromkeys(self.listed.trouble, "nothing is known today")
        return allowed(
            ready, requests, job.rollout, now, owners=owners, ours=ours, unfinished=unfinished, beside=beside
        )


def _told(change: Change) -> str:
    """Name the files that come in, and say how much of the old code they let stay."""
    text = change.whole.get(f"{FOLDER}/{change.job}/allowed.json")
    left: dict[str, int] = json.loads(text) if text else {}
    stays = f"; {counted(sum(left.values()), 'line')} in {counted(len(left), 'file')} may stay" if left else ""
    return f"{', '.join(sorted(path for path, new in change.whole.items() if new))}{stays}"


def guardings(driver: Driver, globs: Collection[str]) -> Guarding:
    """Look at the repositories of a job whose names match, at all when no glob is given. Raises Refused."""
    old(driver.job)
    names = {repo.name for repo in driver.latest().repos}
    only = {name for name in names if any(fnmatchcase(name, glob) for glob in globs)}
    if globs and not only:
        known = ", ".join(sorted(names)[:10])
        raise Refused(f"no repository of {driver.job.name} is called {', '.join(globs)}. There are: {known}")
    plan = driver.look(only)
    listed = listing(driver.job, driver.latest(), driver.forge, driver.store)
    return Guarding(driver, plan, driver.gather(plan, None), listed)
