"""The driver of one job: plan -> run -> gather -> tend, each idempotent, all facts in the store.

It never runs code of a repository; that is the lanes' business. Killed anywhere and run again, it does what is missing.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from operators.data import Outcome
from pipelines.aside import aside, lift, put_aside
from pipelines.baselines import Baselines, Bases
from pipelines.budget.brake import Brake, steered_text
from pipelines.console import Watch
from pipelines.data import Plan, Planned, Recipe, Repo
from pipelines.discover import Site
from pipelines.errors import UNSAFE, Refused
from pipelines.forge import Forge
from pipelines.gather import Gathered
from pipelines.gathering import Gathering
from pipelines.job import Job
from pipelines.lanes import Lanes, Moment
from pipelines.learn import rounds, teaching
from pipelines.listing import living as living_places
from pipelines.notice import Level
from pipelines.observed import Observed
from pipelines.part import joined, part_of, sources
from pipelines.pilot import passed, piloting
from pipelines.plan import NOWHERE, plan
from pipelines.remaining import Left, left, note, remaining, undone
from pipelines.rules import hold, pending, rules
from pipelines.select import Hit
from pipelines.steering import paused
from pipelines.store import Store
from pipelines.tell import describe
from pipelines.tend import Tended, standing, tend
from pipelines.todo import Wanted, counts, keys_of, tasks
from pipelines.tracing.export import Traces
from pipelines.work import Kit, facts_name, kit_of, needs_preparing, wants_sandbox

if TYPE_CHECKING:
    from pipelines.evidence.notary import Notary

REPAIRS = 3  # times that one tick goes on with what its repairs brought


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
    traces: Traces | None = None
    """Where traces go, if anybody asked for them."""
    notary: Notary | None = None
    """Who speaks for the merge requests that are pushed; None: nobody does."""
    observed: Observed = field(init=False)
    baselines: Baselines = field(init=False)
    paused: str = ""
    """Why shards are left for another run: a model that is gone, a budget, somebody's word; "" when none are."""
    short: dict[str, str] = field(default_factory=dict)
    """Repository to why shards of it alone are left for another run: a limit of its own, or of theirs."""
    heads: dict[str, Left] = field(default_factory=dict)
    """What the detector finds on the heads that were looked at last."""

    def __post_init__(self) -> None:
        self.observed = Observed(self.job.name, self.store, self.traces)
        self.baselines = Baselines(self.store)

    @contextmanager
    def driving(self) -> Iterator[None]:
        """Be the only one to drive the job, and tell what is done meanwhile. Raises Busy."""
        with self.store.driving(self.job.name), self.watch.driving(self.store, self.job.name):
            yield

    def plan(self) -> Plan:
        """Look at the repositories as they are now."""
        return self._plan(self.job, self.store.plan(self.job.name))

    def _plan(self, job: Job, before: Plan | None) -> Plan:
        repos = job.repos
        known = all(source.git or source.pypi for source in repos)  # else it is found out how many there are
        self.heads = {}

        def seen(repo: Repo, hits: Sequence[Hit]) -> None:
            self.heads[repo.name] = left(job, repo, hits)

        with self.watch.stage("plan", len(repos) if known else None) as stage:
            return plan(
                job,
                self.recipe,
                self.home,
                self.folder,
                before,
                lambda name: stage.advance(1, name),
                self.site,
                seen,
            )

    def adopt(self, plan: Plan) -> None:
        """Make this the plan that the job stands by until the next. What reviewers asked for of a shard is asked of the
        one that takes its place, where the base has moved; also when nobody could look there for a while."""
        before = self.store.plan(self.job.name)
        for repo, shards in (before.planned + before.kept).by_repo() if before and self.recipe.learns else ():
            names = {one.shard.key: one.shard.name for one in shards}
            reopened = self.store.reopenings(list(names))
            places = {one.shard.name: one.shard.key for one in plan.planned.of(repo)} if reopened else {}
            for key, reasons in reopened.items():
                heir = places.get(names[key], key)
                for cause, finding in reasons if heir != key else []:
                    if finding:
                        self.store.reopen(heir, cause, finding)
        describe(self.job, self.store)
        self.store.save_plan(self.job.name, plan)
        if self.job.select.contains:
            planned = {repo.name for repo in plan.repos}
            self._note(plan, {name: one for name, one in self.heads.items() if name in planned})

    def _note(self, plan: Plan, found: Mapping[str, Left]) -> None:
        """Note what is left in the code bases."""
        for repo, body in note(self.job, found, self.store).items():
            self.watch.tell("remaining", repo=repo, **body)
        if self.watch.course:
            self.watch.course.remaining = str(remaining(self.job.name, plan, self.store) or "")

    def latest(self) -> Plan:
        """Return the last plan as it was made. Raises Refused when there is none."""
        found = self.store.plan(self.job.name)
        if found is None:
            raise Refused(f"{self.job.name} has not been run yet: umbau run")
        return found

    def done(self) -> tuple[int, int]:
        """Return how many shards of the last plan have an outcome, and how many there are."""
        planned = self.latest().planned
        left = sum(len(self.store.missing(keys_of(shards))) for _, shards in planned.by_repo())
        return len(planned) - left, len(planned)

    def look(self, only: Collection[str] = ()) -> Plan:
        """Look at the repositories as they are now, and stand by that. With `only`, at these alone: the plan that is
        returned has nothing else. Raises Refused when the job was not run yet, or does something else now."""
        before = self.latest()
        self._same(before)
        # What was seen is of the time before.
        self.baselines, self.trouble, self.paused, self.short = Baselines(self.store), {}, "", {}
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
        keys; return how many. They start afresh, and repositories that were set aside are tried again. Raises Refused
        when there is none of a name."""
        dropped = {one.part.shard.key for one in self.gather(plan, None).dropped} if not names else set()
        wanted: list[str] = []
        undone: dict[str, int] = {}
        found: set[str] = set()
        for repo, shards in plan.planned.by_repo():
            named = {one.shard.key: _called(one, names) for one in shards}
            found.update(*named.values())
            last = {key: outcomes[-1] for key, outcomes in self.store.outcomes(list(named)).items()}
            own = {key for key in last if (named[key] if names else last[key].status == "rejected" or key in dropped)}
            if own or not names:
                undone[repo] = sum((key not in last or bool(last[key].error)) and key not in own for key in named)
            wanted += own
        if unknown := [name for name in names if name not in found]:
            raise Refused(f"no shard is called {', '.join(unknown)}: see `umbau plan {self.job.name}`")
        failed = sum(undone[repo] for repo in lift(undone, plan, self.job.name, self.store))
        goes = self.store.goes(wanted)
        return failed + sum(self.store.reopen(key, f"retry {goes.get(key, 0) + 1}") for key in wanted)

    def run(self, plan: Plan, lanes: Lanes) -> None:
        """Do every shard that has no outcome yet; first, where the job asks for a pilot, that. Raises Missed."""
        piloting.first(self, plan, lanes)
        if any(rule.confirmed for rule in rules(self.job, self.store)):
            for _, shards in plan.planned.by_repo():
                left = list(self.store.missing(keys_of(shards)))
                for rule in pending(self.job, left, self.store):
                    hold(rule, left, self.store)
        self._do(plan, lanes, lambda one, go: True)

    def prepare(self, plan: Plan, lanes: Lanes, repos: Collection[str]) -> None:
        """See to all that is done once for a repository before its first shard. Raises Refused when there is no
        sandbox."""
        if repos:
            self._kit(plan, lanes, repos)

    def teach(self, plan: Plan, lanes: Lanes, most: int) -> None:
        """Do the shards that all others learn from, before some of these are done; no more than `most` if the fewest
        do not suffice."""
        for shards in teaching(self.recipe, plan.planned, most, self.store):
            keys: dict[str, set[str]] = {}
            for one in shards:
                keys.setdefault(one.shard.repo, set()).add(one.shard.key)
            self.some(plan, lanes, keys)

    def some(self, plan: Plan, lanes: Lanes, keys: Mapping[str, Collection[str]]) -> None:
        """Do those of some shards that have no outcome yet. `keys`: by repository."""
        self._do(plan, lanes, lambda one, go: one.shard.key in keys[one.shard.repo], part=True, among=keys)

    def _do(
        self, plan: Plan, lanes: Lanes, wanted: Wanted, part: bool = False, among: Collection[str] | None = None
    ) -> None:
        """Do the shards that have no outcome and are wanted, unless the job is paused. One that finds the model gone,
        or a limit of the budget reached, stays undone. `among`: the repositories that have wanted ones; None: any
        may."""
        if self.paused:
            return
        some = plan if among is None else replace(plan, planned=plan.planned.only(lambda repo: repo in among))
        todo, there = counts(some, self.store, wanted)
        if self.watch.course and not part:
            self.watch.course.counted(len(plan.repos), there)
        self.observed.begun(plan, None if part else there, lanes.meter)
        self.paused = self.steered()
        if todo and not self.paused:
            brake = Brake(self.job, plan, todo, self.store)
            if todo and not brake.purse.reached():
                size = len(plan.planned) if among is None else brake.left
                self._work(plan, lanes, todo, wanted, brake, size)
            brake.note()
            self.paused, self.short = brake.why(self.done), {**self.short, **brake.short()}
        if self.paused:
            self.watch.tell("paused", level="warning", why=self.paused)
            if self.watch.course:
                self.watch.course.pause(self.paused)

    def _work(self, plan: Plan, lanes: Lanes, todo: Counter[str], wanted: Wanted, brake: Brake, size: int) -> None:
        kit = self._kit(plan, lanes, todo)
        kit = replace(kit, meter=brake.purse if kit.models else None)
        with self.watch.stage("run", size, size - brake.left) as stage, brake.on(self.watch.tell):
            for repo in [repo for repo in todo if repo in self.trouble]:
                own = tasks(plan, [repo], self.store, wanted)
                barred = [(task, Outcome(task.shard, task.past, error=self.trouble[repo])) for task in own]
                self.store.save([(outcome, task.go) for task, outcome in barred])
                brake.saw(barred)
                stage.landed(barred)
                self.observed.ended(barred, lanes.meter)
                del todo[repo]

            def looked(moment: Moment) -> None:
                stage.looked(moment)
                self.observed.looked(moment, lanes.meter)

            passed = brake.passing(tasks(plan, todo, self.store, wanted))
            for recipe, batch in rounds(self.recipe, plan.planned, passed, self.store):
                for done in lanes.run(replace(kit, recipe=recipe), batch, looked, brake.halted):
                    known = [(task, outcome) for task, outcome in done if not outcome.away]
                    self.store.save([(outcome, task.go) for task, outcome in known])
                    brake.saw(done)
                    put_aside(lanes.aside, plan, self.job.name, self.store)
                    self.observed.ended(done, lanes.meter)
                    stage.landed(known)
                if brake.gone():
                    break

    def waits(self, plan: Plan) -> None:
        """Find out why shards wait, without doing any: for whoever looks from outside."""
        todo, _ = counts(plan, self.store, lambda one, go: True)
        brake = Brake(self.job, plan, todo, self.store)
        brake.look()
        self.paused, self.short = self.steered() or brake.why(self.done), dict(brake.short())

    def steered(self) -> str:
        """Say who paused the job, and how it goes on; "" when nobody did."""
        why = paused(self.store, self.job.name)
        return steered_text(why, self.job.name, *self.done()) if why else ""

    def gather(self, plan: Plan, lanes: Lanes | None) -> Gathered:
        """Add the accepted edits up. Without `lanes` nothing is judged; what is not known yet is told as trouble."""
        found = Gathering(self.job.name, self.recipe, plan, self.store)
        with self.watch.stage("gather", None) as stage:
            asking = found.look(found.parts)
            while lanes and (left := [repo for repo in asking if repo not in self.trouble]):
                kit = self._kit(plan, lanes, left)
                left = [repo for repo in left if repo not in self.trouble]
                for done in lanes.run(kit, found.tasks(left), stage.looked):
                    self.store.save([(outcome, 0) for _, outcome in done])
                    self.observed.summed(done, plan, lanes.meter)
                    found.failed |= {task.shard.key for task, outcome in done if outcome.error}
                    stage.advance(len(done), "sums")
                asking = found.look(left)
        return found.gathered()

    def tend(self, plan: Plan, lanes: Lanes, *, part: bool = False) -> tuple[Gathered, list[Tended]]:
        """Gather, then look after the merge requests; go on as long as repairs bring something new. `part`: the plan
        has some of the job's repositories, and no request is opened.

        Returns all that was done on the way. Raises Refused when the plan was made for something else than the job does
        now.
        """
        self._same(plan)
        done: list[Tended] = []
        for _ in range(REPAIRS):
            self._do(plan, lanes, self._asked(), part)
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
                    happened=lambda kind, repo, body: self.watch.tell(kind, repo=repo, **body),
                    hold=paused(self.store, self.job.name)
                    or passed.waits(self.job, self.recipe.fingerprint, self.complete, self.store),
                    notary=self.notary,
                )
            self._tell(now)
            self.observed.tended(plan, now, lanes.meter)
            done = [one for one in done if one.action.verb != "wait"] + now
            if not any(one.reopened for one in now):
                break
        if not self.job.select.contains:
            self._note(plan, undone(plan, self.store))
        if not part:
            self.observed.remains(plan, lanes.meter)
        return gathered, done

    def _tell(self, tended: Sequence[Tended]) -> None:
        for one in tended:
            if one.action.verb != "wait" or one.trouble:
                facts = {"action": one.action.verb, "why": one.action.why, "url": one.url, "trouble": one.trouble}
                level: Level = "error" if one.trouble else "info"
                self.watch.tell("request", level=level, repo=one.repo, branch=one.branch, **facts)

    def _asked(self) -> Wanted:
        """Return which shards without an outcome are done in between: those that somebody asked for, or that a request
        stands on: its base may have moved."""
        living = living_places(self.job, self.store)
        return lambda one, go: go > 0 or (one.shard.repo, one.branch) in living

    def _same(self, plan: Plan) -> None:
        if plan.fingerprint != self.recipe.fingerprint:
            raise Refused(f"the job, a codemod of it or its model has changed since {self.job.name} was run: umbau run")

    def _kit(self, plan: Plan, lanes: Lanes, wanted: Iterable[str]) -> Kit:
        """Return what workers need, the repositories `wanted` prepared. Raises Refused when there is no sandbox."""
        kit = kit_of(self.job, self.recipe, [repo.base for repo in plan.repos])
        if not self.safe and wants_sandbox(kit) and (why := lanes.without_sandbox()):
            raise Refused(UNSAFE.format(why))
        self.safe = True
        self.trouble |= aside(plan, self.job.name, self.store)
        known = self.baselines.names.keys() | self.trouble.keys()
        self._prepare(plan, kit, lanes, [repo for repo in dict.fromkeys(wanted) if repo not in known])
        return replace(kit, bases=Bases(kit.bases, self.baselines.of))

    def _prepare(self, plan: Plan, kit: Kit, lanes: Lanes, repos: Sequence[str]) -> None:
        if not needs_preparing(kit):
            return
        names = {repo: facts_name(kit, kit.bases[repo]) for repo in repos}
        missing = self.baselines.missing(names)
        if not missing:
            return
        with self.watch.stage("prepare", len(missing)) as stage:
            for repo, found in lanes.prepare(kit, missing):
                if isinstance(found, Exception):
                    self.trouble[repo] = str(found)
                else:
                    self.baselines.saw(repo, names[repo], found)
                stage.advance(1, repo)
        put_aside(lanes.aside, plan, self.job.name, self.store)


def _called(one: Planned, names: Sequence[str]) -> set[str]:
    """Return those of the names that mean this shard."""
    return {name for name in names if one.shard.key.startswith(name) or one.shard.name == name}
