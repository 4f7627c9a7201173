"""Removes what is older than a site wants it kept, or tells what would go; what has to stay for now is told as well."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

from operators.data import Finding, Outcome
from pipelines.forge import Place
from pipelines.retention import copies, words
from pipelines.retention.needed import Needed, needed
from pipelines.retention.strip import STRIPPED
from pipelines.store import Store
from pipelines.store.evidence import STATED
from pipelines.store.purge import Held
from pipelines.tell import memories, requests_of

DAY = 86_400.0  # seconds
UNDER_WAY = "purge under way"  # the database has not forgotten yet what rows held: the next purge sees to it
AT_ONCE = 200  # rows that are written in one go
NODES = (
    "other nodes of a cluster keep replies, mirrors and checkouts in the folder for temporary files: on each of them, "
    "purge as well, or take the node away"
)


SHARED = "replies, what shards taught and copies of repositories are not kept by job: they go by their age, of all jobs"


@dataclass(frozen=True, slots=True)
class Ages:
    """What was kept before these moments goes, in seconds since 1970; None: that kind stays."""

    words: float | None
    code: float | None

    @classmethod
    def of(cls, words: float | None, code: float | None, now: float) -> Ages:
        """`words`, `code`: days. Words that stand beside code go no later than it."""
        days = [one for one in (words, code) if one is not None]
        return cls(*(None if one is None else now - one * DAY for one in (min(days) if days else None, code)))


@dataclass(slots=True)
class Gone:
    """What was removed, or would be."""

    counts: Counter[str] = field(default_factory=Counter)
    """By kind."""
    sizes: Counter[str] = field(default_factory=Counter)
    """Bytes by kind, as they were kept."""
    keys: list[str] = field(default_factory=list)
    """What was removed, by kind and key or path."""
    kept: Counter[str] = field(default_factory=Counter)
    """Job to shards whose code stays until their requests are merged or closed."""
    told: list[str] = field(default_factory=list)
    """What is left to others."""

    def add(self, kind: str, key: str, size: int) -> None:
        self.counts[kind] += 1
        self.sizes[kind] += size
        self.keys.append(f"{kind} {key}")

    @property
    def digest(self) -> str:
        """Of the list of what was removed, one a line, sorted."""
        return sha256("\n".join(sorted(self.keys)).encode(errors="surrogateescape")).hexdigest()

    @property
    def facts(self) -> dict[str, Any]:
        kept = {"kept": dict(self.kept)} if self.kept else {}
        return {"removed": dict(self.counts), "bytes": dict(self.sizes), "list": self.digest, **kept}


def purge(store: Store, home: Path, ages: Ages, who: str, job: str = "", *, do: bool, now: float = 0.0) -> Gone:
    """Remove what is older, of one job or of all; without `do`, only tell. What was removed is noted in the audit log.
    Copies of code that are not kept by job (replies, mirrors) go by their age alone, whatever `job` is."""
    gone, day = Gone(), time.strftime("%Y-%m-%d", time.localtime(now or time.time()))
    broken_off = bool(store.recall(UNDER_WAY))
    if do:
        store.remember(UNDER_WAY, True)
    need = needed(store, ages.code if ages.code is not None else 0.0)
    mine = _mine(store, job, need)
    gone.kept.update({name: count for name, count in need.jobs.items() if not job or name == job})
    for much, before in ((1, ages.words), (2, ages.code)):
        if before is not None:
            _outcomes(store, much, before, day, need, mine, gone, do=do)
    if ages.words is not None:
        _facts(store, ages.words, gone, do=do)
        copies.replies(home, ages.words, gone.add, do=do)
    if ages.code is not None:
        _reopened(store, ages.code, need, mine, gone, do=do)
        idle = [name for name in ([job] if job else store.browse.jobs()) if name not in {*need.jobs, *need.busy}]
        words.of_jobs(store, ages.code, day, idle, gone.add, do=do)
        _plans(store, ages.code, job, gone, do=do)
        requests = requests_of(store.recall(memories(job)[1]))[1] if job else ()
        places = {(one.repo, one.branch) for one in requests}

        def there(place: Place) -> bool:
            return not job or place in places

        words.of_forges(store, ages.code, there, gone.add, do=do)
        gone.told += copies.forge(home, ages.code, day, there, need, gone.add, do=do)
        copies.mirrors(home, ages.code, need, gone.add, do=do)
        copies.trees(gone.add, do=do)
        if need.busy:
            gone.told.append(f"{', '.join(sorted(need.busy))} is being run: its repositories stay")
    if do:
        left = store.purge.forget() if gone.counts or broken_off else []
        gone.told += left
        if gone.counts or broken_off:
            more = {"until": [ages.words, ages.code], "after one that was broken off": broken_off}
            store.audit.note(who, "purged", job, {**gone.facts, **more})
        store.remember(UNDER_WAY, bool(left))
    gone.told += [NODES, *([SHARED] if job else [])]
    return gone


Mine = Callable[[str, str], bool]
"""Says of the key of a shard and its repository whether it is in the scope of a purge."""


def _mine(store: Store, job: str, need: Needed) -> Mine:
    if not job:
        return lambda key, repo: True
    own, own_repos = _keys(store, job)
    others: set[str] = set()
    others_repos: set[str] = set()
    for name in store.browse.jobs():
        if name != job:
            keys, repos = _keys(store, name)
            others |= keys
            others_repos |= repos
    # What is in no plan is the sum of edits, or of a plan long gone: a job's own where no other has the repository.
    alone = own_repos - others_repos
    return lambda key, repo: key in own or (repo in alone and key not in others)


def _keys(store: Store, job: str) -> tuple[set[str], set[str]]:
    """Return the keys of all shards that a job ever had, as far as its plans are kept, and its repositories."""
    return store.purge.keys(store.purge.parts(job))


def _stays(held: Held, outcome: Outcome, need: Needed) -> bool:
    """Say whether code is needed: of a shard that is open, or of a sum in a repository where some are."""
    return held.key in need.keys or (outcome.shard.repo in need.repos and held.key not in need.known)


def _outcomes(
    store: Store, much: int, before: float, day: str, need: Needed, mine: Mine, gone: Gone, *, do: bool
) -> None:
    kind = "words of models" if much == 1 else "edits and findings"

    def old() -> Iterator[tuple[Held, Outcome]]:
        for held in store.purge.outcomes(much, before):
            outcome: Outcome = held.value
            if mine(held.key, outcome.shard.repo) and not (much == 2 and _stays(held, outcome, need)):
                bare = STRIPPED[much](outcome, day)
                if bare != outcome:  # else there was nothing to remove, and that alone is written down
                    gone.add(kind, held.key, held.size)
                yield held, bare

    for rows in _batches(old()):
        if do:
            store.purge.put(rows, much)


def _reopened(store: Store, before: float, need: Needed, mine: Mine, gone: Gone, *, do: bool) -> None:
    def old() -> Iterator[tuple[Held, Finding | None]]:
        for held in store.purge.reopened(before):
            if held.key not in need.keys and mine(held.key, ""):
                gone.add("comments and logs", held.key, held.size)
                yield held, None

    for rows in _batches(old()):
        if do:
            store.purge.put(rows)


def _facts(store: Store, before: float, gone: Gone, *, do: bool) -> None:
    """What the first shards taught becomes nothing; what was seen on untouched commits is looked at again when it is
    needed; of a job, evidence holds the digest."""
    for held in list(store.purge.facts(before)):
        taught = isinstance(held.value, list)
        what = "jobs as they were" if held.key.startswith(STATED) else "what checks saw before"
        gone.add("what shards taught" if taught else what, held.key, held.size)
        if do and taught:
            store.purge.put([(held, [])])
        elif do:
            store.purge.remove([held])


def _plans(store: Store, before: float, job: str, gone: Gone, *, do: bool) -> None:
    old = store.purge.superseded([job] if job else [*store.browse.jobs()], before)
    for held in old:
        gone.add("superseded plans", f"{held.key} {held.number}", held.size)
    if do:
        store.purge.remove(old)
        for held in store.purge.drop_loose():
            gone.add("parts of plans", held.key, held.size)


def _batches(rows: Iterator[tuple[Held, Any]]) -> Iterator[Sequence[tuple[Held, Any]]]:
    while some := list(islice(rows, AT_ONCE)):
        yield some
