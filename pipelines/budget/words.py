"""What a budget has to say: what was spent of what, and what a higher limit would buy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from pipelines.budget.purse import Purse, Reached, amounts
from pipelines.limits import Budget

_KEYS = {"job": "budget", "repository": "budget.per_repo", "shard": "budget.per_shard"}
_UNITS = {"tokens": "tokens", "gpu_seconds": "GPU seconds", "seconds": "seconds"}


@dataclass(frozen=True, slots=True)
class Used:
    """What a job has spent of one thing."""

    what: str
    """tokens, gpu_seconds, money or seconds."""
    spent: float
    limit: float
    """0: there is none."""
    unit: str


def used(purse: Purse) -> list[Used]:
    """Return what was spent, as far as it was spent or limited."""
    budget, found = purse.budget, amounts(purse.total(), purse.budget.prices, purse.seconds)
    names = {what: "seconds of wall time" if what == "seconds" else unit(what, budget) for what in found}
    all_ = [Used(what, number, getattr(budget, what), names[what]) for what, number in found.items()]
    return [one for one in all_ if one.spent or one.limit]


def used_text(found: Sequence[Used]) -> str:
    """Return `5,000,912 of 5,000,000 tokens, 310 GPU seconds`."""
    return ", ".join(f"{_number(one.spent)}{f' of {_number(one.limit)}' * (one.limit > 0)} {one.unit}" for one in found)


def reached_text(reached: Reached, budget: Budget) -> str:
    """Say which limit nothing is left of."""
    name = f"{_KEYS[reached.whose]}.{reached.what}"
    of = f"{_number(reached.spent)} of {_number(reached.limit)} {unit(reached.what, budget)}"
    return f"the {reached.whose} has spent {of} (`{name}`)"


def offer(reached: Reached, budget: Budget, done: int, waiting: int) -> str:
    """Say what a higher limit of the job would buy, at what a shard has cost so far; "" where nothing can be said."""
    if not done or not waiting:
        return ""
    more = waiting * reached.spent / done
    limit = _up(max(reached.spent + more, reached.limit + 1))
    about = f"doing the {waiting:,} that {'wait' if waiting > 1 else 'waits'} takes about {_about(more)}"
    return f"{about} {unit(reached.what, budget)} more: `budget: {{{reached.what}: {limit}}}`"


def unit(what: str, budget: Budget) -> str:
    return budget.prices.currency if what == "money" else _UNITS[what]


def waiting_text(reached: Reached, count: int, budget: Budget) -> str:
    """Say of a repository how many of its shards wait for a higher limit than the job's own."""
    shards = f"{count:,} {'shard waits' if count == 1 else 'shards wait'}"
    of = f"{_number(reached.limit)} {unit(reached.what, budget)}"
    own = reached.whose == "repository"
    spent = f"{_number(reached.spent)} of {of} are spent" if own else f"{of} are spent on each"
    return f"{shards}: {spent} (`{_KEYS[reached.whose]}.{reached.what}`)"


def _number(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 or number == int(number) else f"{number:,.2f}"


def _about(number: float) -> str:
    """Return a number with two digits that count, as people say it."""
    size = 10 ** (floor(log10(number)) - 1) if number > 0 else 1
    whole = round(number / size) * size
    if whole >= 1_000_000:
        return f"{whole / 1_000_000:g} million"
    return f"{whole:,.0f}" if whole >= 10 else f"{whole:.2g}"


def _up(number: float) -> int:
    """Return a whole number with two digits that count, no less."""
    size = 10 ** max(0, floor(log10(number)) - 1)
    return int(ceil(number / size) * size)
