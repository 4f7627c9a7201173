"""What reviewers ask for: held against the shards that it is about, and answered once those are done.

All of it is told from facts in the store, so that a tick that is killed anywhere neither forgets a comment nor sees to
it, or answers it, twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from operators.data import Finding, Outcome
from operators.veil import tellable
from operators.workspace import Workspace
from pipelines.commands import commands
from pipelines.data import Change, Dropped, Plan
from pipelines.forge import Comment, Forge, Request
from pipelines.masking import among, here, masked
from pipelines.neutral import code, fenced
from pipelines.store import Store


def unheard(request: Request, store: Store) -> list[Comment]:
    """Return the comments that still have to be seen to, commands left out; what was approved in spite of one is
    settled."""
    wishes = [replace(one, text=commands(one.text)[1]) for one in request.comments if not one.settled]
    return [one for one in wishes if one.text and not store.fact(_heard(request, one))]


def hear(change: Change, request: Request, comment: Comment, store: Store) -> list[str]:
    """Hold a comment against the parts that it is about; against all of them when it names no file of theirs. Returns
    their keys."""
    about = [part for part in change.parts if comment.path in part.shard.paths] or list(change.parts)
    if comment.line:
        about = [part for part in about if _covers(change, part, comment)] or about
    place = f"{comment.path}:{comment.line}" if comment.line else comment.path
    others = among(change.repo.base, (part.shard for part in change.parts))
    for part in about:
        text = tellable(comment.text, here(change.repo.base, part.shard).hide, others.masked)
        store.reopen(part.shard.key, cause(request, comment), Finding("review", text, place))
    store.keep(_heard(request, comment), True)  # not before all of them are: killed in between, it is read again
    return [part.shard.key for part in about]


def answer(plan: Plan, dropped: Iterable[Dropped], requests: Iterable[Request], forge: Forge, store: Store) -> None:
    """Tell reviewers what became of what they asked for. A comment whose shards are not done yet is answered later."""
    left_out = {one.part.shard.key: one for one in dropped}
    for request in requests:
        for comment in request.comments:
            if not store.fact(_heard(request, comment)) or store.fact(_answered(request, comment)):
                continue
            done = _done(plan, request, comment, store)
            if done is None:
                continue
            for key, outcome in done.items():
                text = _told(outcome, left_out.get(key))
                forge.comment(request, masked(text), f"{cause(request, comment)} {key}", comment.thread)
            store.keep(_answered(request, comment), True)


def cause(request: Request, comment: Comment) -> str:
    """Return the name under which shards are opened again for a comment."""
    return f"{request.repo}/{request.branch}#{comment.id}"


def _done(plan: Plan, request: Request, comment: Comment, store: Store) -> Mapping[str, Outcome] | None:
    """Return the latest outcome of each shard that was opened again for a comment; None when one is not done yet, or
    nothing is known of the repository's shards today."""
    if request.repo in plan.trouble:
        return None
    keys = [one.shard.key for one in plan.planned.of(request.repo)]
    about = [
        key
        for key, reasons in store.reopenings(keys).items()
        if any(why == cause(request, comment) for why, _ in reasons)
    ]
    if store.missing(about):
        return None
    return {key: outcomes[-1] for key, outcomes in store.outcomes(about).items()}


def _told(outcome: Outcome, dropped: Dropped | None) -> str:
    name = code(outcome.shard.name)
    before = [
        verdict.edit.files for verdict in outcome.verdicts if any(one.judge == "review" for one in verdict.findings)
    ]
    if dropped:
        why = fenced("\n".join(finding.message for finding in dropped.findings))
        return f"Umbau changed {name} as you asked, but then the merge request does not hold with it:\n\n{why}"
    if outcome.edit and outcome.edit.files not in before[-1:]:
        return f"Umbau changed {name} as you asked; every check passes."
    if before and outcome.status == "unchanged":
        return f"Umbau took back what it had changed in {name}, as you asked."
    last = outcome.verdicts[-1:]
    found = "\n".join(one.message for verdict in last for one in verdict.findings)
    said = "".join(verdict.edit.said for verdict in last)
    why = fenced(found or said or "it had nothing more to propose")
    return f"Umbau could not change {name} as you asked, so it stays as it is. The last word on it:\n\n{why}"


def _covers(change: Change, part: Outcome, comment: Comment) -> bool:
    """Say whether the line, which is one of the change's text, is one of the part's."""
    ws = Workspace(change.repo.base, change.whole)
    ends = [ws.lines(span) for span in part.shard.spans if span.path == comment.path]
    return any(first <= comment.line <= last for first, last in ends)


def _heard(request: Request, comment: Comment) -> str:
    return f"heard {cause(request, comment)}"


def _answered(request: Request, comment: Comment) -> str:
    return f"answered {cause(request, comment)}"
