"""The driver of one job: plan -> run -> gather -> tend, each idempotent, all facts in the store.

It never runs code of a repository; that is the lanes' business. Killed anywhere and run again, it does what is missing.
"""

from __future__ import annotations

import fcntl
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from operators.data import Edit, Outcome, Verdict
from pipelines.console import Watch
from pipelines.data import Plan, Planned, Recipe, Task
from pipelines.discover import Site
from pipelines.errors import UNSAFE, Refused
from pipelines.forge import Forge
from pipelines.gather import Gathered, gather
from pipelines.job import Job
from pipelines.lanes import Lanes
from pipelines.learn import rounds
from pipelines.listing import living as living_places
from pipelines.part import joined, part_of, sources
from pipelines.plan import NOWHERE, plan
from pipelines.report import counted
from pipelines.rules import hold, pending
from pipelines.store import Store
from pipelines.tend import Tended, standing, tend
from pipelines.work import Kit, facts_name, kit_of, needs_preparing, wants_sandbox

REPAIRS = 3  # times that one tick goes on with what its repairs brought


class Busy(Refused):
    """Another process drives this job."""


@dataclass(slots=True)
class Driver:
    job: Job
    recipe: Recipe
    home: Path
    folder: Path
    """What the job's local paths are relative to."""
    store: Store
    forge: Forge
    watch: Watch
    facts: dict[str, Mapping[str, object]] = field(default_factory=dict)
    """What checks saw on the untouched commits, by repository."""
    trouble: dict[str, str] = field(default_factory=dict)
    """Repository to the reason why nothing of it can be judged."""
    safe: bool = False
    """The sandbox has been tried, if the job's commands need one."""
    site: Site = NOWHERE
    """Where the job's repositories are looked for."""
    complete: bool = False
    """The job's own repositories are planned, not others given instead: what is in none of them has left its scope."""
    clock: Callable[[], float] = time.time
    """Seconds since 1970."""
    paused: str = ""
    """Why shards that need the model are left for another run; "" as long as it answers."""

    def plan(self) -> Plan:
        """Look at the repositories as they are now."""
        return self._plan(self.job, self.store.plan(self.job.name))

    def _plan(self, job: Job, before: Plan | None) -> Plan:
        repos = job.repos
        known = all(source.git or source.pypi for source in repos)  # else it is found out how many there are
        with self.watch.stage("plan", len(repos) if known else None) as stage:
            return plan(
                job,
                self.recipe,
                self.home,
                self.folder,
                before,
                lambda name: stage.advance(1, name),
                self.site,
            )

    def adopt(self, plan: Plan) -> None:
        """Make this the plan that the job stands by until the next. What reviewers asked for of a shard is asked of the
        one that takes its place, where the base has moved; also when nobody could look there for a while."""
        before = self.store.plan(self.job.name)
        if before and self.recipe.learns:
            places = {(one.shard.repo, one.shard.name): one.shard.key for one in plan.planned}
            names = {one.shard.key: (one.shard.repo, one.shard.name) for one in (*before.planned, *before.kept)}
            for key, reasons in self.store.reopenings(list(names)).items():
                heir = places.get(names[key], key)
                for cause, finding in reasons if heir != key else []:
                    if finding:
                        self.store.reopen(heir, cause, finding)
        self.store.save_plan(self.job.name, plan)

    def latest(self) -> Plan:
        """Return the last plan as it was made. Raises Refused when there is none."""
        found = self.store.plan(self.job.name)
        if found is None:
            raise Refused(f"{self.job.name} has not been run yet: umbau run")
        return found

    def done(self) -> tuple[int, int]:
        """Return how many shards of the last plan have an outcome, and how many there are."""
        keys = [one.shard.key for one in self.latest().planned]
        return len(keys) - len(self.store.missing(keys)), len(keys)

    def look(self, only: Collection[str] = ()) -> Plan:
        """Look at the repositories as they are now, and stand by that. With `only`, at these alone: the plan that is
        returned has nothing else. Raises Refused when the job was not run yet, or does something else now."""
        before = self.latest()
        self._same(before)
        self.facts, self.trouble, self.paused = {}, {}, ""  # of the time before
        if not only:
            found = self.plan()
            self.adopt(found)
            return found
        part = part_of(before, only)
        there = sources(part, only)
        found = self._plan(self.job.model_copy(update={"repos": there}), part) if there else part
        self.adopt(joined(before, found, only))
        return found

    def requests(self, plan: Plan, gathered: Gathered) -> list[Tended]:
        """Return the job's merge requests as the forge has them, and those that wait to be opened; nothing is done
        about them."""
        return standing(self.job, plan, gathered, self.forge, self.store, self.clock())

    def retry(self, plan: Plan, names: Sequence[str]) -> int:
        """Open again the rejected shards and those left out of their merge requests, or the shards of these names or
        keys; return how many. They start afresh. Raises Refused when there is none of a name."""
        keys = {one.shard.key: one.shard.name for one in plan.planned}
        latest = {key: found[-1] for key, found in self.store.outcomes(list(keys)).items()}
        if names:
            named = {name: [key for key in keys if key.startswith(name) or keys[key] == name] for name in names}
            if unknown := [name for name, found in named.items() if not found]:
                raise Refused(f"no shard is called {', '.join(unknown)}: see `umbau plan {self.job.name}`")
            wanted = [key for key in latest if any(key in found for found in named.values())]
        else:
            dropped = {one.part.shard.key for change in self.gather(plan, None).changes for one in change.dropped}
            wanted = [key for key, outcome in latest.items() if outcome.status == "rejected" or key in dropped]
        goes = self.store.goes(wanted)
        return sum(self.store.reopen(key, f"retry {goes.get(key, 0) + 1}") for key in wanted)

    def run(self, plan: Plan, lanes: Lanes) -> None:
        """Do every shard that has no outcome yet."""
        left = list(self.store.missing([one.shard.key for one in plan.planned]))
        for rule in pending(self.job, left, self.store):
            hold(rule, left, self.store)
        self._do(plan, lanes, self.store.missing([one.shard.key for one in plan.planned]))

    def _do(self, plan: Plan, lanes: Lanes, goes: Mapping[str, int]) -> None:
        """Do these shards; `goes`: how often each was opened again. One that finds the model gone stays undone."""
        if self.paused:
            return
        todo = [one for one in plan.planned if one.shard.key in goes]
        if not todo:
            return
        kit = self._kit(plan, lanes, [one.shard.repo for one in todo])
        barred = [one for one in todo if one.shard.repo in self.trouble]
        failures = [Outcome(one.shard, error=self.trouble[one.shard.repo]) for one in barred]
        self.store.save([(outcome, goes[outcome.shard.key]) for outcome in failures])
        tasks = [one for one in todo if one.shard.repo not in self.trouble]
        with self.watch.stage("run", len(plan.planned), len(plan.planned) - len(todo)) as stage:
            stage.advance(len(barred), "failed")
            count, away = 0, ""
            for recipe, batch in rounds(self.recipe, plan.planned, tasks, self.store):
                own = replace(kit, recipe=recipe)
                for done in lanes.run(own, (self._task(one, goes[one.shard.key]) for one in batch), stage.outages):
                    known = [(outcome, task.go) for task, outcome in done if not outcome.away]
                    self.store.save(known)
                    count, away = count + len(known), next((found.error for _, found in done if found.away), away)
                    for status, number in Counter(outcome.status for outcome, _ in known).items():
                        stage.advance(number, status)
                if away:
                    break
        if away:
            ran, wait = counted(count, "shard"), counted(len(tasks) - count, "shard waits", "shards wait")
            self.paused = f"{away}: paused after {ran}; {wait}; run again when it answers"

    def gather(self, plan: Plan, lanes: Lanes | None) -> Gathered:
        """Add the accepted edits up. Without `lanes` nothing is judged; what is not known yet is told as trouble."""
        keys = [one.shard.key for one in plan.planned]
        good = {
            key: [outcome for outcome in outcomes if outcome.status in {"accepted", "unchanged"}]
            for key, outcomes in self.store.outcomes(keys).items()
        }  # a later one that is not leaves what was proposed as it is
        accepted = {key: found[-1] for key, found in good.items() if found and found[-1].edit}
        with self.watch.stage("gather", None) as stage:

            def judge(tasks: Sequence[Task]) -> Mapping[str, Outcome]:
                known = self.store.outcomes([task.shard.key for task in tasks])
                result = {key: found[-1] for key, found in known.items() if not found[-1].error}
                missing = [task for task in tasks if task.shard.key not in result]
                if lanes and missing:
                    kit = self._kit(plan, lanes, [task.shard.repo for task in missing])
                    for done in lanes.run(kit, [task for task in missing if task.shard.repo not in self.trouble]):
                        self.store.save([(outcome, 0) for _, outcome in done])
                        result |= {task.shard.key: outcome for task, outcome in done}
                        stage.advance(len(done), "sums")
                return result

            return gather(
                self.job.name, self.recipe, plan, accepted, judge, self.store.missing(keys), self.store.goes(keys)
            )

    def tend(self, plan: Plan, lanes: Lanes, *, part: bool = False) -> tuple[Gathered, list[Tended]]:
        """Gather, then look after the merge requests; go on as long as repairs bring something new. `part`: the plan
        has some of the job's repositories, and no request is opened.

        Returns all that was done on the way. Raises Refused when the plan was made for something else than the job does
        now.
        """
        self._same(plan)
        done: list[Tended] = []
        for _ in range(REPAIRS):
            self._do(plan, lanes, self._asked(plan))
            gathered = self.gather(plan, lanes)
            with self.watch.stage("tend", None):
                now = tend(
                    self.job,
                    plan,
                    gathered,
                    self.forge,
                    self.store,
                    self.recipe.learns,
                    self.clock(),
                    complete=self.complete and not part,
                    part=part,
                )
            done = [one for one in done if one.action.verb != "wait"] + now
            if not any(one.reopened for one in now):
                break
        return gathered, done

    def _asked(self, plan: Plan) -> dict[str, int]:
        """Return the shards without an outcome that somebody asked for, or that a request stands on: its base may have
        moved. With how often each was opened again."""
        missing = self.store.missing([one.shard.key for one in plan.planned])
        living = living_places(self.job, self.store) if missing else ()
        stand = {one.shard.key for one in plan.planned if (one.shard.repo, one.branch) in living}
        return {key: go for key, go in missing.items() if go or key in stand}

    def _same(self, plan: Plan) -> None:
        if plan.fingerprint != self.recipe.fingerprint:
            raise Refused(f"the job, a codemod of it or its model has changed since {self.job.name} was run: umbau run")

    def _task(self, one: Planned, go: int) -> Task:
        """Return the work on a shard; opened again for a reason, it goes on from its last outcome, if it has one."""
        key = one.shard.key
        if not go:
            return Task(one.shard)
        reasons = [finding for _, finding in self.store.reopenings([key])[key]]
        findings = tuple(dict.fromkeys(finding for finding in reasons if finding))
        outcomes = self.store.outcomes([key]).get(key, [])
        last = [found for found in outcomes if found.verdicts and not found.error]
        past: tuple[Verdict, ...] = ()
        if reasons[-1] and last:
            said, edit = last[-1].verdicts, last[-1].verdicts[-1].edit
            heard = {finding for verdict in said for finding in verdict.findings}
            new = tuple(finding for finding in findings if finding not in heard) or (reasons[-1],)
            past = (*said, Verdict(replace(edit, said=""), new))
        elif findings:
            past = (Verdict(Edit({}), findings),)
        return Task(one.shard, past, go=go)

    def _kit(self, plan: Plan, lanes: Lanes, wanted: Iterable[str]) -> Kit:
        """Return what workers need, the repositories `wanted` prepared. Raises Refused when there is no sandbox."""
        kit = kit_of(self.job, self.recipe, [repo.base for repo in plan.repos])
        if not self.safe and wants_sandbox(kit) and (why := lanes.without_sandbox()):
            raise Refused(UNSAFE.format(why))
        self.safe = True
        self._prepare(kit, lanes, [repo for repo in dict.fromkeys(wanted) if repo not in {*self.facts, *self.trouble}])
        bases = {name: replace(base, facts=self.facts.get(name, {})) for name, base in kit.bases.items()}
        return replace(kit, bases=bases)

    def _prepare(self, kit: Kit, lanes: Lanes, repos: Sequence[str]) -> None:
        names = {repo: facts_name(kit, kit.bases[repo]) for repo in repos}
        for repo, name in names.items():
            known = self.store.fact(name)
            if known is not None:
                self.facts[repo] = known
        missing = [repo for repo in repos if repo not in self.facts]
        if not missing or not needs_preparing(kit):
            return
        with self.watch.stage("prepare", len(missing)) as stage:
            for repo, found in lanes.prepare(kit, missing):
                if isinstance(found, Exception):
                    self.trouble[repo] = str(found)
                else:
                    self.facts[repo] = found
                    self.store.keep(names[repo], found)
                stage.advance(1, repo)


@contextmanager
def alone(home: Path, job: str) -> Iterator[None]:
    """Be the only one to drive this job. Raises Busy. A process that dies lets go."""
    locks = home / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / job).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"{job} is being run by another process: wait for it, or stop it") from None
        yield
