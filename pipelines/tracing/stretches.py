"""What took which time, as a tree: a shard with its attempts, the questions to models and the checks in them.

Built by the driver from what outcomes say of their times, so that workers need no way out, and nothing that opens one.
Names, kinds and counts alone are told: no prompt, no reply, no output of a command, no message of a fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from operators.data import Completion, Outcome, Timed, Verdict
from pipelines.act import Tended
from pipelines.data import Task
from pipelines.metrics import provider
from pipelines.neutral import plain

Value = str | int | float | bool | Sequence[str]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which something was done."""

    name: str
    start: float
    """Seconds since 1970, by the clock of the machine on which it was done."""
    seconds: float
    tells: Mapping[str, Value] = field(default_factory=dict)
    within: tuple[Stretch, ...] = ()
    calls: bool = False
    """Another process was asked."""
    failed: bool = False


def trace_of(*parts: object) -> str:
    """Return the id of a trace, 32 hex digits: always the same for the same parts. A shard's parts are its key and how
    often it was opened again."""
    return sha256("\n".join(map(str, parts)).encode(errors="replace")).hexdigest()[:32]


def of_shard(job: str, task: Task, outcome: Outcome, now: float) -> tuple[str, Stretch]:
    """Return a shard's trace. `now`: when its outcome came, seconds since 1970; it stands where nobody began it."""
    tried = [one for one in outcome.verdicts[len(task.past) :] if one.start]
    tokens = replace(outcome, verdicts=tuple(tried)).tokens
    tells = {
        **_about(job, outcome.shard.repo),
        "umbau.shard.name": plain(outcome.shard.name),
        "umbau.shard.key": outcome.shard.key,
        "umbau.shard.go": task.go,
        "umbau.status": outcome.status,
        "umbau.attempts": len(tried),
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
    }
    attempts = tuple(_attempt(one, len(task.past) + number, "attempt") for number, one in enumerate(tried, 1))
    start, failed = outcome.start or now, outcome.status == "failed"
    return trace_of(outcome.shard.key, task.go), Stretch(
        "shard", start, outcome.seconds, tells, attempts, failed=failed
    )


def of_sum(job: str, branch: str, task: Task, outcome: Outcome, now: float) -> tuple[str, Stretch]:
    """Return the trace of a sum of edits that was judged for a merge request."""
    tells = {**_about(job, outcome.shard.repo), "umbau.branch": plain(branch), "umbau.status": outcome.status}
    checks = tuple(_check(one) for verdict in outcome.verdicts for one in verdict.timed)
    start, failed = outcome.start or now, outcome.status == "failed"
    return trace_of("sum", outcome.shard.key), Stretch("gather", start, outcome.seconds, tells, checks, failed=failed)


def of_request(job: str, done: Tended, now: float) -> tuple[str, Stretch]:
    """Return the trace of what was done about a merge request."""
    place = {"umbau.branch": plain(done.branch), "umbau.request.url": plain(done.url)}
    tells = {**_about(job, done.repo), **place, "umbau.action": done.action.verb}
    start = done.start or now
    trace = trace_of("tend", job, done.repo, done.branch, start)
    return trace, Stretch("tend", start, done.seconds, tells, failed=bool(done.trouble))


def _about(job: str, repo: str) -> dict[str, Value]:
    return {"umbau.job": job, "umbau.repo": plain(repo)}


def _attempt(verdict: Verdict, number: int, name: str) -> Stretch:
    parts = [_call(one) for one in verdict.edit.replies] + [_check(one) for one in verdict.timed]
    parts += [_attempt(one, at, "evidence") for at, one in enumerate(verdict.evidence, 1)]
    tells: dict[str, Value] = {
        "umbau.attempt": number,
        "umbau.passed": verdict.passed,
        "umbau.judges": tuple(dict.fromkeys(plain(one.judge) for one in verdict.findings)),
        "umbau.cached_replies": verdict.edit.cached,
    }
    return Stretch(name, verdict.start, verdict.seconds, tells, tuple(sorted(parts, key=lambda one: one.start)))


def _call(reply: Completion) -> Stretch:
    """By OpenTelemetry's semantic conventions 1.41.0."""
    host, _, port = reply.server.rpartition(":")
    server: dict[str, Value] = {"server.address": host or reply.server}
    if port.isdigit():
        server["server.port"] = int(port)
    tells: dict[str, Value] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider(reply),
        "gen_ai.request.model": reply.model,
        "gen_ai.usage.input_tokens": reply.tokens_in,
        "gen_ai.usage.output_tokens": reply.tokens_out,
        "gen_ai.response.finish_reasons": ("length" if reply.cut else "stop",),
        **(server if reply.server else {}),
    }
    return Stretch(f"chat {reply.model}", reply.start, reply.seconds, tells, calls=bool(reply.server))


def _check(timed: Timed) -> Stretch:
    tells: dict[str, Value] = {
        "umbau.check": timed.kind,
        "umbau.passed": not timed.findings,
        "umbau.findings": timed.findings,
        "umbau.share_seconds": timed.seconds,
    }
    return Stretch(f"check {timed.kind}", timed.start, timed.whole, tells)
