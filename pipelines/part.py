"""A part of a job's plan: some of its repositories, looked at without the others. Their names are told apart as forges
do it, regardless of case: a webhook spells them as the forge does, a plan as the job."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from pipelines.data import Plan
from pipelines.job import Source


def sources(plan: Plan, names: Collection[str]) -> list[Source]:
    """Return where repositories of a plan come from; a package never changes, so it is left out."""
    known = _folded(names)
    wanted = [repo for repo in plan.repos if repo.name.casefold() in known and repo.source != repo.name]
    return [Source(git=repo.source, branch=repo.branch) for repo in wanted]


def part_of(plan: Plan, names: Collection[str]) -> Plan:
    """Return what a plan says of some repositories."""
    return _with(plan, Plan(()), names, inside=True)


def joined(whole: Plan, part: Plan, names: Collection[str]) -> Plan:
    """Return the whole plan with another part in place of what it said of these repositories."""
    return _with(whole, part, names, inside=False)


def _with(plan: Plan, other: Plan, names: Collection[str], *, inside: bool) -> Plan:
    """Return what a plan says of the repositories of these names, or of all others, and all that another says."""

    known = _folded(names)

    def stays(name: str) -> bool:
        return (name.casefold() in known) is inside

    return replace(
        plan,
        repos=(*(repo for repo in plan.repos if stays(repo.name)), *other.repos),
        planned=plan.planned.only(stays) + other.planned,
        left_out=(*(one for one in plan.left_out if stays(one.repo)), *other.left_out),
        trouble={name: why for name, why in plan.trouble.items() if stays(name)} | dict(other.trouble),
        notes=(*(note for note in plan.notes if stays(note.partition(": ")[0])), *other.notes),
        kept=plan.kept.only(stays) + other.kept,
    )


def _folded(names: Collection[str]) -> set[str]:
    return {name.casefold() for name in names}
