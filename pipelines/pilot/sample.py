"""Which shards of a plan are done first. The same plan gives the same ones; where a base moves, most stay.

The plan is gone through twice, a repository at a time: once to count strata, once for those that are drawn from.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from operators.proc import git_records
from pipelines.data import Plan, Planned, Repo, digest
from pipelines.pilot.strata import Stratum, allocated
from pipelines.select import MAX_FILES

LINE = 40  # bytes that a line is taken to have
BITS = 2  # of the size that a class spans: those of one differ by less than 4 times


@dataclass(frozen=True, slots=True)
class Sample:
    drawn: Mapping[str, Sequence[tuple[Planned, float]]]
    """By repository: shards, with how many of the job each stands for."""
    shards: int
    """That the job has."""
    strata: tuple[int, int]
    """From how many of them shards are drawn, and how many there are."""

    @property
    def keys(self) -> dict[str, set[str]]:
        """By repository."""
        return {repo: {one.shard.key for one, _ in own} for repo, own in self.drawn.items()}

    @property
    def weights(self) -> dict[str, float]:
        """By key."""
        return {one.shard.key: weight for own in self.drawn.values() for one, weight in own}


def sample(plan: Plan, job: str, count: int) -> Sample:
    """Draw that many shards, or all if there are no more. Raises GitError."""
    seed = digest(["pilot", job, plan.fingerprint])
    strata: Counter[Stratum] = Counter()
    for repo, own in _by_repo(plan):
        strata.update(stratum for stratum, _ in placed(repo, own))
    cells = allocated(strata, count, int(seed[:12], 16) / 16**12) if strata else []
    takes = {one: (number, cell.weight) for cell in cells for one, number in cell.drawn.items()}
    drawn: dict[str, list[tuple[Planned, float]]] = {}
    for repo, own in _by_repo(plan, {one.repo for one in takes}):
        places: dict[Stratum, list[Planned]] = defaultdict(list)
        for stratum, one in placed(repo, own):
            places[stratum].append(one)
        for stratum in sorted(places.keys() & takes.keys()):
            number, weight = takes[stratum]
            first = sorted(places[stratum], key=lambda one: _lot(seed, one))[:number]
            drawn.setdefault(repo.name, []).extend((one, weight) for one in first)
    return Sample(drawn, strata.total(), (len(takes), len(strata)))


def _by_repo(plan: Plan, only: set[str] | None = None) -> Iterator[tuple[Repo, Sequence[Planned]]]:
    for repo in plan.repos:
        if (only is None or repo.name in only) and (own := plan.planned.of(repo.name)):
            yield repo, own


def placed(repo: Repo, shards: Sequence[Planned]) -> Iterator[tuple[Stratum, Planned]]:
    """Yield shards with their strata. How large the lines of symbols are is known to the plan, how large files are to
    git."""
    whole = any(not one.shard.spans for one in shards)
    files = _files(repo) if whole else {}
    for one in shards:
        lines = sum(span.last - span.first + 1 for span in one.shard.spans)
        size = lines * LINE if one.shard.spans else sum(files.get(path, 0) for path in one.shard.paths)
        yield Stratum(size.bit_length() // BITS, repo.name), one


def _files(repo: Repo) -> dict[str, int]:
    """Return the bytes of each file."""
    found = {}
    for record in git_records(
        Path(repo.mirror), "ls-tree", "-r", "-z", "-l", "--full-tree", repo.commit, limit=MAX_FILES
    ):
        facts, _, name = record.partition(b"\t")
        size = facts.split()[3]
        found[name.decode(errors="surrogateescape")] = int(size) if size.isdigit() else 0  # `-`: a submodule
    return found


def _lot(seed: str, one: Planned) -> bytes:
    return sha256(f"{seed} {one.shard.key}".encode()).digest()
