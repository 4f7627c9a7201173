"""Does what was decided about one merge request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from operators.data import Finding
from operators.veil import tellable
from pipelines.audit.noting import BY_ITSELF
from pipelines.audit.requests import acted, published
from pipelines.carry import carried, message_of
from pipelines.comments import hear
from pipelines.commit import commit
from pipelines.data import Change
from pipelines.decide import Action, Seen, decide
from pipelines.describe import describe
from pipelines.forge import ForgeError, NotPushed, Request, State
from pipelines.look import Desk, wishes
from pipelines.masking import among, here, masked
from pipelines.neutral import code, fenced, plain
from pipelines.notes import Notes, Pushed
from pipelines.orders import done
from pipelines.rules import Rule, hold

DID = {"merge": "merged", "close": "closed", "reopen": "reopened"}
LOG = 8000  # characters of what failed jobs of a pipeline printed
AFTER: Mapping[str, State] = {"merge": "merged", "close": "closed", "reopen": "open"}
NOTICES = {
    "touched": (
        "Somebody else pushed to this branch, so Umbau keeps its hands off it. `/umbau continue`: Umbau looks after it "
        "again, and keeps what was pushed. `/umbau retry`: Umbau puts its own change in that place."
    ),
    "apart": (
        "What somebody else pushed here does not go together with what Umbau would push now, so it keeps its hands off "
        "this branch. `/umbau retry`: Umbau puts its own change in that place. Or bring the branch to where it should "
        "be, and merge it."
    ),
    "red": "The pipeline of this request fails, and Umbau leaves it to people now. `/umbau retry` has it try again.",
}
SILENT = (
    "Nobody has said anything here for a while. Umbau waits for a review; `/umbau explain` tells why the change is as "
    "it is."
)


@dataclass(frozen=True, slots=True)
class Tended:
    """What was done about one merge request."""

    repo: str
    branch: str
    action: Action
    url: str = ""
    trouble: str = ""
    reopened: tuple[str, ...] = ()
    """Keys of the shards that were asked to have another go."""
    title: str = ""
    start: float = field(default=0.0, compare=False)
    """When that began, in seconds since 1970."""
    seconds: float = field(default=0.0, compare=False)


def act(desk: Desk, change: Change, seen: Seen, action: Action) -> Tended:
    """Do it. Raises ForgeError, GitError, NotPushed, BadTemplate, and Lost when it is another's to do."""
    if action.verb != "wait":
        desk.store.confirm()
    notes = Notes(desk.store, (change.repo.name, change.branch))
    if desk.notary and seen.request and seen.request.state in {"open", "branch"}:
        desk.notary.follows(desk.forge, change, seen.request)
    request, reopened = seen.request, _reopened(desk, change, seen, action, notes)
    if action.verb in {"push", "open", "rebase"}:
        request = _publish(desk, change, seen, action, notes)
        if request is None:
            seen = replace(seen, apart=True)
            request, action = seen.request, decide(change, seen, desk.job, desk.learns)
    elif request:
        _tell(desk, request, seen, action, notes)
        if did := DID.get(action.verb):
            acted(desk.store, desk.job.name, request, did, _whose(seen, action))
    if request and action.notice:
        count = notes.round if action.notice == "red" else seen.turns
        notes.say(desk.forge, request, NOTICES[action.notice], f"{action.notice} {count}")
    for order in seen.orders:
        if request and order.verb == action.verb:
            done(order, request, notes, desk.forge)
    if request:
        desk.after[change.repo.name, change.branch] = replace(request, state=AFTER.get(action.verb, request.state))
    url, title = (request.url, request.title) if request else ("", "")
    return Tended(change.repo.name, change.branch, action, url, "", tuple(reopened), title)


def _whose(seen: Seen, action: Action) -> str:
    """Return who asked for it in a comment, or that nobody did. What is closed is opened again for a retry as well."""
    order = seen.ordered(action.verb) or (seen.ordered("retry") if action.verb == "reopen" else None)
    return f"forge/{order.author}" if order else BY_ITSELF


def _tell(desk: Desk, request: Request, seen: Seen, action: Action, notes: Notes) -> None:
    """Have the forge do what changes nothing on the branch."""
    ordered = [order for order in seen.orders if order.verb == "close"]
    if action.verb == "merge":
        desk.forge.merge(request)
    elif action.verb == "close" and ordered:
        desk.forge.close(request, f"{code(ordered[0].author)} asked for it")
    elif action.verb == "close":
        notes.closing()  # else it would count as closed by a person
        desk.forge.close(request, masked(action.why))
    elif action.verb == "reopen":
        desk.forge.reopen(request)
    elif action.verb == "remind":
        notes.say(desk.forge, request, SILENT, "remind")
        notes.did("reminded", desk.now)
    elif action.verb == "ask":
        _ask(desk, request, notes.chosen(seen.candidates[0]), notes)
        notes.did("asked", desk.now)


def _ask(desk: Desk, request: Request, who: str, notes: Notes) -> None:
    try:
        desk.forge.ask(request, [who])
    except ForgeError:
        notes.pass_over(who)  # the next tick asks another
        raise


