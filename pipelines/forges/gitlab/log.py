"""What failed jobs of a pipeline printed, at its end and without what only a terminal shows."""

from __future__ import annotations

import re

from pipelines.forges.gitlab.api import Api, Json, Refusal, project

JOBS = 3
LINES = 100  # of one job
SIZE = 20_000  # characters of all
_SECTION = re.compile(r"section_(?:start|end):\d+:[^\r\n\x1b]*")  # what the runner folds its output by
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_STAMP = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z [0-9a-f]{2}[OE][+ ]?", re.M)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # what is left of sequences within sequences


def log(api: Api, repo: str, pipeline: int) -> str:
    """Return the ends of what the failed jobs of a pipeline printed, or else those of pipelines that it started. What
    may fail is left out."""
    path = project(repo)
    failed = _failed(api, repo, f"{path}/pipelines/{pipeline}/jobs")
    found = [(path, job) for job in failed]
    if not failed:
        for bridge in _failed(api, repo, f"{path}/pipelines/{pipeline}/bridges"):
            if started := bridge.get("downstream_pipeline"):
                there = f"/projects/{started['project_id']}"
                found += [(there, job) for job in _failed(api, repo, f"{there}/pipelines/{started['id']}/jobs")]
    parts = []
    for where, job in found[:JOBS]:
        why = f" ({job['failure_reason']})" if job.get("failure_reason") else ""
        told = ending(_trace(api, repo, f"{where}/jobs/{job['id']}/trace"))[-(SIZE // min(JOBS, len(found))) :]
        parts.append(f"{job['name']} of stage {job['stage']} failed{why}:\n{told}")
    return "\n\n".join(parts)[-SIZE:]


def _failed(api: Api, repo: str, path: str) -> list[Json]:
    listed = api.list(repo, path, **{"scope[]": "failed"})
    return sorted((job for job in listed if not job.get("allow_failure")), key=lambda job: int(job["id"]))


def _trace(api: Api, repo: str, path: str) -> str:
    try:
        return api.ends(repo, path)
    except Refusal as why:
        return f"(what it printed cannot be had: {why.said})"


def ending(trace: str) -> str:
    """Return the last lines of a trace as a person sees them."""
    text = _ANSI.sub("", _SECTION.sub("", _STAMP.sub("", trace)))
    lines = [_CONTROL.sub("", line.rstrip("\r").rpartition("\r")[2]).rstrip() for line in text.split("\n")]
    return "\n".join([line for line in lines if line][-LINES:])
