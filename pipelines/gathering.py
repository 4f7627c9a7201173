"""What is gathered in a whole job. What was judged is in the store, so that one repository at a time is thought
through, again and again: first to see which sums are to be judged, then to have them judged as there is room, last for
its changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from operators.data import Outcome
from pipelines.data import Change, Plan, Recipe, Task
from pipelines.gather import Gathered, gather
from pipelines.store import Store
from pipelines.todo import keys_of


class Gathering:
    def __init__(self, job: str, recipe: Recipe, plan: Plan, store: Store) -> None:
        self.job, self.recipe, self.store = job, recipe, store
        self.parts = {part.repos[0].name: part for part in plan.parts()}
        self.failed: set[str] = set()
        """Keys of the sums that could not be judged this time."""
        self._known: dict[str, Gathered] = {}

    def look(self, repos: Iterable[str]) -> list[str]:
        """Note where these repositories stand; return those that have sums to be judged."""
        asking = []
        for repo in repos:
            found, asked = self._added(repo)
            slim = (replace(one, part=replace(one.part, verdicts=())) for one in found.dropped)
            self._known[repo] = replace(found, changes=(), dropped=tuple(slim))
            if asked:
                asking.append(repo)
        return asking

    def tasks(self, repos: Iterable[str]) -> Iterator[Task]:
        """Yield the sums that are to be judged."""
        for repo in repos:
            yield from self._added(repo)[1]

    def gathered(self) -> Gathered:
        known = self._known.values()
        return Gathered(
            Anew(self),
            {place: why for one in known for place, why in one.trouble.items()},
            tuple(place for one in known for place in one.waiting),
            tuple(dropped for one in known for dropped in one.dropped),
            tuple(brief for one in known for brief in one.briefs),
        )

    def changes(self) -> Iterator[Change]:
        for repo in self.parts:
            yield from self._added(repo)[0].changes

    def _added(self, repo: str) -> tuple[Gathered, list[Task]]:
        """Add up what is known of a repository; return that with the sums that are to be judged before more is."""
        part, asked = self.parts[repo], list[Task]()
        keys = keys_of(part.planned)
        good = {
            key: [outcome for outcome in outcomes if outcome.status in {"accepted", "unchanged"}]
            for key, outcomes in self.store.outcomes(keys).items()
        }  # a later one that is not leaves what was proposed as it is
        accepted = {key: found[-1] for key, found in good.items() if found and found[-1].edit}

        def judge(tasks: Sequence[Task]) -> Mapping[str, Outcome]:
            latest = {key: found[-1] for key, found in self.store.outcomes([one.shard.key for one in tasks]).items()}
            known = {key: one for key, one in latest.items() if not one.error or key in self.failed}
            asked.extend(task for task in tasks if task.shard.key not in known)
            return known

        missing, goes = self.store.missing(keys), self.store.goes(keys)
        return gather(self.job, self.recipe, part, accepted, judge, missing, goes), asked


@dataclass(frozen=True, slots=True)
class Anew(Iterable[Change]):
    """The changes of a whole job, put together anew each time that they are gone through, from what the store holds
    then: all at once might not fit into memory."""

    gathering: Gathering

    def __iter__(self) -> Iterator[Change]:
        return self.gathering.changes()
