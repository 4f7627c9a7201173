"""job -> shards: git blob ids and text search only; nothing outside the detector's hits is parsed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from operators import guard
from operators.data import Shard, Skip, Span
from operators.proc import GitError
from operators.workspace import Workspace
from pipelines.data import LeftOut, Plan, Planned, Recipe, Repo, digest
from pipelines.group import BadBranch, Grouping, grouped
from pipelines.job import Job, Source
from pipelines.owners import PLACES, Owners, owners
from pipelines.repos import NoRepo, named, resolve
from pipelines.select import Hit, Selection, select
from pipelines.text import BadTemplate

REPOS_AT_ONCE = 8
CONTEXT_FILES = 20  # the most that a prompt may show besides the shard


@dataclass(frozen=True, slots=True)
class _Found:
    """What one repository contributes."""

    name: str
    repo: Repo | None = None
    planned: tuple[Planned, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""
    notes: tuple[str, ...] = ()


def plan(
    job: Job,
    recipe: Recipe,
    home: Path,
    folder: Path,
    before: Grouping | None = None,
    each: Callable[[str], None] = lambda name: None,
) -> Plan:
    """Resolve the job's repositories, cut what it is about into shards and say which merge request each is part of.

    `home`: where mirrors live. `folder`: what local paths are relative to. `before`: the groups of earlier plans,
    which keep their files. `each` is told the name of each repository that is done. What goes wrong in one
    repository is told in `Plan.trouble`, and the others are planned.
    """

    def one(source: Source) -> _Found:
        found = _repository(job, recipe, source, home, folder, before or {})
        each(found.name)
        return found

    with ThreadPoolExecutor(REPOS_AT_ONCE) as pool:
        results = list(pool.map(one, job.repos))
    twice = _twice([found.name for found in results])
    good = [found for found in results if found.repo and found.name not in twice]
    return Plan(
        tuple(found.repo for found in good if found.repo),
        tuple(one for found in good for one in found.planned),
        tuple(LeftOut(found.name, path, why) for found in good for path, why in found.left_out.items()),
        {
            **{found.name: found.trouble for found in results if found.trouble},
            **dict.fromkeys(twice, "two repositories of the job go by this name"),
        },
        tuple(f"{found.name}: {note}" for found in good for note in found.notes),
    )


def _repository(job: Job, recipe: Recipe, source: Source, home: Path, folder: Path, before: Grouping) -> _Found:
    name = named(source, folder)
    try:
        repo = resolve(source, home, folder)
        chosen = select(Path(repo.mirror), repo.commit, job.select)
        left_out = dict(chosen.left_out)
        owned = _owners(repo, chosen) if "owner" in {job.shard.by, job.merge_request.group.by} else Owners()
        context, notes = _context(job, chosen), []
        if len(context) > CONTEXT_FILES:
            notes.append(f"prompts show the first {CONTEXT_FILES} of the {len(context)} files of `context`")
        shards = tuple(
            _shard(recipe, repo, hits, spans, chosen, context[:CONTEXT_FILES])
            for hits, spans in _cuts(job, chosen.hits, owned, left_out)
        )
        if not shards and not left_out:
            notes.append("no file matches `select`")
        return _Found(name, repo, tuple(grouped(job, shards, owned, before)), left_out, notes=tuple(notes))
    except (NoRepo, GitError, BadBranch, BadTemplate) as why:
        return _Found(name, trouble=str(why))


def _cuts(
    job: Job, hits: Sequence[Hit], owned: Owners, left_out: dict[str, str]
) -> Iterator[tuple[Sequence[Hit], tuple[Span, ...]]]:
    """Yield the files of each shard and, where it is cut finer than files, its symbols."""
    if job.shard.by in {"file", "symbol"}:
        for hit in hits:
            if job.shard.by == "file" or not hit.path.endswith((".py", ".pyi")):
                yield (hit,), ()
            else:
                yield from (((hit,), (span,)) for span in _symbols(job, hit, left_out))
        return
    together: dict[str, list[Hit]] = defaultdict(list)
    for hit in hits:
        key = owned.of(hit.path) if job.shard.by == "owner" else str(PurePosixPath(hit.path).parent)
        together[key].append(hit)
    most = job.shard.max_files
    for members in together.values():
        yield from ((members[at : at + most], ()) for at in range(0, len(members), most))


def _symbols(job: Job, hit: Hit, left_out: dict[str, str]) -> list[Span]:
    try:
        found = guard.call("cut:cut", text=hit.text, hits=job.select.contains, most=job.shard.max_lines)
    except Skip as why:
        left_out[hit.path] = str(why)
        return []
    except guard.Broken as fault:  # of Umbau's own: it costs this file, and no other
        left_out[hit.path] = f"cannot be cut into symbols: {str(fault).partition(chr(10))[0]}"
        return []
    if not found:
        left_out[hit.path] = "only its imports match"
    return [Span(hit.path, name, first, last) for name, first, last in found]


def _shard(
    recipe: Recipe,
    repo: Repo,
    hits: Sequence[Hit],
    spans: tuple[Span, ...],
    chosen: Selection,
    context: Sequence[str],
) -> Shard:
    paths = tuple(hit.path for hit in hits)
    shown = tuple(path for path in context if path not in paths)
    depends_on = [
        recipe.fingerprint,
        repo.name,
        [(hit.path, hit.blob) for hit in hits],
        [(span.path, span.symbol, span.first, span.last) for span in spans],
        [(path, chosen.entries[path].blob) for path in shown],
    ]
    return Shard(digest(depends_on), repo.name, repo.commit, paths, spans, shown)


def _context(job: Job, chosen: Selection) -> list[str]:
    globs = [glob for step in job.steps if step.rewrite for glob in step.rewrite.context]
    wanted = GitIgnoreSpec.from_lines(globs)
    return [path for path in chosen.entries if globs and wanted.match_file(path)]


def _owners(repo: Repo, chosen: Selection) -> Owners:
    for place in PLACES:
        if place in chosen.entries:
            try:
                return owners(Workspace(repo.base).text(place) or "")
            except Skip as why:
                raise NoRepo(f"{place}, by which the job groups or cuts, cannot be read: {why}") from None
    return Owners()


def _twice(names: Sequence[str]) -> set[str]:
    return {name for name in names if names.count(name) > 1}
