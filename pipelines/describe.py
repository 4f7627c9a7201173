"""Title, body and commit message of a merge request, and how it is to be opened, from facts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from operators import foreign
from operators.data import Covered, Finding, Outcome
from pipelines.commands import VERBS
from pipelines.data import Change, Dropped
from pipelines.facts import VERSION, Facts, examples, facts
from pipelines.forge import Description
from pipelines.job import Job
from pipelines.masking import masked
from pipelines.neutral import asleep, code, fenced, harmless, line, one_line, prose
from pipelines.owners import Owners, owners_at
from pipelines.reviewers import not_users, reviewers
from pipelines.text import BadTemplate, render

# Characters. GitHub takes 65,536 in a body, GitLab 1,048,576; together these stay below 60,000, so that a forge can add
# what it finds its requests by.
WORDS = 15_000  # of the job's own words
HISTORY = 6000  # of the findings of one shard
FINDINGS = 9000  # of all findings that were overcome, and of those that left something out
LIST = 4500  # of a list of files, proofs or shards
MISSED = 20  # places of statements, in a file, that no test executes
TRAILER = 1000
UNSANDBOXED = "Commands of the job and the repository's tests ran without a sandbox."

_TRAILER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*): *(.*)")
_OURS = re.compile(r"umbau-.*|generated-by|assisted-by", re.I)


@dataclass(frozen=True, slots=True)
class Words:
    """What the templates of a job make of some facts."""

    title: str
    body: str
    message: str
    """Of the commit, with all trailers."""


def describe(
    job: Job,
    change: Change,
    *,
    owned: Owners | None = None,
    load: Mapping[str, int] = MappingProxyType({}),
    asked: Sequence[str] = (),
    bot: str = "",
    comments: bool = False,
) -> Description:
    """Say what a change is and what speaks for it. Text from models and tests is neutralised: on a forge it must
    neither give orders nor look like ours.

    `owned`: by CODEOWNERS, which is read from the base commit when not given. `load`: user to the number of the job's
    open requests that wait for them. `asked`: who was asked to review it before, and stays asked. `bot`: the user that
    opens it. `comments`: whether it can be talked to in comments. Raises BadTemplate, GitError.
    """
    owned = owners_at(change.repo) if owned is None else owned
    known = facts(job, change, owned)
    words = _own(job, change, known) if change.about else wording(job, known)
    settings, paths, key = job.merge_request, sorted(change.whole), f"{change.repo.name}/{change.branch}"
    chosen = tuple(asked) or reviewers(settings.reviewers, owned, paths, load, bot, key)
    sections = [
        _written(job, known),
        words.body,
        *(() if change.about else _sections(job, change)),
        _owners(job, owned, paths),
        _commands() if comments else "",
    ]
    return Description(
        masked(words.title),
        masked("\n\n".join(part for part in [*sections, _author(job)] if part) + "\n"),
        masked(words.message),
        _labels(job, known),
        settings.draft,
        tuple(settings.assignees),
        chosen,
        settings.milestone,
        settings.squash,
        settings.delete_branch,
    )


def rehearse(job: Job) -> None:
    """Fill in all templates with facts as they may turn out to be. Raises BadTemplate."""
    for one in examples(job):
        wording(job, one)


def wording(job: Job, known: Facts) -> Words:
    """Return what the job itself says of a merge request. Facts are harmless each by itself; that they, or what a
    template makes of them, are not together is seen to here. Raises BadTemplate."""
    settings, text = job.merge_request, known.in_text()
    body = settings.body or "{{ description }}"
    own = f"{settings.title} {body} {settings.message} {job.description}"
    title = one_line(harmless(render(settings.title, **text), own))
    if not title:
        raise BadTemplate("merge_request.title is empty")
    message = render(settings.message or f"{{{{ title }}}}\n\n{body}", title=title, **text)
    message = harmless(message[:WORDS], own).strip()
    if not message:
        raise BadTemplate("merge_request.message is empty")
    return Words(
        title,
        _cut(asleep(render(body, **known.in_markdown()).strip(), own)),
        f"{message}\n\n{_trailers(job, known)}",
    )


def _own(job: Job, change: Change, known: Facts) -> Words:
    """Return what a change says of itself that no shard is part of."""
    title = one_line(harmless(change.title, job.name))
    return Words(title, _cut(asleep(change.about, job.description)), f"{title}\n\n{_trailers(job, known)}")


def _trailers(job: Job, known: Facts) -> str:
    text = known.in_text()
    settings = job.merge_request
    trailers = [f"Umbau-Job: {job.name}", f"Umbau-Change: {known.digest}", f"Generated-by: umbau/{known.version}"]
    # https://docs.kernel.org/process/coding-assistants.html
    if settings.assisted_by:
        trailers += [_assisted(settings.assisted_by, text | {"writer": line(name)}) for name in known.models]
    trailers += [one for template in settings.trailers if (one := _trailer(render(template, **text), template))]
    return "\n".join(trailers) + "\n"


def _assisted(template: str, text: Mapping[str, Any]) -> str:
    said = one_line(harmless(one_line(render(template, **text), TRAILER), template), TRAILER)
    if not said:
        raise BadTemplate("merge_request.assisted_by says nothing")
    return f"Assisted-by: {said}"


def _trailer(text: str, own: str) -> str:
    """Return a trailer of the job's own as one line; nothing for one that says nothing."""
    said = one_line(harmless(one_line(text, TRAILER), own), TRAILER)
    found = _TRAILER.fullmatch(said)
    if said and not found:
        raise BadTemplate(f"merge_request.trailers: {said!r} is no trailer: write one such as `Refs: OPS-17`")
    if found and _OURS.fullmatch(found[1]):
        raise BadTemplate(f"merge_request.trailers: {found[1]} is Umbau's own to say")
    return f"{found[1]}: {found[2]}" if found and found[2] else ""


