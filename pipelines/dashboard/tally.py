"""How the shards of one plan stand, counted once and then kept up with what the store appends: 19 bytes a shard, and
one more for each moment that is told."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from operators.data import Outcome
from pipelines.store.browse import Browse, End, Outline

STATES = ("accepted", "unchanged", "skipped", "rejected", "failed", "waiting")
STEP = 600  # seconds: how finely it is known when shards were done
AT_ONCE = 25  # repositories that are counted in one go
KINDS = 500  # kinds of fault that are told apart
OTHERS = "other faults"


@dataclass(frozen=True, slots=True)
class Counted:
    """How the shards of a plan stood at one moment."""

    repos: Mapping[str, tuple[int, ...]]
    """Shards of each repository, by STATES."""
    faults: Mapping[str, int]
    """What is wrong, by kind, to the number of shards it is wrong with."""
    done: Mapping[int, int]
    """Time in STEPs since 1970 to the number of shards whose latest outcome was kept then."""
    keys: array[int]
    """Of all shards, in 64 bits, sorted."""
    states: bytes
    """Of these, each a place in STATES."""

    @property
    def total(self) -> dict[str, int]:
        sums = [sum(column) for column in zip(*self.repos.values(), strict=True)] or [0] * len(STATES)
        return dict(zip(STATES, sums, strict=True))

    def state(self, key: str) -> str:
        """Return how a shard stood; "" when it is none of the plan's."""
        at = _place(self.keys, key)
        return STATES[self.states[at]] if at >= 0 else ""


class Tally:
    """Not to be shared by threads."""

    def __init__(self, outline: Outline, browse: Browse) -> None:
        self.outline, self._browse = outline, browse
        self._marks = browse.marks()
        self._names = [part.repo for part in outline.parts]
        self._counts = [[0] * len(STATES) for _ in self._names]
        self._kinds: list[str] = ["", OTHERS]
        self._faults: Counter[int] = Counter()
        self._done: Counter[int] = Counter()
        self._keys, self._repo = array("Q"), array("I")
        self._state, self._kind, self._when = array("B"), array("H"), array("I")
        for first in range(0, len(outline.parts), AT_ONCE):
            self._read(range(len(outline.parts))[first : first + AT_ONCE])
        self._sort()

    def _read(self, numbers: Sequence[int]) -> None:
        found = list(self._browse.keys([self.outline.parts[number] for number in numbers]))
        ends = self._browse.ends([key for _, keys in found for key in keys])
        for number, (_, keys) in zip(numbers, found, strict=True):
            for key in keys:
                state, kind, when = self._told(ends[key])
                self._keys.append(_short(key))
                self._repo.append(number)
                self._state.append(state)
                self._kind.append(kind)
                self._when.append(when)
                self._count(number, state, kind, when, 1)

    def _sort(self) -> None:
        order = sorted(range(len(self._keys)), key=self._keys.__getitem__)
        for name in ("_keys", "_repo", "_state", "_kind", "_when"):
            column = getattr(self, name)
            setattr(self, name, array(column.typecode, (column[at] for at in order)))

    def catch_up(self) -> None:
        """Count what has been written since the last time."""
        marks = self._browse.marks()
        touched = [(at, key) for key in self._browse.touched(self._marks) if (at := _place(self._keys, key)) >= 0]
        ends = self._browse.ends([key for _, key in touched])
        for at, key in touched:
            self._count(self._repo[at], self._state[at], self._kind[at], self._when[at], -1)
            self._state[at], self._kind[at], self._when[at] = self._told(ends[key])
            self._count(self._repo[at], self._state[at], self._kind[at], self._when[at], 1)
        self._marks = marks

    def counted(self) -> Counted:
        return Counted(
            {repo: tuple(counts) for repo, counts in zip(self._names, self._counts, strict=True)},
            {self._kinds[kind]: count for kind, count in self._faults.most_common() if count},
            {when: count for when, count in self._done.items() if count},
            self._keys,
            bytes(self._state),
        )

    def _count(self, number: int, state: int, kind: int, when: int, by: int) -> None:
        self._counts[number][state] += by
        if kind:
            self._faults[kind] += by
        if when:
            self._done[when] += by

    def _told(self, end: End) -> tuple[int, int, int]:
        kind = 0
        if end.outcome:
            name = fault(end.outcome)
            if name not in self._kinds and len(self._kinds) < KINDS:
                self._kinds.append(name)
            kind = self._kinds.index(name) if name in self._kinds else 1
        return STATES.index(end.status), kind, int(end.at) // STEP


def fault(outcome: Outcome) -> str:
    """Return the kind of fault of a shard that is rejected, skipped or failed, in words of one line."""
    if outcome.status == "rejected":
        return f"rejected: {outcome.verdicts[-1].findings[0].judge}"
    said = (outcome.error or outcome.skipped).strip().partition("\n")[0]
    return f"{outcome.status}: {said[:160]}"


def _place(keys: array[int], key: str) -> int:
    """Return where a shard is counted, -1 when it is none of these."""
    short = _short(key)
    at = bisect_left(keys, short)
    return at if at < len(keys) and keys[at] == short else -1


def _short(key: str) -> int:
    """Return a key in 64 bits: of a million shards two are taken for one another once in 37 million such jobs."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest())
