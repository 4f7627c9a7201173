"""What a repository is to get so that what was migrated there stays migrated."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from operators import guard
from operators.data import Skip
from operators.proc import git
from operators.syntax.standing import found
from operators.workspace import Workspace
from pipelines.data import Change, Repo
from pipelines.errors import Refused
from pipelines.forge import Request
from pipelines.group import AGAIN
from pipelines.guard.detector import FOLDER, mark, script, settings
from pipelines.guard.events import Awkward
from pipelines.guard.wiring import wired
from pipelines.guard.words import about, title
from pipelines.ignore import LeftAlone, ignored
from pipelines.job import Job, Select
from pipelines.masking import masked
from pipelines.select import select
from pipelines.strict import LONGEST
from pipelines.text import render

GROUP = "guard.check"  # spelt as no group of shards is: these have a dot before a number only (pipelines.group)
Counts = dict[str, int]
_COUNTS: TypeAdapter[Counts] = TypeAdapter(Counts)


def branch(job: Job) -> str:
    """Return the branch of the guard's request."""
    return render(job.merge_request.branch, job=job.name, group=GROUP)


def guards(job: Job, name: str) -> bool:
    """Say whether a branch is that of a guard's request."""
    return AGAIN.sub("", name) == branch(job)


def shows(job: Job, requests: Iterable[Request], repo: str) -> str:
    """Return the URL of the job's first request that was merged in a repository, "" when there is none."""
    merged = [one for one in requests if one.repo == repo and one.state == "merged" and not guards(job, one.branch)]
    urls = [one.url for one in sorted(merged, key=lambda one: one.number) if one.url.startswith("https://")]
    return urls[0] if urls else ""


def guarding(job: Job, repo: Repo, link: str = "") -> Change:
    """Return what a repository lacks; nothing when its guard is as it should be. `link`: URL of a request that shows
    how it is done, if one is known.

    Raises Refused where the job, or the repository as it is, does not let itself be guarded, and GitError.
    """
    ws, folder = Workspace(repo.base), f"{FOLDER}/{job.name}"

    def read(path: str) -> str | None:
        return _read(repo, ws, path)

    try:
        known = settings(job, link)
        text, now = script(known), standing(job, repo, known)
        before = _allowed(read, f"{folder}/allowed.json")
        same = mark(known) in (read(f"{folder}/check") or "")
        allowed = _fewer(before, now) if same else now
        wiring = wired(job, repo, read, lambda folder: any(path.startswith(f"{folder}/") for path in ws.paths()))
    except (Awkward, LeftAlone) as why:
        raise Refused(str(why)) from None
    files: dict[str, str | None] = {f"{folder}/check": text, **wiring.files}
    files[f"{folder}/allowed.json"] = json.dumps(allowed, indent=2, sort_keys=True) + "\n" if allowed else None
    whole = {path: new for path, new in files.items() if read(path) != new}
    said = masked(about(job, allowed, wiring))
    return Change(job.name, repo, branch(job), "guard", (), whole, title=title(job), about=said)


def standing(job: Job, repo: Repo, known: Mapping[str, Any]) -> Counts:
    """Return how many lines of old code each file has now. Raises GitError, and LeftAlone when the repository is to be
    left alone."""
    parsed = any("names" in one for one in known["old"])
    contains = known["old"][0]["text"] if len(known["old"]) == 1 and not parsed else ""
    if len(contains) > LONGEST:  # as of hundreds of names: then all files are read
        contains = ""
    what = Select(files=job.select.files, exclude=job.select.exclude, contains=contains)
    # The script has no rules for secrets and looks at all, and nobody is shown what it finds here.
    hits = select(Path(repo.mirror), repo.commit, what, secret=True).hits
    left = ignored(repo, {hit.path: hit.blob for hit in hits})
    counts = {hit.path: _count(hit.path, hit.text, known, parsed) for hit in hits if hit.path not in left}
    return {path: count for path, count in counts.items() if count}


def _count(path: str, text: str, known: Mapping[str, Any], parsed: bool) -> int:
    old, name = known["old"], known["name"]
    if not parsed:
        return len(found(path, text, old, name))
    try:
        return len(guard.call("standing:found", path=path, text=text, old=old, name=name))
    except Skip:  # the parser died of it
        return len(found(path, text, [{"text": one["text"]} for one in old], name))


def _fewer(before: Counts, now: Counts) -> Counts:
    """Return what may still stay: never more than before."""
    return {path: min(count, now[path]) for path, count in before.items() if now.get(path)}


def _allowed(read: Callable[[str], str | None], path: str) -> Counts:
    """Return what may stay so far. Raises Awkward."""
    try:
        return _COUNTS.validate_json(read(path) or "{}")
    except ValidationError:
        raise Awkward(f"its {path} cannot be read: put right, or take away, what is there") from None


def _read(repo: Repo, ws: Workspace, path: str) -> str | None:
    """Return the text of a file at the base, None when there is none. Raises Awkward."""
    asked = ("--literal-pathspecs", "ls-tree", "-z", "--full-tree", repo.commit, "--", path)
    listed = git(Path(repo.mirror), *asked).decode(errors="replace")
    if not listed:
        return None
    if not listed.startswith("100"):
        raise Awkward(f"its {path} is no ordinary file")
    try:
        return ws.text(path)
    except Skip as why:
        raise Awkward(f"its {path} cannot be read: {why}") from None
