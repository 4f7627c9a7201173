"""What people said and findings quote, in what is remembered of jobs and of requests on forges."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from pipelines.forge import Place
from pipelines.retention.copies import Add
from pipelines.retention.strip import purged
from pipelines.store import Store
from pipelines.store.purge import Held


def of_jobs(store: Store, before: float, day: str, jobs: Collection[str], add: Add, *, do: bool) -> None:
    """Rules that were asked for in comments and never confirmed, first lines of findings in forecasts and in what a
    driver told last, and why a job was paused. A rule that somebody confirmed is the job's own from then on: requests
    to come were promised it."""
    rows: list[tuple[Held, Any]] = []
    for held in store.purge.memories([f"rules {name}" for name in jobs]):
        known = [one for one in held.value or () if one["confirmed"] or one.get("at", 0.0) > before]
        if known != (held.value or []):
            rows.append((held, known))
    for held in store.purge.memories([f"progress {name}" for name in jobs]):
        if held.value and held.value["failures"] and held.value["at"] <= before:
            rows.append((held, {**held.value, "failures": {}}))
    for held in store.purge.events("pilot", before):
        if held.key in jobs and held.value.get("failures"):
            rows.append((held, {**held.value, "failures": []}))
    for held in store.purge.events("paused", before):
        if held.key in jobs and held.value["why"] and not held.value["why"].startswith(purged("")):
            rows.append((held, {**held.value, "why": purged(day)}))
    for held, _ in rows:
        add("words of jobs", f"{held.table} {held.key}", held.size)
    if do and rows:
        store.purge.put(rows)


def of_forges(store: Store, before: float, mine: Callable[[Place], bool], add: Add, *, do: bool) -> None:
    """Comments and reviews on requests of GitLab and GitHub that were merged or closed before. `mine`: says of a
    request whether it is in the scope."""
    from pipelines.forges.github.known import without_texts as github
    from pipelines.forges.gitlab.seen import without_texts as gitlab

    for like, without in (("gitlab % seen %", gitlab), ("github requests %", github)):
        for key in store.purge.remembered(like):
            ours = partial(_within, mine, key.split(" ")[3])
            for held in store.purge.memories([key]):  # one at a time: a driver may be about to write the next
                bare = without(held.value, before, ours)
                if bare != held.value:
                    add("comments on ended requests, by repository", f"{held.table} {key}", held.size)
                    if do:
                        store.purge.put([(held, bare)])


def _within(mine: Callable[[Place], bool], repo: str, branch: str) -> bool:
    return mine((repo, branch))
