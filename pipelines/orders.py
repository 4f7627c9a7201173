"""Commands in comments become orders: heard from people with write access alone, each carried out and answered once.

What people have told Umbau so far is worked out anew each time, from the comments and from what was kept of each
command when it was heard.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipelines.commands import VERBS, Command, Order, commands
from pipelines.forge import Comment, Forge, Request
from pipelines.neutral import code
from pipelines.notes import Notes

Answer = Callable[[Command, Comment], str]
"""What is answered to `explain`, `apply-to-all` and `confirm`."""
_LATER = frozenset({"retry", "rebase", "close", "reopen"})  # done by whoever decides what to do about the request
_CLOSED = frozenset({"retry", "reopen"})  # what can be done about a closed one
_ENDS = {"close": "closed", "reopen": "open"}  # the state that an order is to bring
_TEXTS = {
    "stop": "Umbau keeps its hands off this request until somebody says `/umbau continue`.",
    "continue": "Umbau looks after this request again. What somebody else pushed is kept.",
}
DONE = {
    "retry": "Umbau does the shards of this request anew.",
    "rebase": "This branch is where its base branch is now.",
    "close": "Umbau closed this request, as asked. `/umbau reopen` opens it again.",
    "reopen": "Umbau opened this request again.",
}
DENIED = "Umbau does what people say who may push to this repository. Ask one of them to say it."
TOO_EARLY = (
    "Somebody else pushed to this branch about when this was said. If their commits are to be replaced by what Umbau "
    "proposes, say `/umbau retry` once more; `/umbau continue` keeps them."
)


@dataclass(frozen=True, slots=True)
class Told:
    """What people have told Umbau about a request, all in all."""

    todo: tuple[Order, ...] = ()
    """What is not done yet, in the order in which it was said."""
    stopped: bool = False
    adopted: str = ""
    replaced: str = ""
    turns: int = 0
    """How often Umbau was told to go on."""

    def after(self, verb: str, head: str) -> Told:
        """Return what holds after one more command. `head`: the commit of somebody else that it was about."""
        if verb == "stop":
            return replace(self, stopped=True)
        if verb == "continue":
            adopted = head or self.adopted
            return replace(self, stopped=False, adopted=adopted, replaced="", turns=self.turns + 1)
        if verb == "retry" and head:
            return replace(self, adopted="", replaced=head, turns=self.turns + 1)
        return self


def listen(
    request: Request, notes: Notes, forge: Forge, apart: Callable[[Told], bool], answer: Answer, job: str = ""
) -> Told:
    """Hear what is new and return what holds. `apart`: whether what somebody else pushed and the change do not go
    together, if that is what was said so far. `job`: for whose log it is noted who gave orders."""
    told = Told()
    before: Sequence[str] = ()
    if request.touched:
        before = notes.first_seen(request.head, [comment.id for comment in request.comments])
    for comment in request.comments:
        for command in commands(comment.text)[0]:
            cause = f"{notes.name}#{comment.id} {command.name}"
            heard = notes.store.fact(f"order {cause}")
            if heard is None:
                away = request.touched and request.head not in {told.adopted, told.replaced} - {""}
                away = away or apart(told)
                early = request.touched and comment.id in before
                verb, head, text = _hear(request, comment, command, forge, answer, away=away, early=early)
                if text:
                    notes.say(forge, request, text, cause, comment.thread)
                if verb:
                    facts = {"verb": verb, "repo": request.repo, "branch": request.branch, "number": request.number}
                    notes.store.audit.note(f"forge/{comment.author}", "commanded", job, facts, f"order {cause}")
                heard = {"verb": verb, "head": head, "state": request.state}
                notes.store.keep(f"order {cause}", heard)  # last: killed before, it is heard again
            told = told.after(heard["verb"], heard["head"])
            if heard["verb"] in _LATER and not notes.store.fact(f"done {cause}"):
                order = Order(heard["verb"], comment.author, cause, comment.thread)
                if _ENDS.get(order.verb) == request.state:
                    done(order, request, notes, forge)  # killed before it was answered
                elif request.state == "open" or heard["state"] == request.state:
                    told = replace(told, todo=(*told.todo, order))
    return told


def done(order: Order, request: Request, notes: Notes, forge: Forge) -> None:
    """Answer an order that is carried out."""
    notes.say(forge, request, DONE[order.verb], order.cause, order.thread)
    notes.store.keep(f"done {order.cause}", True)


def _hear(
    request: Request, comment: Comment, command: Command, forge: Forge, answer: Answer, *, away: bool, early: bool
) -> tuple[str, str, str]:
    """Return the verb that counts, "" for none; the commit of somebody else that it is about; what is answered now.
    `away`: Umbau has its hands off. `early`: the command may have been said before somebody else pushed."""
    if not forge.may_write(request, comment.author):
        return "", "", DENIED
    if command.verb not in VERBS:
        known = "\n".join(f"- `/umbau {verb}`: {what}" for verb, what in VERBS.items())
        what = f"{code(command.verb)} is nothing that Umbau can be told." if command.verb else "Told what?"
        return "", "", f"{what} It can be told:\n\n{known}"
    if command.verb in {"explain", "apply-to-all", "confirm"}:
        return "", "", answer(command, comment)
    if request.state == "merged" or (request.state == "closed" and command.verb not in _CLOSED):
        return "", "", f"This request is {request.state}: there is nothing to {command.verb}."
    if request.state == "open" and command.verb == "reopen":
        return "", "", "This request is open."
    if command.verb == "retry" and away and early:
        return "", "", TOO_EARLY
    if command.verb == "continue" and request.touched:
        return "continue", request.head, _TEXTS["continue"]
    return command.verb, request.head if command.verb == "retry" and away else "", _TEXTS.get(command.verb, "")
