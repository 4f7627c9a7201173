"""Whether a job keeps to the hosts that its site allows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from operators import outward
from operators.hosts import NoHost, pattern, target
from operators.outward import Allowed
from pipelines.credentials import api_of
from pipelines.discover import listed
from pipelines.job import Job, ModelSettings
from pipelines.jobfile import BadJob, Problem, load, problem
from pipelines.marked import Loc
from pipelines.transport import reached


def reachable(job: Job, file: Path) -> None:
    """See that a job names no host that may not be talked to. Raises BadJob, with the place in the job's file."""
    ours = job.repos == load(file).repos if file.is_file() else False  # else the command line named them
    named = list(_named(job))
    wanted = _strangers((purpose, url) for _, purpose, url in named)  # each is told what to write for all of them
    problems = [
        problem(file, loc, why) if ours or loc[0] != "repos" else Problem(why)
        for loc, purpose, url in named
        if (why := _refusal(purpose, url, wanted))
    ]
    if problems:
        given = str(file) if any(problem.line for problem in problems) else "--repo"
        raise BadJob(given, sorted(dict.fromkeys(problems), key=lambda one: (one.line, one.column)))
    for source in job.repos:
        if source.list:
            _list(file.resolve().parent / source.list, source.list, wanted)


def _named(job: Job) -> Iterator[tuple[Loc, str, str]]:
    """Yield where a job names a URL, what for, and the URL. One that names no model means the environment's."""
    for loc, model in models(job):
        url = (model.url if model else "") or os.environ.get("UMBAU_MODEL_URL", "")
        own = (*loc, "url") if model and model.url else loc
        if url and not (model and model.checkpoint):
            yield own, "models", url
    for number, source in enumerate(job.repos):
        if source.git:
            yield ("repos", number, "git"), "forges", source.git
    if job.forge.gitlab:
        yield ("forge", "gitlab"), "forges", job.forge.gitlab.url
    if job.forge.github:
        yield ("forge", "github"), "forges", job.forge.github.url
        yield ("forge", "github"), "forges", api_of(job.forge.github.url)


def models(job: Job) -> Iterator[tuple[Loc, ModelSettings | None]]:
    """Yield where a job asks a model, and what it says of it."""
    for number, step in enumerate(job.steps):
        if step.rewrite:
            yield ("steps", number, "rewrite", "model"), step.rewrite.model
            if step.rewrite.fallback:
                yield ("steps", number, "rewrite", "fallback"), step.rewrite.fallback
    for number, check in enumerate(job.checks):
        if check.tests and check.tests.characterise and check.tests.characterise.model:
            yield ("checks", number, "tests", "characterise", "model"), check.tests.characterise.model


def _strangers(named: Iterable[tuple[str, str]]) -> list[Allowed]:
    """Return whoever would have to be allowed. `named`: purposes and URLs."""
    found = []
    for purpose, url in named:
        if _refusal(purpose, url):
            with suppress(NoHost):
                to = str(target(reached(url))[0])
                found.append(Allowed(purpose, pattern(f"[{to}]" if ":" in to else to), ""))
    return list(dict.fromkeys(found))


def _list(path: Path, given: str, wanted: Sequence[Allowed]) -> None:
    """Look through a list of repositories; one that cannot be read is told where it is needed."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError):
        return
    lines, repos = text.split("\n"), list(listed(text))
    wanted = [*wanted, *_strangers(("forges", repo) for _, repo in repos)]
    problems = [
        Problem(why, number, lines[number - 1].find(repo) + 1, lines[number - 1])
        for number, repo in repos
        if (why := _refusal("forges", repo, wanted))
    ]
    if problems:
        raise BadJob(given, problems)


def _refusal(purpose: str, url: str, wanted: Sequence[Allowed] = ()) -> str:
    """Say why a job may not talk to a URL, "" for one that is no URL, which is told elsewhere."""
    try:
        if (found := reached(url)) != url:
            url = found
        elif "://" not in url or "@" in urlsplit(url).netloc:
            return ""
    except ValueError:
        return ""
    try:
        outward.check(purpose, url, wanted)
    except outward.Forbidden as why:
        return str(why)
    return ""