def _reopened(desk: Desk, change: Change, seen: Seen, action: Action, notes: Notes) -> list[str]:
    """Have shards done anew; return their keys."""
    if action.verb == "retry":
        keys = desk.members((change.repo.name, change.branch))
        causes = [order.cause for order in seen.orders if order.verb == "retry"]
        for cause in causes:
            for key in keys:
                desk.store.reopen(key, cause)
        notes.forgive()
        return keys
    if action.verb != "repair":
        return []
    found = {key for rule in seen.rules for key in _ruled(desk, change, seen, rule, notes)}
    if seen.request:
        found.update(key for comment in seen.said for key in hear(change, seen.request, comment, desk.store))
        if seen.request.ci == "failed" and not found:
            found.update(_repaired(desk, change, seen.request, notes))
    return sorted(found)


def _ruled(desk: Desk, change: Change, seen: Seen, rule: Rule, notes: Notes) -> list[str]:
    if seen.request:  # first: once it is held, it is not looked at again
        text = f"A rule of the job holds for this change now:\n\n{fenced(rule.finding.message)}"
        notes.say(desk.forge, seen.request, text, f"rule {rule.id}")
    return hold(rule, [part.shard.key for part in change.parts], desk.store)


def _repaired(desk: Desk, change: Change, request: Request, notes: Notes) -> list[str]:
    """Hold what a failed pipeline printed against the parts whose files it names; against all when it names none."""
    log = plain(desk.forge.log(request))[-4 * LOG :].strip()  # what is masked may become longer; a cut leaves half
    about = [part for part in change.parts if any(path in log for path in part.shard.paths)] or list(change.parts)
    others = among(change.repo.base, (part.shard for part in change.parts))
    for part in about:
        hidden = tellable(log, here(change.repo.base, part.shard).hide, others.masked)[-LOG:].strip()
        said = f"The end of its log:\n\n{hidden}" if hidden else "It has no log."
        finding = Finding("ci", f"The pipeline of the merge request failed. {said}")
        desk.store.reopen(part.shard.key, f"ci {notes.name} {request.head}", finding)
    notes.repair(request.head)  # not before all of them are: killed in between, the log is read again
    return [part.shard.key for part in about]


def _publish(desk: Desk, change: Change, seen: Seen, action: Action, notes: Notes) -> Request | None:
    """Make the branch hold the change; None when it does not go together with what somebody else pushed."""
    request = seen.request
    asked = request.reviewers if request else ()
    text = describe(desk.job, change, load=desk.busy, asked=asked, bot=desk.forge.me, comments=True)
    if request and action.verb == "rebase" and (desk.forge.rebase(request) or not seen.moved):
        if last := notes.last(request.head):
            notes.pushed(replace(last, base=change.repo.commit))
        acted(desk.store, desk.job.name, request, "rebased", _whose(seen, action))
        return request
    opened = action.verb == "open" or desk.job.rollout.open_when == "at_once" or (request and request.state == "open")
    if request and action.verb == "open":
        text = desk.notary.linked(change, request.head, text) if desk.notary else text
        made = desk.forge.push(change, request.head, text, opened=True)
        published(desk.store, desk.job.name, made, made.head, made.digest, "open")
        return made
    own = commit(change.repo, change.whole, text.message, desk.by)
    head = _carried(desk, change, seen, own, notes)
    if head is None:
        return None
    text = desk.notary.spoken(change, head, text) if desk.notary else text
    if request and request.touched:
        text = replace(text, replaces=request.head)
    if request is None:
        desk.busy.update(text.reviewers)
    push = Pushed(own, head, change.repo.commit, wishes(change, desk.store))
    notes.pushing(change.whole, change.digest, push)
    try:
        made = desk.forge.push(change, head, text, opened=bool(opened))
    except NotPushed:
        notes.refused(push)
        raise
    published(desk.store, desk.job.name, made, head, change.digest, "open" if opened else "push")
    notes.pushed(push)
    return made


def _carried(desk: Desk, change: Change, seen: Seen, own: str, notes: Notes) -> str | None:
    """Return our own commit, or one on top of it with what somebody else pushed and Umbau was told to keep."""
    request = seen.request
    if not request or not seen.adopted:
        return own
    theirs = desk.forge.fetch(request, change.repo)
    if theirs != request.head:
        raise NotPushed(f"{request.branch} of {request.repo} was pushed to meanwhile: it is looked at again")
    mirror = Path(change.repo.mirror)
    last = notes.beneath(theirs, mirror)
    if last and theirs == last.own:
        return own
    if last and (theirs, own) == (last.head, last.own):
        return theirs  # it is there already, as when the last tick was killed
    kept = (
        message_of(mirror, theirs) if last and theirs == last.head else ""
    )  # it names people, and would be named itself
    head = carried(change.repo, last.own, theirs, own, desk.by, kept) if last else None
    if head is None:
        notes.part(request.head, change.digest)
    return head
