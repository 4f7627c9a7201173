"""outcomes -> changes: the sum of accepted edits is judged as one; what does not hold is halved until the culprit is
out.

Each round asks for every sum that can be asked for now, over all groups, so that they are judged in parallel; then all
is thought through again with what is known. Sums are named by their content: a run that was killed asks only for what
was not judged yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from operators.data import Edit, Outcome, Shard
from operators.hunks import Conflict, add
from operators.workspace import Workspace
from pipelines.data import Change, Plan, Planned, Recipe, Repo, Task, digest

Judge = Callable[[Sequence[Task]], Mapping[str, Outcome]]
"""Has sums judged; returns outcomes by shard key, and leaves out those it has none for."""
Parts = tuple[Outcome, ...]
Place = tuple[str, str]  # repository and branch


@dataclass(frozen=True, slots=True)
class Gathered:
    changes: tuple[Change, ...]
    trouble: Mapping[Place, str]
    """Repository and branch to the reason why the sum could not be judged."""


def gather(
    job: str,
    recipe: Recipe,
    plan: Plan,
    accepted: Mapping[str, Outcome],
    judge: Judge,
    unfinished: Collection[str] = (),
) -> Gathered:
    """Return a change for each merge request of the plan.

    `accepted`: outcomes by shard key. `unfinished`: keys of the shards that have failed or have not been done yet.
    """
    repos = {repo.name: repo for repo in plan.repos}
    groups: dict[Place, list[Planned]] = defaultdict(list)
    for planned in plan.planned:
        groups[planned.shard.repo, planned.branch].append(planned)
    sums = _Sums(recipe, {one.shard.key: number for number, one in enumerate(plan.planned)})
    parts = {
        place: tuple(accepted[one.shard.key] for one in members if one.shard.key in accepted)
        for place, members in groups.items()
    }
    while True:
        held = {place: sums.most(repos[place[0]], parts[place]) for place in groups}
        asked = sums.take()
        if not asked:
            break
        sums.learn(asked, judge(asked))
    changes = [
        replace(
            _change(job, repos[place[0]], groups[place][0], parts[place], found, sums),
            unfinished=sum(one.shard.key in unfinished for one in groups[place]),
        )
        for place, found in held.items()
        if found is not None
    ]
    trouble = {place: sums.trouble(parts[place]) for place, found in held.items() if found is None}
    return Gathered(tuple(changes), trouble)


@dataclass(slots=True)
class _Sums:
    """Which sums hold, as far as is known, and which have to be asked for."""

    recipe: Recipe
    order: Mapping[str, int]
    """Where each shard stands in the plan."""
    known: dict[str, Outcome] = field(default_factory=dict)
    asked: dict[str, Task] = field(default_factory=dict)
    made: dict[tuple[str, ...], Task | Conflict] = field(default_factory=dict)

    def most(self, repo: Repo, parts: Parts) -> Parts | None:
        """Return the parts that hold together, to which none can be added; None as long as a sum has to be judged."""
        kept = self.hold(repo, parts)
        if kept is None:
            return None
        keys = {part.shard.key for part in kept}
        # What was left out because of another that was left out later: those it held with are not all here any more.
        again = tuple(part for part in parts if part.shard.key not in keys and not self.fails(part))
        return self.joined(repo, kept, again)

    def hold(self, repo: Repo, parts: Parts) -> Parts | None:
        """Return parts that hold together; None as long as a sum has to be judged first."""
        holds = self.holds(repo, parts)
        if holds is None or holds:
            return None if holds is None else parts
        if len(parts) == 1:
            return ()
        half = len(parts) // 2
        left, right = self.hold(repo, parts[:half]), self.hold(repo, parts[half:])
        return None if left is None or right is None else self.joined(repo, left, right)

    def joined(self, repo: Repo, kept: Parts, more: Parts) -> Parts | None:
        """Return `kept` with as much of `more` as holds together with it; each of the two holds alone."""
        holds = self.holds(repo, kept + more) if kept and more else True
        if holds is None or holds:
            return None if holds is None else kept + more
        if len(more) == 1:
            return kept
        half = len(more) // 2
        grown = self.joined(repo, kept, more[:half])
        return None if grown is None else self.joined(repo, grown, more[half:])

    def holds(self, repo: Repo, parts: Parts) -> bool | None:
        if not parts:
            return True
        task = self.task(repo, parts)
        if isinstance(task, Conflict):
            return False
        if not self.needs_judge(task):
            return True
        outcome = self.known.get(task.shard.key)
        if outcome is None:
            self.asked[task.shard.key] = task
            return None
        return None if outcome.error else outcome.status == "accepted"

    def fails(self, part: Outcome) -> bool:
        """Say whether a part is known not to hold alone."""
        task = self.made.get((part.shard.key,))
        outcome = self.known.get(task.shard.key) if isinstance(task, Task) else None
        return outcome is not None and outcome.status != "accepted"

    def needs_judge(self, task: Task) -> bool:
        """Say whether a check has not seen this yet: one of the sum alone, or of files that several shards made."""
        return bool(task.merged or self.recipe.final or any(not check.local for check in self.recipe.checks))

    def task(self, repo: Repo, parts: Parts) -> Task | Conflict:
        parts = tuple(sorted(parts, key=lambda part: self.order[part.shard.key]))  # one sum, one name
        name = tuple(part.shard.key for part in parts)
        if name not in self.made:
            try:
                self.made[name] = _sum(self.recipe, repo, parts)
            except Conflict as conflict:
                self.made[name] = conflict
        return self.made[name]

    def take(self) -> list[Task]:
        asked, self.asked = list(self.asked.values()), {}
        return asked

    def learn(self, asked: Iterable[Task], outcomes: Mapping[str, Outcome]) -> None:
        for task in asked:
            silent = Outcome(task.shard, error="it has not been judged")
            self.known[task.shard.key] = outcomes.get(task.shard.key, silent)

    def proof(self, repo: Repo, parts: Parts) -> tuple[str, ...]:
        """Return what was looked at: in the sum, or else in its only parts."""
        task = self.task(repo, parts) if parts else None
        outcome = self.known.get(task.shard.key) if isinstance(task, Task) else None
        told = [line for part in parts for line in part.verdicts[-1].proof]
        return tuple(dict.fromkeys([*told, *(outcome.verdicts[-1].proof if outcome else ())]))

    def trouble(self, parts: Parts) -> str:
        keys = {part.shard.key for part in parts}
        errors = [
            self.known[task.shard.key].error
            for name, task in self.made.items()
            if isinstance(task, Task) and task.shard.key in self.known and keys.issuperset(name)
        ]
        return next((error for error in errors if error), "its sum has not been judged")


def _sum(recipe: Recipe, repo: Repo, parts: Parts) -> Task:
    """Add the parts' edits up. Raises Conflict."""
    ws = Workspace(repo.base)
    texts: dict[str, list[str | None]] = defaultdict(list)
    for part in parts:
        for path, text in (part.edit.files if part.edit else {}).items():
            texts[path].append(text)
    files = {path: _added(ws, path, versions) for path, versions in texts.items()}
    merged = tuple(path for path, versions in texts.items() if len(versions) > 1)
    edits = [(part.shard.key, digest(sorted(part.edit.files.items()))) for part in parts if part.edit]
    shard = Shard(
        digest(["sum", recipe.fingerprint, repo.commit, edits]),
        repo.name,
        repo.commit,
        tuple(dict.fromkeys(path for part in parts for path in part.shard.paths)),
        tuple(span for part in parts for span in part.shard.spans),
    )
    return Task(shard, offered=Edit(files), merged=merged)


def _added(ws: Workspace, path: str, versions: Sequence[str | None]) -> str | None:
    texts = [text for text in versions if text is not None]
    if len(versions) == 1 or not texts:
        return versions[0]
    if len(texts) < len(versions):
        raise Conflict(f"{path} is deleted and edited")
    return add(ws.base_text(path) or "", texts)


def _change(job: str, repo: Repo, first: Planned, parts: Parts, held: Parts, sums: _Sums) -> Change:
    task = sums.task(repo, held) if held else None
    whole = task.offered.files if isinstance(task, Task) and task.offered else {}
    kept = {part.shard.key for part in held}
    left_out = tuple(part for part in parts if part.shard.key not in kept)
    held = tuple(part for part in parts if part.shard.key in kept)
    group = first.group if first.number == 1 else f"{first.group} ({first.number})"
    return Change(job, repo, first.branch, group, held, whole, sums.proof(repo, held), left_out)
