"""Title, body and commit message of a merge request, from facts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from importlib.metadata import version

from operators.data import Finding, Outcome
from pipelines.data import Change, Description
from pipelines.job import Job
from pipelines.text import render

SHOWN = 1500  # characters of a finding
LISTED = 20  # shards whose findings are listed
UNSANDBOXED = "Commands of the job and the repository's tests ran without a sandbox."


def describe(job: Job, change: Change) -> Description:
    """Say what a change is and what speaks for it. Text from models and tests is fenced: on a forge it must neither
    give orders nor look like ours. Raises BadTemplate."""
    title, body = wording(job, group=change.group, repo=change.repo.name, files=sorted(change.whole))
    sections = [body, *_sections(job, change)]
    message = f"{title}\n\n{body}\n\nUmbau-Job: {job.name}\nUmbau-Change: {change.digest}\n"
    generated = f"Generated-by: umbau/{version('umbau')}\n"
    text = "\n\n".join(part for part in sections if part) + "\n"
    settings = job.merge_request
    return Description(title, text, message + generated, tuple(settings.labels), settings.draft)


def wording(job: Job, *, group: str, repo: str, files: list[str]) -> tuple[str, str]:
    """Return the job's own title and body. Raises BadTemplate."""
    facts = {"job": job.name, "group": group, "repo": repo, "files": files}
    title = _line(render(job.merge_request.title, **facts))
    return title, render(job.merge_request.body or job.description, **facts).strip()


def _sections(job: Job, change: Change) -> Iterator[str]:
    shards = f", in {len(change.parts)} parts" if len(change.parts) > 1 else ""
    yield f"## What changed\n\n{_listed([f'`{path}`' for path in sorted(change.whole)])}\n\n{_files(change)}{shards}."
    proof = list(change.proof)
    if any(line.startswith(("tests:", "command:")) for line in proof) or any(step.shell for step in job.steps):
        proof.append(UNSANDBOXED)
    yield f"## Proof\n\n{_listed(proof)}"
    overcome = [part for part in change.parts if any(not verdict.passed for verdict in part.verdicts)]
    if overcome:
        yield "## Findings overcome\n\n" + "\n\n".join(_history(part) for part in overcome[:LISTED])
    if change.left_out:
        names = _listed([f"`{part.shard.name}`" for part in change.left_out])
        yield f"## Left out\n\nAccepted alone, but not together with the rest:\n\n{names}"
    notes = [note for part in change.parts for verdict in part.verdicts[-1:] for note in verdict.edit.notes]
    if notes:
        yield "## Notes\n\n" + fenced("\n".join(dict.fromkeys(notes)))
    spoke = any(verdict.edit.said for part in change.parts for verdict in part.verdicts)
    author = "A model wrote parts of this change; machines checked it. " if spoke else ""
    yield f"---\n\n{author}Opened by Umbau {version('umbau')} for the job `{job.name}`."


def _history(part: Outcome) -> str:
    tries = len(part.verdicts)
    found = [finding for verdict in part.verdicts for finding in verdict.findings]
    return f"`{part.shard.name}` took {tries} attempts:\n\n" + "\n\n".join(_told(finding) for finding in found)


def _told(finding: Finding) -> str:
    return f"{finding.judge}{f' ({finding.place})' if finding.place else ''}:\n\n{fenced(finding.message)}"


def fenced(text: str) -> str:
    """Return foreign text as a code block that it cannot end, without characters that act on a terminal or reorder
    what is read."""
    text = text.strip()
    if len(text) > SHOWN:
        text = text[:SHOWN] + "\n..."
    plain = "".join(one for one in text if one in "\n\t" or unicodedata.category(one) not in {"Cc", "Cf", "Co", "Cs"})
    runs = [len(run) for run in re.findall(r"`+", plain)]
    fence = "`" * max(3, *(run + 1 for run in runs), 3)
    return f"{fence}\n{plain}\n{fence}"


def _files(change: Change) -> str:
    return f"{len(change.whole)} file{'s' * (len(change.whole) != 1)}"


def _listed(items: list[str]) -> str:
    shown = [f"- {item}" for item in items[:100]]
    return "\n".join([*shown, *([f"- ... and {len(items) - 100} more"] if len(items) > 100 else [])])


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
