"""job -> shards: git blob ids and text search only; nothing outside the detector's hits is parsed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path, PurePosixPath

from pathspec import GitIgnoreSpec

from operators import guard
from operators.data import Shard, Skip, Span
from operators.proc import GitError
from operators.spot import named_secret
from operators.veil import tellable
from pipelines.data import LeftOut, Plan, Planned, Recipe, Repo, Shards, digest
from pipelines.discover import Site, discover
from pipelines.forge import ForgeError
from pipelines.group import BadBranch, Boxes, grouped
from pipelines.ignore import FILE, LeftAlone, ignored
from pipelines.job import Job, Source
from pipelines.owners import Owners, owners_at
from pipelines.related import related
from pipelines.repos import NoRepo, named, resolve, strangers
from pipelines.select import Cut, Hit, Selection, select
from pipelines.text import BadTemplate

REPOS_AT_ONCE = 8
CONTEXT_FILES = 20  # the most that a prompt may show besides the shard
NOWHERE = Site()
_TWO = (
    "two repositories of the job go by this name: give one of them a job of its own or, where both are on one forge, "
    "the job that `forge`, by which they go by their full paths"
)
_STRANGER = (
    "at the last run of this job {name} was {source}, which is another repository: with UMBAU_HOME give this one a "
    "home of its own"
)


@dataclass(frozen=True, slots=True)
class _Found:
    """What one repository contributes."""

    name: str
    repo: Repo | None = None
    planned: Shards = field(default_factory=Shards)
    left_out: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""
    notes: tuple[str, ...] = ()


def plan(
    job: Job,
    recipe: Recipe,
    home: Path,
    folder: Path,
    before: Plan | None = None,
    each: Callable[[str], None] = lambda name: None,
    site: Site = NOWHERE,
    seen: Callable[[Repo, Sequence[Hit]], None] = lambda repo, hits: None,
) -> Plan:
    """Resolve the job's repositories, cut what it is about into shards and say which merge request each is part of.

    `home`: where mirrors live. `folder`: what local paths are relative to. `before`: the last plan, from which files
    keep the shards and merge requests that they share. `each` is told the name of each repository that is done. `site`:
    the job's forge. `seen` is told, from any thread, what the detector finds on each head. What goes wrong in one
    repository is told in `Plan.trouble`, and the others are planned. Raises Refused when the forge cannot be entered at
    all.
    """
    last = before.planned + before.kept if before else Shards()
    repos = {repo.name: repo for repo in before.repos} if before else {}
    cut = digest(job.shard.model_dump(mode="json"))
    same = before is not None and before.cut == cut
    there = discover(job.repos, folder, site)

    def one(source: Source) -> _Found:
        name = named(source, folder, site.url)
        own, then = last.of(name), repos.get(name)
        found = _looked_at(job, recipe, name, lambda: _resolved(source, home, folder, site, then), own, same, seen)
        each(name)
        return found

    with ThreadPoolExecutor(REPOS_AT_ONCE) as pool:
        results = list(pool.map(one, there.sources))
    twice = _twice([found.name for found in results])
    good = [found for found in results if found.repo and found.name not in twice]
    known = {found.name for found in good}
    return Plan(
        tuple(found.repo for found in good if found.repo),
        Shards.of_packed({name: own for found in good for name, own in found.planned.packed.items()}),
        (
            *(LeftOut(name, "", why) for name, why in there.left_out.items()),
            *(LeftOut(found.name, path, why) for found in good for path, why in found.left_out.items()),
        ),
        {
            **there.trouble,
            **{found.name: found.trouble for found in results if found.trouble},
            **dict.fromkeys(twice, _TWO),
        },
        tuple(f"{found.name}: {note}" for found in good for note in found.notes),
        last.only(lambda name: name not in known),
        recipe.fingerprint,
        cut,
    )


def _looked_at(
    job: Job,
    recipe: Recipe,
    name: str,
    resolved: Callable[[], Repo],
    before: Sequence[Planned],
    same: bool,
    seen: Callable[[Repo, Sequence[Hit]], None],
) -> _Found:
    """Plan one repository, or say why not. `same`: it is cut as it was before."""
    try:
        return _repository(job, recipe, resolved(), before, before if same else (), seen)
    except (NoRepo, ForgeError, GitError, BadBranch, BadTemplate) as why:
        return _Found(name, trouble=tellable(str(why), recipe.rules.masked))
    except guard.Broken as fault:  # of Umbau's own, or of this machine
        return _Found(name, trouble=str(fault).partition("\n")[0])


def _resolved(source: Source, home: Path, folder: Path, site: Site, then: Repo | None) -> Repo:
    """Bring a repository up to date; `then`: the one that went by its name at the last run. Raises NoRepo."""
    repo = resolve(source, home, folder, access=site.into(source.git), top=site.url)
    if then and strangers(repo, then.source, then.commit):
        raise NoRepo(_STRANGER.format(name=repo.name, source=then.source))
    return repo


def _repository(
    job: Job,
    recipe: Recipe,
    repo: Repo,
    grouped_before: Sequence[Planned],
    cut_before: Sequence[Planned],
    seen: Callable[[Repo, Sequence[Hit]], None],
) -> _Found:
    chosen = select(Path(repo.mirror), repo.commit, job.select)
    seen(repo, chosen.hits)
    try:
        alone = ignored(repo, {hit.path: hit.blob for hit in chosen.hits})
    except LeftAlone as why:
        return _Found(repo.name, repo, left_out={"": str(why)})
    chosen = replace(chosen, hits=[hit for hit in chosen.hits if hit.path not in alone])
    left_out = {**chosen.left_out, **dict.fromkeys(sorted(alone), f"in {FILE}")}
    owned = owners_at(repo) if "owner" in {job.shard.by, job.merge_request.group.by} else Owners()
    if owned.trouble:
        raise NoRepo(f"{owned.trouble}; the job groups or cuts by it")
    context, notes = _context(job, chosen), []
    if len(context) > CONTEXT_FILES:
        notes.append(f"prompts show the first {CONTEXT_FILES} of the {len(context)} files of `context`")
    cuts = list(_cuts(job, chosen.hits, owned, cut_before, left_out))
    show = {what for step in job.steps if step.rewrite for what in step.rewrite.show}
    shards = tuple(
        _shard(recipe, repo, hits, spans, more, chosen, context[:CONTEXT_FILES])
        for (hits, spans), more in zip(cuts, related(repo, chosen, cuts, show), strict=True)
    )
    if not shards and not left_out:
        notes.append("no file matches `select`")
    return _Found(repo.name, repo, Shards(grouped(job, shards, owned, grouped_before)), left_out, notes=tuple(notes))


def _cuts(
    job: Job, hits: Sequence[Hit], owned: Owners, before: Sequence[Planned], left_out: dict[str, str]
) -> Iterator[Cut]:
    """Yield the files of each shard and, where it is cut finer than files, its symbols."""
    if job.shard.by in {"file", "symbol"}:
        for hit in hits:
            if job.shard.by == "file" or not hit.path.endswith((".py", ".pyi")):
                yield (hit,), ()
            else:
                yield from (((hit,), (span,)) for span in _symbols(job, hit, left_out))
        return

    def key(path: str) -> str:
        return owned.of(path) if job.shard.by == "owner" else str(PurePosixPath(path).parent)

    boxes = Boxes(job.shard.max_files)
    for number, paths in enumerate(dict.fromkeys(one.shard.paths for one in before), 1):
        boxes.put(key(paths[0]), number, paths)
    together: dict[tuple[str, int], list[Hit]] = defaultdict(list)
    for hit in hits:
        together[key(hit.path), boxes.number(key(hit.path), [hit.path])].append(hit)
    yield from ((members, ()) for members in together.values())


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
    more: tuple[Span, ...],
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
    if more:
        depends_on.append([(chosen.entries[one.path].blob, *astuple(one)) for one in more])
    return Shard(digest(depends_on), repo.name, repo.commit, paths, spans, shown, more)


def _context(job: Job, chosen: Selection) -> list[str]:
    globs = [glob for step in job.steps if step.rewrite for glob in step.rewrite.context]
    wanted = GitIgnoreSpec.from_lines(globs)
    return [path for path in chosen.entries if globs and wanted.match_file(path) and not named_secret(path)]


def _twice(names: Sequence[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}
