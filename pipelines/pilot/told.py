"""What a pilot found, as text."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.pilot.estimate import Estimate
from pipelines.pilot.interval import Interval
from pipelines.printed import counted

TOLD = "9 times in 10"
MISSED = """\
The pilot missed its bound: {share} accepted or unchanged, and `min_accept` is {bound}.
That is {good} of {sampled}; {between} of the job's shards, {told}.
{failures}No other shard was run, and no merge request opened. Mend the job and run it again, which tries a new sample;
or lower `min_accept`. `umbau pilot` shows all of this again."""
SOURCE = "exact, by Korn and Graubard 1998"


def text(found: Estimate) -> Iterator[str]:
    seen, strata = found.strata
    yield f"pilot    {found.sampled} of {counted(found.shards, 'shard')}, from {seen} of {_strata(strata)}"
    yield "shards   " + ", ".join(f"{count} {status}" for status, count in found.statuses.items())
    good = f"{_percent(found.good.middle)} accepted or unchanged"
    yield f"good     {good}, of all {_between(found.good)} ({TOLD}; {SOURCE})"
    if found.min_accept:
        yield f"bound    {_percent(found.min_accept)}: {'passed' if found.passed else 'missed'}"
    yield from _taken(found)
    for failure in found.failures:
        yield f"\n{failure.kind} ({failure.count})"
        yield f"  {failure.example}"
    yield f"\n{f'all {found.shards} shards':22}{'at least':>14}{'likely':>14}{'at most':>14}   ({TOLD})"
    yield from _forecast(found)
    yield from (f"\n{note}" for note in found.notes)


def missed(found: Estimate) -> str:
    """Say that a run stops here, why, and what to do."""
    failures = [f"  {one.kind} ({one.count}), such as {one.example}\n" for one in found.failures]
    return MISSED.format(
        share=_percent(found.good.middle),
        good=found.statuses.get("accepted", 0) + found.statuses.get("unchanged", 0),
        sampled=counted(found.sampled, "shard"),
        between=_between(found.good),
        told=TOLD,
        bound=_percent(found.min_accept),
        failures="".join(failures),
    )


def _strata(count: int) -> str:
    return counted(count, "stratum", "strata") + " of repository and size"


def _taken(found: Estimate) -> Iterator[str]:
    taken = found.taken
    yield f"took     {taken.attempts:.1f} attempts a shard, {_time(taken.seconds / max(found.sampled, 1))} each"
    known = f", {counted(taken.cached, 'reply', 'replies')} known from before" if taken.cached else ""
    if taken.read or taken.written or known:
        yield f"model    {taken.read} tokens read and {taken.written} written{known}"
    if taken.gpu_seconds:
        yield f"GPUs     {_time(taken.gpu_seconds)}"
    if taken.judging:
        yield f"checks   {_time(taken.judging)}, of it tests {_time(taken.testing)}"


def _forecast(found: Estimate) -> Iterator[str]:
    said = found.forecast
    rows = [
        ("accepted", said.accepted, _count),
        ("tokens read", said.read, _count),
        ("tokens written", said.written, _count),
        ("GPU time", said.gpu_seconds, _time),
        ("core time of checks", said.core_seconds, _time),
        (f"money ({found.currency})", said.money, lambda amount: f"{amount:,.2f}"),
        ("time of a run", said.seconds, _time),
    ]
    for name, interval, worded in rows:
        if interval is None:
            yield f"{name:22}{'not known':>14}"
        elif interval.high:
            yield f"{name:22}" + "".join(f"{worded(one):>14}" for one in (interval.low, interval.middle, interval.high))


def _between(interval: Interval) -> str:
    return f"between {_percent(interval.low)} and {_percent(interval.high)}"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def _count(amount: float) -> str:
    return f"{amount:,.0f}"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
