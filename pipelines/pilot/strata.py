"""How many shards are drawn of which stratum, and with what weight each of them counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Stratum(NamedTuple):
    """Shards of one repository that are about as large."""

    size: int
    """Class of sizes (pipelines.pilot.sample)."""
    repo: str


@dataclass(frozen=True, slots=True)
class Cell:
    """Strata that are drawn from as one: each of its shards is as likely to be drawn as any other of it."""

    shards: int
    """How many it has."""
    drawn: Mapping[Stratum, int]
    """How many are drawn, by stratum; strata of which none is are not there."""

    @property
    def weight(self) -> float:
        """For how many shards of the job each drawn one stands."""
        return self.shards / sum(self.drawn.values())


def allocated(strata: Mapping[Stratum, int], count: int, start: float) -> list[Cell]:
    """Say how many of `count` shards are drawn of which stratum, given the shards that each has.

    In proportion, up to less than one: a stratum to which 3.4 are due gets 3 or 4. What is left after the whole ones
    goes first to strata that would have none, so that as many as possible are seen; then by largest remainder. Where
    there are more small strata than can be seen, some of them are drawn with a likelihood in proportion to their size,
    systematically from a list in the order of sizes (Särndal, Swensson and Wretman, Model Assisted Survey Sampling,
    1992, 3.6), and count as one cell. `start`: random, from 0 to less than 1.
    """
    total = sum(strata.values())
    if count >= total:
        return [Cell(shards, {one: shards}) for one, shards in strata.items()]
    order = sorted(strata)
    whole = {one: count * strata[one] // total for one in order}
    left = count - sum(whole.values())
    small = [one for one in order if not whole[one]]
    few, many = _sure(strata, small, left)
    rest = {one: strata[one] for one in small if one not in few} if many else {}
    left -= len(few) + many
    by_remainder = sorted((one for one in order if whole[one]), key=lambda one: -(count * strata[one] % total))
    more = set(by_remainder[:left])
    cells = [Cell(strata[one], {one: whole[one] + (one in more)}) for one in order if whole[one]]
    cells += [Cell(strata[one], {one: 1}) for one in few]
    return cells + ([Cell(sum(rest.values()), dict.fromkeys(_systematic(rest, many, start), 1))] if many else [])


def _sure(strata: Mapping[Stratum, int], small: Sequence[Stratum], seats: int) -> tuple[list[Stratum], int]:
    """Return those of the small strata that get one of the seats for certain, and how many seats the others share."""
    if seats >= len(small):
        return list(small), 0
    few: list[Stratum] = []
    shards = sum(strata[one] for one in small)
    for one in sorted(small, key=lambda one: -strata[one]):
        if strata[one] * (seats - len(few)) < shards:
            break
        few.append(one)
        shards -= strata[one]
    return few, seats - len(few)


def _systematic(strata: Mapping[Stratum, int], count: int, start: float) -> list[Stratum]:
    """Draw strata, none twice: each has fewer shards than the step between two draws is long."""
    step = sum(strata.values()) / count
    start = min(start, 1 - 1e-6)  # else the last point may be rounded to the very end
    points = [(start + number) * step for number in range(count)]
    found: list[Stratum] = []
    end = 0
    for one, shards in strata.items():
        end += shards
        if len(found) < count and points[len(found)] < end:
            found.append(one)
    return found
