"""What is left to be done of a plan. It is asked for a repository at a time, when it is that one's turn."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from operators.data import Edit, Finding, Outcome, Shard, Verdict
from pipelines.data import Plan, Planned, Task
from pipelines.store import Store

Wanted = Callable[[Planned, int], bool]
"""Says of a shard without an outcome, opened again so many times, whether it is to be done now."""


def keys_of(shards: Iterable[Planned]) -> list[str]:
    return [one.shard.key for one in shards]


def counts(plan: Plan, store: Store, wanted: Wanted) -> tuple[Counter[str], Counter[str]]:
    """Return for each repository, in the plan's order, how many of its shards are left, those with none not being
    there; and how many shards of the plan there are by status, those without an outcome `waiting`."""
    left, standing = Counter[str](), Counter[str]()
    for repo, shards in plan.planned.by_repo():
        goes = store.missing(keys_of(shards))
        standing["waiting"] += len(goes)
        standing.update(store.statuses([one.shard.key for one in shards if one.shard.key not in goes]).values())
        if count := sum(wanted(one, goes[one.shard.key]) for one in shards if one.shard.key in goes):
            left[repo] = count
    return left, standing


def tasks(plan: Plan, repos: Iterable[str], store: Store, wanted: Wanted) -> Iterator[Task]:
    """Yield the work that is left in these repositories."""
    for repo in repos:
        todo = _left(plan.planned.of(repo), store, wanted)
        again = [shard.key for shard, go in todo if go]
        reasons, outcomes = store.reopenings(again), store.outcomes(again)
        for shard, go in todo:
            yield _task(shard, go, reasons.get(shard.key, ()), outcomes.get(shard.key, ()))


def _left(shards: Sequence[Planned], store: Store, wanted: Wanted) -> list[tuple[Shard, int]]:
    """Return those of some shards that are left, with how often each was opened again."""
    goes = store.missing(keys_of(shards))
    return [(one.shard, go) for one in shards if (go := goes.get(one.shard.key, -1)) >= 0 and wanted(one, go)]


def _task(shard: Shard, go: int, reopened: Sequence[tuple[str, Finding | None]], outcomes: Sequence[Outcome]) -> Task:
    """Return the work on a shard; opened again for a reason, it goes on from its last outcome, if it has one."""
    if not go:
        return Task(shard)
    reasons = [finding for _, finding in reopened]
    findings = tuple(dict.fromkeys(finding for finding in reasons if finding))
    last = [found for found in outcomes if found.verdicts and not found.error and not found.codeless]
    past: tuple[Verdict, ...] = ()
    if reasons[-1] and last:
        said, edit = last[-1].verdicts, last[-1].verdicts[-1].edit
        heard = {finding for verdict in said for finding in verdict.findings}
        new = tuple(finding for finding in findings if finding not in heard) or (reasons[-1],)
        before = () if last[-1].wordless else said  # what it said is not known any more: its edit is
        past = (*before, Verdict(replace(edit, said=""), new))
    elif findings:
        past = (Verdict(Edit({}), findings),)
    return Task(shard, past, go=go)