def _cut(text: str) -> str:
    """Return as many whole lines as there is room for: within a line, code could be cut open."""
    if len(text) <= WORDS:
        return text
    return f"{text[:WORDS].rpartition(chr(10))[0] or fenced(text)}\n\n..."


def _sections(job: Job, change: Change) -> Iterator[str]:
    shards = f", in {len(change.parts)} parts" if len(change.parts) > 1 else ""
    yield f"## What changed\n\n{_listed([code(path) for path in sorted(change.whole)])}\n\n{_files(change)}{shards}."
    notes = [note for part in change.parts for verdict in part.verdicts[-1:] for note in verdict.edit.notes]
    if notes:
        yield "## Notes\n\n" + fenced("\n".join(dict.fromkeys(notes)))
    if first := list(_first(change)):
        yield f"## Look at first\n\n{_listed(first)}"
    proof = [prose(line) for line in change.proof]
    ran = any(line.startswith(("tests:", "command:")) for line in change.proof) or any(step.shell for step in job.steps)
    if ran and job.sandbox == "none":
        proof.append(UNSANDBOXED)
    yield f"## Proof\n\n{_listed(proof)}"
    if tested := [one for one in _bare(change.covered) if one.statements]:
        shares = _listed([_tested(one) for one in tested])
        yield f"## Tested\n\nOf the statements that change, passing tests execute\n\n{shares}"
    if overcome := [part for part in change.parts if any(not verdict.passed for verdict in part.verdicts)]:
        yield "## Findings overcome\n\n" + "\n\n".join(_fitting([_history(part) for part in overcome], FINDINGS))
    if change.dropped:
        told = [_dropped(one) for one in change.dropped]
        yield "## Left out\n\nThe sum does not hold with:\n\n" + "\n\n".join(_fitting(told, FINDINGS))


def _tested(one: Covered) -> str:
    alone = f"; {_lines(one.generated)} by generated tests only" if one.generated else ""
    return f"{len(one.statements) - len(one.missed)} of {len(one.statements)} in {code(one.path)}{alone}"


