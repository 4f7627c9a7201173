"""Which sums of accepted edits hold together, as far as is known, and which have to be judged to know more.

A sum that does not hold is halved until the culprits are out. Sums are named by their content: a run that was killed
asks only for what was not judged yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from operators.data import Covered, Edit, Finding, Outcome, Shard
from operators.hunks import Conflict
from operators.union import by_path, union
from operators.veiled import files_of
from operators.workspace import Workspace
from pipelines.data import Recipe, Repo, Task, digest

Parts = tuple[Outcome, ...]
UNJUDGED = "it has not been judged"


@dataclass(slots=True)
class Sums:
    """Which sums hold, as far as is known, and which have to be asked for."""

    recipe: Recipe
    order: Mapping[str, int]
    """Where each shard stands in the plan."""
    goes: Mapping[str, int]
    known: dict[str, Outcome] = field(default_factory=dict)
    asked: dict[str, Task] = field(default_factory=dict)
    made: dict[tuple[str, ...], Task | Conflict] = field(default_factory=dict)
    against: dict[str, tuple[Finding, ...]] = field(default_factory=dict)
    """Shard key to what was found in the last sum that did not hold with it."""

    def most(self, repo: Repo, parts: Parts) -> Parts | None:
        """Return the parts that hold together, to which none can be added; None as long as a sum has to be judged."""
        kept = self.hold(repo, parts)
        if kept is None:
            return None
        keys = {part.shard.key for part in kept}
        # It may have been dropped because of another that was dropped later, or hold only with one that came later.
        return self.joined(repo, kept, tuple(part for part in parts if part.shard.key not in keys))

    def hold(self, repo: Repo, parts: Parts) -> Parts | None:
        """Return parts that hold together; None as long as a sum has to be judged first."""
        holds = self.holds(repo, parts)
        if holds is None or holds:
            return None if holds is None else parts
        if len(parts) == 1:
            self.drop(repo, parts, parts[0])
            return ()
        half = len(parts) // 2
        left, right = self.hold(repo, parts[:half]), self.hold(repo, parts[half:])
        return None if left is None or right is None else self.joined(repo, left, right)

    def joined(self, repo: Repo, kept: Parts, more: Parts) -> Parts | None:
        """Return `kept`, which holds, with as much of `more` as holds together with it."""
        holds = self.holds(repo, kept + more) if more else True
        if holds is None or holds:
            return None if holds is None else kept + more
        if len(more) == 1:
            self.drop(repo, kept + more, more[0])
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
        if not self.needs_judge(repo, parts, task):
            return True
        outcome = self.known.get(task.shard.key)
        if outcome is None:
            self.asked[task.shard.key] = task
            return None
        return None if outcome.error else outcome.status == "accepted"

    def needs_judge(self, repo: Repo, parts: Parts, task: Task) -> bool:
        """Say whether a check has not seen this yet: one of the sum alone, or of files that several shards made, or
        one that looks beyond a file, at what other shards changed or the base has become."""
        alone = len(parts) == 1 and parts[0].shard.commit == repo.commit
        beyond = not alone and any(not check.local for check in self.recipe.checks)
        return bool(task.merged or self.recipe.final or beyond)

    def drop(self, repo: Repo, parts: Parts, culprit: Outcome) -> None:
        """Note what is found in a sum that holds without `culprit`."""
        task = self.task(repo, parts)
        if isinstance(task, Conflict):
            self.against[culprit.shard.key] = (Finding("gather", str(task)),)
            return
        outcome = self.known[task.shard.key]
        found = [finding for verdict in outcome.verdicts[-1:] for finding in verdict.findings]
        self.against[culprit.shard.key] = tuple(found) or (Finding("gather", outcome.skipped),)

    def task(self, repo: Repo, parts: Parts) -> Task | Conflict:
        parts = tuple(sorted(parts, key=lambda part: self.order[part.shard.key]))  # one sum, one name
        name = tuple(part.shard.key for part in parts)
        if name not in self.made:
            try:
                self.made[name] = _sum(self.recipe, repo, parts, self.goes)
            except Conflict as conflict:
                self.made[name] = conflict
        return self.made[name]

    def take(self) -> list[Task]:
        asked, self.asked = list(self.asked.values()), {}
        return asked

    def learn(self, asked: Iterable[Task], outcomes: Mapping[str, Outcome]) -> None:
        for task in asked:
            silent = Outcome(task.shard, error=UNJUDGED)
            self.known[task.shard.key] = outcomes.get(task.shard.key, silent)

    def proof(self, repo: Repo, parts: Parts) -> tuple[str, ...]:
        """Return what was looked at: in the sum, or else in its only parts."""
        task = self.task(repo, parts) if parts else None
        outcome = self.known.get(task.shard.key) if isinstance(task, Task) else None
        told = _brief([line for part in parts for line in part.verdicts[-1].proof])
        return tuple(dict.fromkeys([*told, *(outcome.verdicts[-1].proof if outcome else ())]))

    def covered(self, repo: Repo, parts: Parts) -> tuple[Covered, ...]:
        """Return which changed statements passing tests executed, of the sum."""
        task = self.task(repo, parts) if parts else None
        outcome = self.known.get(task.shard.key) if isinstance(task, Task) else None
        return outcome.verdicts[-1].covered if outcome and outcome.verdicts else ()

    def error(self, parts: Parts) -> str:
        """Return why a sum of some of these parts could not be judged, "" when nobody has tried yet."""
        keys = {part.shard.key for part in parts}
        errors = [
            self.known[task.shard.key].error
            for name, task in self.made.items()
            if isinstance(task, Task) and task.shard.key in self.known and keys.issuperset(name)
        ]
        return next((error for error in errors if error and error != UNJUDGED), "")


def _sum(recipe: Recipe, repo: Repo, parts: Parts, goes: Mapping[str, int]) -> Task:
    """Add the parts' edits up. Raises Conflict."""
    rules = recipe.rules
    told = [files_of(repo.base, part.shard, part.edit.files, rules) for part in parts if part.edit]
    files = union(Workspace(repo.base), told)
    merged = tuple(path for path, versions in by_path(told).items() if len(versions) > 1)
    edits = [
        (part.shard.key, goes.get(part.shard.key, 0), digest(sorted(part.edit.files.items())))
        for part in parts
        if part.edit
    ]
    shard = Shard(
        digest(["sum", recipe.fingerprint, repo.commit, edits]),
        repo.name,
        repo.commit,
        tuple(dict.fromkeys(path for part in parts for path in part.shard.paths)),
        tuple(span for part in parts for span in part.shard.spans),
    )
    evidence = {
        path: text or ""
        for part in parts
        for path, text in files_of(repo.base, part.shard, part.verdicts[-1].proven, rules).items()
    }
    return Task(shard, offered=Edit(files), merged=merged, evidence=evidence)


def _brief(proof: Iterable[str]) -> Iterator[str]:
    """Say once that tests were selected for the parts, and not for each which."""
    for line in proof:
        chosen = line.startswith("tests:") and "selected" in line
        yield (
            "tests: each part passed those that can see it (see `umbau show`), before all were run" if chosen else line
        )
