"""One shard, here and now: the loop in which a person writes a job."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from posixpath import normpath

from pathspec import GitIgnoreSpec

from operators.data import Base, Outcome
from pipelines.console import Watch
from pipelines.data import Plan, Task
from pipelines.discover import Site
from pipelines.errors import UNSAFE, Refused
from pipelines.job import Job, Select
from pipelines.lanes import prepared
from pipelines.plan import NOWHERE, plan
from pipelines.recipe import recipe
from pipelines.work import kit_of, needs_preparing, wants_sandbox, without_sandbox, work

LONGEST = 500  # characters of a path


def trial(
    job: Job, file: Path, name: str, home: Path, folder: Path, watch: Watch, site: Site = NOWHERE
) -> tuple[Outcome, Base, list[str]]:
    """Work on the first shard of a file (`PATH`) or on one symbol (`PATH::Symbol`), and keep nothing.

    Returns its outcome, the base it was told against, and the names of the file's other shards; of several
    repositories that have the file, the first is meant. Raises Refused with the reason when the job is not about that
    file, or its environment or untouched commit does not work.
    """
    path, _, symbol = name.partition("::")
    path = normpath(path)
    if path.startswith(("/", "..")) or len(path) > LONGEST:
        raise Refused(f"{path[:80]} is no path within a repository, such as tests/test_app.py")
    if not GitIgnoreSpec.from_lines(job.select.files).match_file(path):
        raise Refused(f"{path} is left out: `select.files` does not name it")
    only = Select(files=[f"/{_literal(path)}"], exclude=job.select.exclude, contains=job.select.contains)
    built = recipe(job, file)
    with watch.stage("plan", None):
        found = plan(job.model_copy(update={"select": only}), built, home, folder, site=replace(site, publishes=False))
    shards = [one.shard for one in found.planned]
    wanted = [shard for shard in shards if not symbol or symbol in {span.symbol for span in shard.spans}]
    if not wanted:
        raise Refused(_why_not(found, path, symbol, [shard.name for shard in shards]))
    base = next(repo.base for repo in found.repos if repo.name == wanted[0].repo)
    others = [shard.name for shard in shards if shard.repo == base.repo and shard is not wanted[0]]
    kit = kit_of(job, built, [base])
    if wants_sandbox(kit) and (why := without_sandbox()):
        raise Refused(UNSAFE.format(why))
    if needs_preparing(kit):
        with watch.stage("prepare", None):
            _, facts = prepared(kit, base.repo)
        if isinstance(facts, Exception):
            raise Refused(f"{base.repo}: {facts}")
        kit = replace(kit, bases={base.repo: replace(kit.bases[base.repo], facts=facts)})
    with watch.stage("try", None):
        outcome = work(kit, Task(wanted[0]))
    return outcome, base, others


def _literal(path: str) -> str:
    """Return a path as a .gitignore pattern that matches nothing else."""
    return re.sub(r"([][\\*?]| $)", r"\\\1", path)


def _why_not(found: Plan, path: str, symbol: str, names: list[str]) -> str:
    if found.trouble:
        return "\n".join(f"{repo}: {why}" for repo, why in found.trouble.items())
    if names:
        return f"{path} has no shard for {symbol}. It has: {', '.join(names)}"
    if found.left_out:
        return f"{path} is left out: {found.left_out[0].reason}"
    return f"no repository of the job has a file {path} in which `select.contains` matches a line"