def _lines(spans: Sequence[tuple[int, int]]) -> str:
    lines = ", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in spans[:MISSED])
    more = f" and {len(spans) - MISSED} more" if len(spans) > MISSED else ""
    several = len(spans) > 1 or spans[0][0] != spans[0][1]
    return f"line{'s' * several} {lines}{more}"


def _first(change: Change) -> Iterator[str]:
    """Yield what a reviewer should look at first."""
    for one in _bare(change.covered):
        if missed := one.missed:
            yield f"{code(one.path)}: no passing test executes {_lines(missed)}"
    for part in sorted(change.parts, key=lambda part: -len(part.verdicts)):
        if len(part.verdicts) > 1:
            yield f"{code(part.shard.name)} took {len(part.verdicts)} attempts"
    for passage in (one for part in change.parts for verdict in part.verdicts[-1:] for one in verdict.edit.foreign):
        yield prose(foreign.told(passage))
    for dropped in change.dropped:
        yield f"{code(dropped.part.shard.name)} is left out"


def _bare(covered: Sequence[Covered]) -> list[Covered]:
    """Return files in order, those with the most statements that no test executes first."""
    return sorted(covered, key=lambda one: (-len(one.missed), one.path))


def _owners(job: Job, owned: Owners, paths: Sequence[str]) -> str:
    """Return which owners were not asked to review, and why."""
    if not job.merge_request.reviewers.owners:
        return ""
    if owned.trouble:
        return f"## Owners\n\nNone was asked to review: {code(owned.trouble)}."
    names = _fitting([code(name) for name in not_users(owned, paths)], LIST)
    return f"## Owners\n\nThese are no single users, and were not asked to review: {', '.join(names)}." if names else ""


def _commands() -> str:
    told = [f"`/umbau {verb}`: {what}" for verb, what in VERBS.items()]
    return f"## Talk to Umbau\n\nIn a comment, if you may push to this repository:\n\n{_listed(told)}"


def _labels(job: Job, known: Facts) -> tuple[str, ...]:
    own, more = job.merge_request.labels, job.merge_request.model_label
    return tuple(dict.fromkeys([*own, more] if known.model and more else own))


def _written(job: Job, known: Facts) -> str:
    """Return, in words, that a model wrote parts of it."""
    if not known.model:
        return ""
    hosts = [f"hosted at {code(server)}" if server else "run by Umbau itself" for server in known.servers]
    who = ", ".join([*(code(name) for name in known.models), *hosts])
    several = len(known.models) > 1
    read = "a person has to review it"
    if job.merge_request.merge == "green":
        read = "it is merged without a person's approval once its pipeline has passed, as the job asks for"
    return f"{'Models' if several else 'A model'} ({who}) wrote parts of this change; machines checked it; {read}."


def _author(job: Job) -> str:
    return f"---\n\nWritten and opened by Umbau {VERSION}, a program, for the job `{job.name}`."


def _history(part: Outcome) -> str:
    told = [_told(finding) for verdict in part.verdicts for finding in verdict.findings]
    return "\n\n".join([f"{code(part.shard.name)} took {len(part.verdicts)} attempts:", *_fitting(told, HISTORY)])


def _dropped(one: Dropped) -> str:
    told = [_told(finding) for finding in one.findings]
    return "\n\n".join([f"{code(one.part.shard.name)}, because of", *_fitting(told, HISTORY)])


def _told(finding: Finding) -> str:
    return f"{finding.judge}{f' ({code(finding.place)})' if finding.place else ''}:\n\n{fenced(finding.message)}"


def _files(change: Change) -> str:
    return f"{len(change.whole)} file{'s' * (len(change.whole) != 1)}"


def _listed(items: Sequence[str]) -> str:
    return "\n".join(f"- {item}" for item in _fitting(items, LIST))


def _fitting(items: Sequence[str], most: int) -> list[str]:
    """Return as many items as fit into `most` characters, and how many more there are."""
    shown: list[str] = []
    for item in items:
        most -= len(item) + 3
        if most < 0:
            return [*shown, f"... and {len(items) - len(shown)} more"]
        shown.append(item)
    return shown
