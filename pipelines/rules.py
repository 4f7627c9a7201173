"""What a comment asks of all requests of a job: a rule, which holds once a maintainer of the job has confirmed it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from operators.data import Finding
from pipelines.forge import Comment, Request
from pipelines.job import Job
from pipelines.neutral import code, fenced
from pipelines.store import Store


@dataclass(frozen=True, slots=True)
class Rule:
    id: str
    text: str
    author: str
    where: str
    """URL of the request on which it was asked for."""
    thread: str
    """That it was asked for in, by repository and branch."""
    confirmed: str = ""
    """Who said that it holds; "" as long as nobody has."""
    by: str = ""
    """The comment in which they did."""
    at: float = 0.0
    """When it was asked for, in seconds since 1970; 0 where that was not kept."""

    @property
    def finding(self) -> Finding:
        return Finding("review", f"{self.text}\n\n{self.told}")

    @property
    def told(self) -> str:
        return (
            f"({self.author} asked for this of all changes of the job at {self.where}, {self.confirmed} confirmed it.)"
        )


def rules(job: Job, store: Store) -> list[Rule]:
    """Return all rules of the job, confirmed or not."""
    return [Rule(**one) for one in store.recall(f"rules {job.name}") or ()]


def propose(job: Job, store: Store, request: Request, comment: Comment, text: str, learns: bool) -> str:
    """Take in what somebody asks for; return what is to be answered."""
    who = job.merge_request.tend.maintainers
    if not text:
        return "Say what is to hold for all requests: `/umbau apply-to-all` and behind it, in the same line, what."
    if not learns:
        return "The job has no model that could be told."
    if not who:
        return "Nobody could confirm it: the job names no `merge_request.tend.maintainers`."
    place = _thread(request, comment)
    name = hashlib.sha256(f"{place} {comment.id} {text}".encode(errors="replace")).hexdigest()[:6]
    known = rules(job, store)
    if all(rule.id != name for rule in known):
        _remember(job, store, [*known, Rule(name, text, comment.author, request.url, place, at=time.time())])
    names = ", ".join(code(one) for one in who)
    return f"This becomes a rule of the job once one of {names} says `/umbau confirm {name}`:\n\n{fenced(text)}"


def confirm(job: Job, store: Store, request: Request, comment: Comment, text: str) -> str:
    """Let a rule hold if whoever says so may; return what is to be answered."""
    if comment.author not in job.merge_request.tend.maintainers:
        return "Only those whom the job names in `merge_request.tend.maintainers` can confirm a rule."
    known, by = rules(job, store), f"{_thread(request, comment)} {comment.id} {text}"
    here = [one for one in known if one.thread == _thread(request, comment) and not one.confirmed]
    named = [one for one in known if one.id == text.strip("`")] if text else here
    named = [one for one in known if one.by == by] or named  # killed before it was answered, it is answered again
    if len(named) != 1:
        waiting = ", ".join(f"`{one.id}`" for one in known if not one.confirmed) or "none"
        return f"Which rule? Say `/umbau confirm` and its name. Rules that wait: {waiting}."
    rule = named[0] if named[0].confirmed else replace(named[0], confirmed=comment.author, by=by)
    facts = {"rule": rule.id, "asked": rule.author, "confirmed": rule.confirmed, "at": rule.where}
    facts["text"] = hashlib.sha256(rule.text.encode(errors="replace")).hexdigest()
    store.audit.note(f"forge/{rule.confirmed}", "apply-to-all confirmed", job.name, facts, f"rule {job.name} {rule.id}")
    _remember(job, store, [rule if one.id == rule.id else one for one in known])
    return (
        f"Rule `{rule.id}` holds from now on, for open requests and for those to come. It was confirmed by "
        f"{code(rule.confirmed)}."
    )


def pending(job: Job, keys: Sequence[str], store: Store) -> list[Rule]:
    """Return the confirmed rules that are not held against all of these shards yet."""
    holding = [rule for rule in rules(job, store) if rule.confirmed]
    found = store.reopenings(keys) if holding and keys else {}
    causes = [{cause for cause, _ in found.get(key, ())} for key in keys]
    return [rule for rule in holding if not all(_cause(rule) in held for held in causes)]


def hold(rule: Rule, keys: Sequence[str], store: Store) -> list[str]:
    """Hold a rule against shards; return those that were opened again by that."""
    return store.reopen_all(keys, _cause(rule), rule.finding)


def _cause(rule: Rule) -> str:
    return f"rule {rule.id}"


def _thread(request: Request, comment: Comment) -> str:
    return f"{request.repo}/{request.branch} {comment.thread}"


def _remember(job: Job, store: Store, known: Sequence[Rule]) -> None:
    store.remember(f"rules {job.name}", [asdict(one) for one in known])
