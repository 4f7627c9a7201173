"""Whether a job keeps to the hosts that its site allows."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from operators import outward
from operators.hosts import NoHost, pattern, target
from operators.outward import Allowed
from pipelines.credentials import api_of
from pipelines.discover import listed
from pipelines.job import Job, ModelSettings
from pipelines.jobfile import BadJob, Problem, load, problems
from pipelines.marked import Loc
from pipelines.transport import reached


def reachable(job: Job, file: Path) -> None:
    """See that a job names no host that may not be talked to. Raises BadJob, with the place in the job's file."""
    ours = job.repos == load(file).repos if file.is_file() else False  # else the command line named them
    named = list(_named(job))
    wanted = _strangers((purpose, url) for _, purpose, url in named)  # each is told what to write for all of them
    refused = [(loc, why) for loc, purpose, url in named if (why := _refusal(purpose, url, wanted))]
    found = problems(file, [(loc, why) for loc, why in refused if ours or loc[0] != "repos"])
    found += [Problem(why) for loc, why in refused if not ours and loc[0] == "repos"]
    if found:
        raise BadJob(str(file) if any(one.line for one in found) else "--repo", _once(found))
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
    lines = text.split("\n")
    repos = [(number, repo) for number, repo in listed(text) if _leads(repo)]
    wanted = [*wanted, *_strangers(("forges", repo) for _, repo in repos)]
    found = [
        Problem(why, number, lines[number - 1].find(repo) + 1, lines[number - 1])
        for number, repo in repos
        if (why := _refusal("forges", repo, wanted))
    ]
    if found:
        raise BadJob(given, _once(found))


def _once(found: Iterable[Problem]) -> list[Problem]:
    """Return each message at its first place, with the number of the others."""
    places: dict[str, list[Problem]] = defaultdict(list)
    for one in sorted(dict.fromkeys(found), key=lambda one: (one.line, one.column)):
        places[one.message].append(one)
    return [
        replace(first, message=f"{why} (and {len(more)} more place{'s' * (len(more) > 1)})") if more else first
        for why, (first, *more) in places.items()
    ]


def _leads(url: str) -> bool:
    """Say whether a URL can be read; a line of a list that cannot is told by its name, and the others are worked on."""
    with suppress(NoHost):
        return bool(target(reached(url)))
    return False


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
