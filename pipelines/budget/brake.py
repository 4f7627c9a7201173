"""What stops the work on shards before its end: a limit of the budget, a stop-loss, a person, a model that is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from operators.data import Outcome, Shard
from pipelines.budget.account import kept, opened
from pipelines.budget.losses import Losses
from pipelines.budget.purse import Reached, Whose
from pipelines.budget.words import offer, reached_text, waiting_text
from pipelines.data import Plan, Task
from pipelines.job import Job
from pipelines.limits import Limits
from pipelines.printed import counted
from pipelines.steering import pause, paused, resumed_at, spent_up
from pipelines.store import Store
from pipelines.todo import keys_of


class Brake:
    """Of one go at the shards that are left of a plan."""

    def __init__(self, job: Job, plan: Plan, todo: Counter[str], store: Store) -> None:
        """`todo`: how many shards are left, by repository; `left` are all of them. Those of repositories that may
        spend no more are taken out of it."""
        self.job, self.store = job, store
        self.purse = opened(job, store)
        self._plan = plan
        self._losses = Losses(job.stop_loss, job.name) if job.stop_loss else None
        self.left, self._done = todo.total(), 0
        self._steered = ""
        self._limited: Counter[tuple[str, Whose]] = Counter()
        self._reached: dict[tuple[str, Whose], Reached] = {}
        self._away: list[tuple[Shard, str]] = []
        for repo in () if self.purse.reached() else list(todo):
            if reached := self.purse.reached(repo):
                self._hold(repo, reached, todo.pop(repo))

    @contextmanager
    def on(self, tell: Callable[[str, str], None]) -> Iterator[None]:
        """Have what is spent meanwhile written down, and see whether somebody pauses the job: `tell` is told the name
        of that and a line about it, from a thread."""

        def look() -> None:
            if not self._steered and (why := paused(self.store, self.job.name)):
                self._stop(why)
                tell("pausing", f"{why}; no model is asked any more, and what was answered is judged and kept")

        if self._losses:
            self._losses.begin(self._plan, self.store, resumed_at(self.store, self.job.name))
        spent_up(self.store, self.job.name, "")
        with kept(self.purse, self.job, self.store, look):
            yield

    def passing(self, tasks: Iterable[Task]) -> Iterator[Task]:
        """Yield the tasks that may be begun, until none may."""
        for task in tasks:
            if self.halted():
                return
            reached = self.purse.reached(task.shard.repo, task.shard.key)
            if not reached:
                yield task
            elif reached.whose != "job":
                self._hold(task.shard.repo, reached)

    def halted(self) -> bool:
        """Say whether nothing more is to be begun."""
        return bool(self._steered or self.purse.reached())

    def saw(self, done: Iterable[tuple[Task, Outcome]]) -> None:
        """Note how shards ended. A stop-loss pauses the job as a person does."""
        for task, outcome in done:
            if outcome.away:
                self._away.append((task.shard, outcome.error))
                continue
            self._done += 1
            if self._losses and not self._steered:
                self._losses.add(outcome.status)
                if why := self._losses.why():
                    pause(self.store, self.job.name, "umbau", why, "stop_loss")
                    self._stop(paused(self.store, self.job.name))

    def gone(self) -> str:
        """Say why a model is gone, "" when it is not: those that were kept from asking it may spend no more. Asked
        when what was begun has come to its end."""
        for shard, error in () if self._steered else self._away:
            reached = self.purse.reached(shard.repo, shard.key)
            if not reached:
                return error
            if reached.whose != "job":
                self._hold(shard.repo, reached)
        self._away.clear()
        return ""

    def why(self, counted_up: Callable[[], tuple[int, int]]) -> str:
        """Say why shards are left for another run and how they go on, "" when none are, or those of some repositories
        alone. `counted_up` says how many shards have an outcome, and how many there are; asked only where that is
        told."""
        left = self.left - self._done
        if not left:
            return ""
        if self._steered:
            return steered_text(self._steered, self.job.name, *counted_up())
        if gone := self.gone():
            ran, wait = counted(self._done, "shard"), counted(left, "shard waits", "shards wait")
            return f"{gone}: paused after {ran}; {wait}; run again when it answers"
        reached = self.purse.reached()
        if not reached:
            return ""
        done, total = counted_up()
        told = f"{reached_text(reached, self.job.budget)}: {_standing(done, total)}"
        more = offer(reached, self.job.budget, done, total - done)
        return f"{told}. {more[:1].upper()}{more[1:]}" if more else f"{told}. It goes on when the limit is raised"

    def note(self) -> None:
        """Note in the job's history when its budget is reached and shards wait for more; once."""
        reached = self.purse.reached()
        if reached and self.left > self._done:
            spent_up(self.store, self.job.name, reached_text(reached, self.job.budget))

    def look(self) -> None:
        """Find the shards that wait for a limit of their own, where nothing is done about them now."""
        for repo, shards in self._plan.planned.by_repo() if self.job.budget.per_shard != Limits() else ():
            for key in () if self.purse.reached(repo) else self.store.missing(keys_of(shards)):
                if reached := self.purse.reached(repo, key):
                    self._hold(repo, reached)

    def short(self) -> Mapping[str, str]:
        """Return repositories with shards that wait until a limit other than the job's is raised, with the reason."""
        found: dict[str, str] = {}
        for (repo, whose), count in self._limited.items():
            told = waiting_text(self._reached[repo, whose], count, self.job.budget)
            found[repo] = f"{found[repo]}; {told}" if repo in found else told
        return found

    def _stop(self, why: str) -> None:
        self._steered = self.purse.shut = why

    def _hold(self, repo: str, reached: Reached, count: int = 1) -> None:
        self._limited[repo, reached.whose] += count
        self._reached[repo, reached.whose] = reached


def steered_text(why: str, job: str, done: int, total: int) -> str:
    """Say of a paused job how it goes on."""
    return f"{why}. {_standing(done, total)}. It goes on after: umbau resume {job}"


def _standing(done: int, total: int) -> str:
    are, wait = "is" if done == 1 else "are", "waits" if total - done == 1 else "wait"
    return f"{done:,} of {total:,} shards {are} done, {total - done:,} {wait}"
