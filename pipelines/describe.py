"""Title, body and commit message of a merge request, from facts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from importlib.metadata import version

from operators.data import Covered, Finding, Outcome
from pipelines.data import Change, Dropped
from pipelines.forge import Description
from pipelines.job import Job
from pipelines.text import BadTemplate, render

# Characters. A body has to stay below 65,536, which is what GitHub takes.
SHOWN = 1500  # of one finding
HISTORY = 8000  # of the findings of one shard
SECTION = 20_000  # of the job's own words, and of all findings
LIST = 6000  # of a list of files, proofs or shards
NAME = 200  # of a title or name
MISSED = 20  # places of statements, in a file, that no test executes
UNSANDBOXED = "Commands of the job and the repository's tests ran without a sandbox."

_ORDINARY = re.compile(r"[A-Za-z0-9./ :-]*(_[A-Za-z0-9./ :-]+)*")  # means nothing to Markdown
_ACTING = frozenset({"Cc", "Cf", "Co", "Cs"})  # categories of characters that act on a terminal or reorder a line


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
    settings = job.merge_request
    title = _line(render(settings.title, job=job.name, group=group, repo=repo, files=files))
    if not title:
        raise BadTemplate("merge_request.title is empty")
    named = {"group": _named(group), "repo": _named(repo), "files": [_named(file) for file in files]}
    body = render(settings.body, job=job.name, **named) if settings.body else job.description
    return title, body.strip()[:SECTION]


def _sections(job: Job, change: Change) -> Iterator[str]:
    shards = f", in {len(change.parts)} parts" if len(change.parts) > 1 else ""
    yield f"## What changed\n\n{_listed([code(path) for path in sorted(change.whole)])}\n\n{_files(change)}{shards}."
    proof = list(change.proof)
    ran = any(line.startswith(("tests:", "command:")) for line in proof) or any(step.shell for step in job.steps)
    if ran and job.sandbox == "none":
        proof.append(UNSANDBOXED)
    yield f"## Proof\n\n{_listed(proof)}"
    if tested := [one for one in change.covered if one.statements]:
        tested.sort(key=lambda one: (-len(one.missed), one.path))
        shares = _listed([_tested(one) for one in tested])
        yield f"## Tested\n\nOf the statements that change, passing tests execute\n\n{shares}"
    overcome = [part for part in change.parts if any(not verdict.passed for verdict in part.verdicts)]
    if overcome:
        yield "## Findings overcome\n\n" + "\n\n".join(_fitting([_history(part) for part in overcome], SECTION))
    if change.dropped:
        told = [_dropped(one) for one in change.dropped]
        yield "## Left out\n\nThe sum does not hold with:\n\n" + "\n\n".join(_fitting(told, SECTION))
    notes = [note for part in change.parts for verdict in part.verdicts[-1:] for note in verdict.edit.notes]
    if notes:
        yield "## Notes\n\n" + fenced("\n".join(dict.fromkeys(notes)))
    spoke = any(verdict.edit.said for part in change.parts for verdict in part.verdicts)
    author = "A model wrote parts of this change; machines checked it. " if spoke else ""
    yield f"---\n\n{author}Opened by Umbau {version('umbau')} for the job `{job.name}`."


def _tested(one: Covered) -> str:
    count, missed = len(one.statements), one.missed
    lines = ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in missed[:MISSED])
    more = f" and {len(missed) - MISSED} more" if len(missed) > MISSED else ""
    told = f": look at line{'s' * (len(missed) > 1)} {lines}{more} first" if missed else ""
    return f"{count - len(missed)} of {count} in {code(one.path)}{told}"


def _history(part: Outcome) -> str:
    told = [_told(finding) for verdict in part.verdicts for finding in verdict.findings]
    return "\n\n".join([f"{code(part.shard.name)} took {len(part.verdicts)} attempts:", *_fitting(told, HISTORY)])


def _dropped(one: Dropped) -> str:
    told = [_told(finding) for finding in one.findings]
    return "\n\n".join([f"{code(one.part.shard.name)}, because of", *_fitting(told, HISTORY)])


def _told(finding: Finding) -> str:
    return f"{finding.judge}{f' ({code(finding.place)})' if finding.place else ''}:\n\n{fenced(finding.message)}"


def fenced(text: str) -> str:
    """Return foreign text as a code block that it cannot end, without characters that act on a terminal or reorder
    what is read."""
    text = text.strip()
    if len(text) > SHOWN:
        text = text[:SHOWN] + "\n..."
    shown = plain(text)
    fence = "`" * max(3, _ticks(shown) + 1)
    return f"{fence}\n{shown}\n{fence}"


def code(name: str) -> str:
    """Return a foreign name as code within a line, which it cannot end."""
    text = _line(name)
    mark = "`" * (_ticks(text) + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{mark}{space}{text}{space}{mark}" if text else ""


def _named(name: str) -> str:
    """Return a foreign name for a template of Markdown: as it is, or as code if it has signs that mean something."""
    return name if _ORDINARY.fullmatch(name) else code(name)


def _ticks(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)


def _files(change: Change) -> str:
    return f"{len(change.whole)} file{'s' * (len(change.whole) != 1)}"


def _listed(items: Sequence[str]) -> str:
    return "\n".join(f"- {item}" for item in _fitting(items, LIST))


def _fitting(items: Sequence[str], most: int) -> list[str]:
    """Return as many items as fit into `most` characters, and how many more there are."""
    shown: list[str] = []
    for item in items:
        most -= len(item)
        if most < 0:
            return [*shown, f"... and {len(items) - len(shown)} more"]
        shown.append(item)
    return shown


def _line(text: str) -> str:
    return " ".join(plain(text).split())[:NAME].strip()


def plain(text: str) -> str:
    """Return foreign text without characters that act on a terminal or reorder what is read."""
    return "".join(one for one in text if one in "\n\t" or unicodedata.category(one) not in _ACTING)
