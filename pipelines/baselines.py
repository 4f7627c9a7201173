"""What checks saw on the untouched commits of a job's repositories.

The store keeps it: a map of what tests execute takes tens of megabytes in memory, and there may be thousands of
repositories.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from operators.data import Base
from pipelines.masking import masked_all
from pipelines.store import Store

AT_HAND = 2  # repositories whose facts stay in memory: tasks come a repository at a time


@dataclass(slots=True)
class Baselines:
    store: Store
    names: dict[str, str] = field(default_factory=dict)
    """Repository to what its facts are kept by."""
    unkept: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Facts that hold secrets, by repository: the store keeps none, so they would not be the same there."""

    def missing(self, names: Mapping[str, str]) -> list[str]:
        """Return the repositories that are to be looked at. `names`: what each one's facts are kept by."""
        there = self.store.kept([*names.values()])
        self.names |= {repo: name for repo, name in names.items() if name in there}
        return [repo for repo in names if repo not in self.names]

    def saw(self, repo: str, name: str, facts: Mapping[str, Any]) -> None:
        """Keep what was seen of a repository by this name."""
        self.names[repo] = name
        if masked_all(facts) == facts:  # else it is looked at anew in each run
            self.store.keep(name, facts)
        else:
            self.unkept[repo] = facts

    def of(self, repo: str) -> Mapping[str, Any]:
        """Return what was seen of a repository; nothing when it was not looked at."""
        name = self.names.get(repo)
        return self.unkept.get(repo) or (self.store.fact(name) if name else None) or {}


class Bases(Mapping[str, Base]):
    """The bases of a job by repository, each with its facts, which are read as it is asked for."""

    def __init__(self, bases: Mapping[str, Base], facts: Callable[[str], Mapping[str, Any]]) -> None:
        self._bases, self._facts = bases, lru_cache(maxsize=AT_HAND)(facts)

    def __getitem__(self, repo: str) -> Base:
        return replace(self._bases[repo], facts=self._facts(repo))

    def __iter__(self) -> Iterator[str]:
        return iter(self._bases)

    def __len__(self) -> int:
        return len(self._bases)
