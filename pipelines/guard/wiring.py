"""What has a repository run its guard: a hook of pre-commit, a job of GitLab's, a workflow of GitHub's.

What is there already stays as it is: once merged, it is the repository's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from pipelines.data import Repo
from pipelines.guard.append import appended
from pipelines.guard.detector import FOLDER
from pipelines.guard.events import Awkward, dumped, words
from pipelines.job import Job

PRE_COMMIT, GITLAB, WORKFLOWS = ".pre-commit-config.yaml", ".gitlab-ci.yml", ".github/workflows"
CHECKOUT = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0"
OURS = "# Written once by `umbau guard`, and yours from then on: it is not written anew.\n"
Read = Callable[[str], str | None]
"""Returns the text of a file, None when there is none. Raises Awkward."""


@dataclass(slots=True)
class Wiring:
    files: dict[str, str] = field(default_factory=dict)
    """Path to new text."""
    runs: list[str] = field(default_factory=list)
    """What runs the guard, in words."""
    notes: list[str] = field(default_factory=list)
    """What a person must know."""


def wired(job: Job, repo: Repo, read: Read, folders: Callable[[str], bool]) -> Wiring:
    """Return what is to be changed so that the guard runs. `folders`: whether something is in a folder. Raises Awkward
    when nothing would run it."""
    found = Wiring()
    kinds = _kinds(job, read, folders)
    for kind in kinds:
        try:
            kind(job, repo, read, found)
        except Awkward as why:
            found.notes.append(str(why))
    if not kinds:
        raise Awkward(
            f"it has neither {GITLAB} nor {WORKFLOWS} nor {PRE_COMMIT}: say `guard: {{pre_commit: true}}` in the job "
            "to give it a hook"
        )
    if not found.runs:
        raise Awkward("; ".join(found.notes))
    return found


def _kinds(job: Job, read: Read, folders: Callable[[str], bool]) -> list[Callable[[Job, Repo, Read, Wiring], None]]:
    remote = bool(job.forge.gitlab or job.forge.github)
    return [
        one
        for one, wanted in (
            (_hook, job.guard.pre_commit or _is(read, PRE_COMMIT)),
            (_gitlab, job.forge.gitlab or (not remote and _is(read, GITLAB))),
            (_github, job.forge.github or (not remote and folders(WORKFLOWS))),
        )
        if wanted
    ]


def _is(read: Read, path: str) -> bool:
    try:
        return read(path) is not None
    except Awkward:
        return True


def _hook(job: Job, repo: Repo, read: Read, found: Wiring) -> None:
    name, text = f"umbau-guard-{job.name}", read(PRE_COMMIT)
    if not (text and _names(text, name)):
        hook = {"id": name, "name": f"what {job.name} has replaced", "entry": _run(job), "language": "system"}
        try:
            found.files[PRE_COMMIT] = appended(text or "", "repos", {"repo": "local", "hooks": [hook]})
        except Awkward as why:
            raise Awkward(f"{PRE_COMMIT} is left as it is, because {why}: add {hook} by hand") from None
    found.runs.append(f"the hook `{name}` of pre-commit")


def _gitlab(job: Job, repo: Repo, read: Read, found: Wiring) -> None:
    path, text = f".gitlab/umbau-guard-{job.name}.yml", read(GITLAB)
    include = {"local": f"/{path}"}
    try:
        own = job_of_gitlab(job, text or "")
        changed = text if text and _names(text, path) else appended(text or "", "include", include)
    except Awkward as why:
        raise Awkward(f"{GITLAB} is left as it is, because {why}: include {path} by hand") from None
    if read(path) is None:
        found.files[path] = OURS + dumped(own)
    if changed != text:
        found.files[GITLAB] = changed
    if text is None:
        found.notes.append(f"this project had no {GITLAB}: with it, its pipelines begin to run, and Auto DevOps ends")
    when = "in merge request pipelines and on the default branch" if _by_request(text or "") else "in branch pipelines"
    found.runs.append(f"the job `umbau-guard-{job.name}` {when}")


def job_of_gitlab(job: Job, text: str) -> dict[str, object]:
    """Return a job that fits into the pipelines of a `.gitlab-ci.yml`, and takes nothing of its defaults. Raises
    Awkward."""
    made: dict[str, object] = {"stage": _stage(text), "image": job.guard.image}
    if job.guard.tags:
        made["tags"] = list(job.guard.tags)
    made |= {"inherit": {"default": False, "variables": False}, "needs": []}
    if _by_request(text):
        made["rules"] = [
            {"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'},
            {"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"},
        ]
    # The folder may be another user's than the container's.
    made["script"] = ['git config --global --add safe.directory "$CI_PROJECT_DIR"', _run(job)]
    return {f"umbau-guard-{job.name}": made}


def _by_request(text: str) -> bool:
    """Say whether there are pipelines of merge requests: without such, a job of theirs would start them."""
    return bool(re.search(r"merge_?request", text, re.I))


def _stage(text: str) -> str:
    """Return a stage that there is: which ones there are, another file may say."""
    known = words(text) if text else {}
    if stages := known.get("stages"):
        return "test" if "test" in stages else stages[0]
    return ".pre" if {"stages", "include"} & known.keys() else "test"


def _github(job: Job, repo: Repo, read: Read, found: Wiring) -> None:
    path = f"{WORKFLOWS}/umbau-guard-{job.name}.yml"
    if read(path) is None:
        found.files[path] = workflow(job, repo.branch)
    found.runs.append(f"the workflow `umbau guard {job.name}`")


def workflow(job: Job, branch: str) -> str:
    """Return a workflow that may read the code and nothing else."""
    filters = re.sub(r"([]!+])", r"\\\1", branch)
    return OURS + "\n".join(
        [
            f"name: umbau guard {job.name}",
            "on:",
            "  pull_request:",
            "  merge_group:",
            "  push:",
            *(f"    {line}" for line in dumped({"branches": [filters]}).splitlines()),
            "permissions:",
            "  contents: read",
            "jobs:",
            "  guard:",
            f"    runs-on: {job.guard.runs_on}",
            "    timeout-minutes: 15",
            "    steps:",
            f"      - uses: {CHECKOUT}",
            "        with:",
            "          persist-credentials: false",
            f"      - run: {_run(job)}",
            "",
        ]
    )


def _run(job: Job) -> str:
    return f"python3 {FOLDER}/{job.name}/check"


def _names(text: str, word: str) -> bool:
    """Say whether a text has a word, and not as a part of a longer one."""
    return bool(re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-]|\.\w)", text))
