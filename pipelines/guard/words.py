"""What the request of a guard says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.guard.detector import FOLDER, meant, unguarded
from pipelines.guard.wiring import Wiring
from pipelines.job import Job
from pipelines.neutral import code, prose

LISTED = 20  # files that are named


def title(job: Job) -> str:
    return f"{job.name}: keep it done"


def about(job: Job, allowed: Mapping[str, int], wiring: Wiring) -> str:
    """Say in Markdown what comes in, what it asks of people, and what a reviewer must know."""
    check = f"{FOLDER}/{job.name}/check"
    parts = [
        f"The migration `{job.name}` is done here. From now on whoever writes the old way again is told.",
        job.description.strip(),
        f"## What is looked for\n\n{_listed([code(one) for one in meant(job)])}",
        f"In files that match {_all(job.select.files)}" + (_but(job) if job.select.exclude else "") + ".",
        f"## What looks for it\n\n{_listed(wiring.runs)}\n\nAll run `python3 {check}`, "
        "which needs Python and git alone.",
        f"## What may stay\n\n{_left(job, allowed)}",
        f"A line with a comment that says `umbau: allow {job.name}` may stay as well.",
        "## Mind\n\nThis request changes what checks this repository, which Umbau's migrations do not touch. A person "
        "asked for it with `umbau guard`.",
        _listed([prose(note) for note in wiring.notes]),
    ]
    if rules := unguarded(job):
        parts.append(f"Not looked for, because a linter is needed: {_all(rules)}.")
    return "\n\n".join(part for part in parts if part)


def _left(job: Job, allowed: Mapping[str, int]) -> str:
    if not allowed:
        return "Nothing of the old code is left."
    told = [f"{count} line{'s' * (count != 1)} in {code(path)}" for path, count in sorted(allowed.items())]
    more = [f"... and {len(told) - LISTED} more files"] if len(told) > LISTED else []
    lower = f"python3 {FOLDER}/{job.name}/check --lower"
    return (
        f"What is left of the old code, as `{FOLDER}/{job.name}/allowed.json` says:\n\n"
        f"{_listed([*told[:LISTED], *more])}\n\nIt never becomes more; `{lower}` makes it less."
    )


def _but(job: Job) -> str:
    return f", but not {_all(job.select.exclude)}"


def _all(names: Sequence[str]) -> str:
    return ", ".join(map(code, names))


def _listed(items: Sequence[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
