"""What the command line prints: plans, outcomes, standings; as text and as JSON."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter

from operators import foreign
from operators.data import Edit, Finding, Outcome, Verdict
from operators.source import split
from operators.workspace import Workspace
from pipelines.budget.words import Used, used_text
from pipelines.data import Plan
from pipelines.gather import Gathered
from pipelines.progress import STATUSES, Progress
from pipelines.remaining import Remaining
from pipelines.tend import Tended
from pipelines.view import WIDEST, shown, view

LISTED = 12  # files or shards of a kind that are named; --json has all
DONE = {
    **{"push": " pushed", "open": " opened", "repair": " under repair", "retry": " done anew", "rebase": " rebased"},
    **{"merge": " merged", "close": " closed", "reopen": " reopened"},
    **{"remind": " reminded of", "ask": " with one more reviewer", "wait": ""},
}
_ANY: TypeAdapter[Any] = TypeAdapter(Any)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a job stands."""

    counts: Mapping[str, int]
    """Shards by status; `waiting` have no outcome yet."""
    failures: Mapping[str, Sequence[str]]
    """What is wrong, in its first line, to the shards that it is wrong with; the rejected ones by judge."""
    requests: Sequence[Tended] = ()
    dropped: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What is held against the sum with them, in its first line, to accepted shards that are left out of it."""
    trouble: Mapping[str, str] = field(default_factory=dict)
    """Repository, or repository and branch, to what stopped it."""
    files_left_out: Mapping[str, int] = field(default_factory=dict)
    """By reason; `umbau plan` names them."""
    notes: Sequence[str] = ()
    overview: str = ""
    """Where a person sees all merge requests."""
    paused: str = ""
    """Why this run left shards for another one, in words."""
    tokens: tuple[int, int] = (0, 0)
    """Read and written by the model for these outcomes."""
    cached: int = 0
    """Replies that were known from before and cost none."""
    remaining: Remaining | None = None
    """What is left in the code bases, as far as it is known."""
    progress: Progress | None = None
    """What the last driver told of itself last."""
    spent: Sequence[Used] = ()
    """On the job so far, with its limits; also where no outcome came of it."""

    @property
    def code(self) -> int:
        """The exit code: 2 when something failed or the model is gone, 1 when something was rejected."""
        if self.counts.get("failed") or self.trouble or self.paused or any(done.trouble for done in self.requests):
            return 2
        return 1 if self.counts.get("rejected") or self.dropped else 0


def standing(
    plan: Plan,
    outcomes: Callable[[Sequence[str]], Mapping[str, Sequence[Outcome]]],
    gathered: Gathered,
    tended: Sequence[Tended] = (),
    trouble: Mapping[str, str] = MappingProxyType({}),
    overview: str = "",
    paused: str = "",
) -> Standing:
    """Count what the store and the forge say of a plan. `outcomes` gives those of some shards by key, in their order.
    `trouble`: repository to why nothing of it could be judged."""
    counts: Counter[str] = Counter()
    failures: dict[str, list[tuple[str, str]]] = defaultdict(list)
    read = written = cached = 0
    for _, shards in plan.planned.by_repo():
        known = outcomes([one.shard.key for one in shards])
        for one in shards:
            if one.shard.key not in known:
                counts["waiting"] += 1
                continue
            latest = known[one.shard.key][-1]
            counts[latest.status] += 1
            tokens = latest.tokens
            read, written, cached = read + tokens[0], written + tokens[1], cached + latest.cached
            if latest.status in {"rejected", "failed", "skipped"}:
                why = reason(latest)
                kind = latest.verdicts[-1].findings[0].judge if latest.status == "rejected" else why
                failures[f"{latest.status}: {kind}"].append((one.shard.name, why))
    dropped: dict[str, list[str]] = defaultdict(list)
    for culprit in gathered.dropped:
        dropped[_finding(culprit.findings[0])].append(culprit.part.shard.name)
    trouble = {**plan.trouble, **trouble, **{" ".join(place): why for place, why in gathered.trouble.items()}}
    files = Counter(left_out.reason for left_out in plan.left_out)
    waiting = counted(len(gathered.waiting), "sum of edits waits", "sums of edits wait")
    notes = (*plan.notes, *([f"{waiting} to be judged: umbau run"] if gathered.waiting else ()))
    told = {_kind(kind, [why for _, why in found]): [name for name, _ in found] for kind, found in failures.items()}
    return Standing(counts, told, tended, dropped, trouble, files, notes, overview, paused, (read, written), cached)


def _kind(kind: str, reasons: Sequence[str]) -> str:
    """Name a kind of fault: by its reason where that is the same for all, otherwise with the first one's."""
    status = kind.partition(":")[0]
    return f"{status}: {reasons[0]}" if len(set(reasons)) == 1 else f"{kind}, such as {reasons[0].partition(': ')[2]}"


def reason(outcome: Outcome) -> str:
    """Say in one line why an outcome is not an accepted one."""
    if outcome.error or outcome.skipped:
        return _first(outcome.error or outcome.skipped)
    return _finding(outcome.verdicts[-1].findings[0])


def _finding(finding: Finding) -> str:
    return f"{finding.judge}: {_first(finding.message)}"


def plan_text(plan: Plan, *, all_files: bool) -> Iterator[str]:
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in plan.planned:
        groups[one.shard.repo, one.branch].append(one.shard.name)
    away = {one.repo for one in plan.left_out if not one.path}
    yield (
        counted(sum(repo.name not in away for repo in plan.repos), "repository", "repositories")
        + ", "
        + ", ".join(
            [
                counted(len(plan.planned), "shard"),
                counted(len(groups), "merge request"),
                f"{len(plan.left_out)} left out",
            ]
        )
    )
    for (repo, branch), names in groups.items():
        yield f"\n{repo}  {branch}  ({counted(len(names), 'shard')})"
        yield from (f"  {name}" for name in _some(names, all_files))
    if plan.left_out:
        yield "\nleft out"
        for why, files in _by_reason(plan).items():
            yield f"  {why} ({len(files)})"
            yield from (f"    {file}" for file in _some(files, all_files))
    yield from (f"\n{note}" for note in plan.notes)
    yield from (f"\n{repo}: {why}" for repo, why in plan.trouble.items())


def standing_text(standing: Standing) -> Iterator[str]:
    if standing.progress and standing.progress.stage:
        yield from shown(view(standing.progress, max(0.0, time.time() - standing.progress.at), "", WIDEST))
        yield ""
    told = [f"{standing.counts[status]} {status}" for status in (*STATUSES, "waiting") if standing.counts.get(status)]
    yield f"shards   {', '.join(told) or 'none'}"
    if any(standing.tokens) or standing.cached:
        yield f"model    {_spent(standing.tokens, standing.cached)}"
    if standing.spent:
        yield f"spent    {used_text(standing.spent)}"
    if standing.remaining:
        yield f"remaining {standing.remaining}"
    if standing.files_left_out:
        yield "left out " + ", ".join(f"{count} {why}" for why, count in standing.files_left_out.items())
    yield from (f"\n{note}" for note in standing.notes)
    dropped = {f"left out of its merge request: {why}": names for why, names in standing.dropped.items()}
    for why, names in sorted({**standing.failures, **dropped}.items(), key=lambda item: -len(item[1])):
        yield f"\n{why} ({len(names)})"
        yield from (f"  {name}" for name in _some(names, False))
    yield from _requests_text(standing)
    yield from (f"\n{place}: {why}" for place, why in standing.trouble.items())
    if standing.paused:
        yield f"\n{standing.paused}"


def _requests_text(standing: Standing) -> Iterator[str]:
    groups: dict[str, list[str]] = defaultdict(list)
    for done in standing.requests:
        if done.action.why == "nothing to propose":
            continue
        lines = [f"{done.repo}  {done.title or done.branch}".rstrip(), _near(done.url), _first(done.trouble)]
        said = f"could not {done.action.verb}" if done.trouble else f"merge requests{DONE[done.action.verb]}"
        what = f"{said}: {done.action.why}"
        if done.trouble and done.action.verb == "wait":  # often the same for all
            what = f"not looked after: {lines.pop()}"
        groups[what].append("\n    ".join(filter(None, lines)))
    for what, requests in groups.items():
        yield f"\n{what} ({len(requests)})"
        yield from (f"  {request}" for request in _some(requests, False))
    if groups and standing.overview:
        yield f"\nall merge requests: {_near(standing.overview)}"


def outcome_text(outcome: Outcome, ws: Workspace) -> Iterator[str]:
    """Yield every attempt: what the model said, what it changed, what was found."""
    spent = f", {_spent(outcome.tokens, outcome.cached)}" if any(outcome.tokens) or outcome.cached else ""
    yield f"{outcome.shard.repo}  {outcome.shard.name}  {outcome.shard.key[:12]}"
    yield f"{outcome.status} after {counted(len(outcome.verdicts), 'attempt')}, {outcome.seconds:.1f} s{spent}"
    for number, verdict in enumerate(outcome.verdicts, 1):
        yield f"\n--- attempt {number} ---"
        if verdict.edit.said:
            yield f"the model said:\n{verdict.edit.said.rstrip()}\n"
        yield from (f"note: {note}" for note in verdict.edit.notes)
        yield from (f"look at {foreign.told(passage)}" for passage in verdict.edit.foreign)
        yield from diff(ws, verdict.edit)
        for finding in verdict.findings:
            yield f"\n{finding.judge}{f' ({finding.place})' if finding.place else ''}: {finding.message}"
        yield from (f"passed   {proof}" for proof in verdict.proof)
        yield from _evidence(verdict)
    if outcome.error or outcome.skipped:
        yield f"\n{outcome.error or outcome.skipped}"
    if outcome.status == "unchanged":
        yield "\nThere is nothing to change here."


def _evidence(verdict: Verdict) -> Iterator[str]:
    """Yield the attempts at a test of what the code did before."""
    for number, tried in enumerate(verdict.evidence, 1):
        yield f"\n--- generated test, attempt {number}{': it counts' if tried.passed else ''} ---"
        for path, text in tried.edit.files.items():
            yield f"{path}:\n{(text or '').rstrip()}"
        if not tried.edit.files:
            yield f"the model said:\n{tried.edit.said.rstrip()}"
        yield from (f"\n{finding.judge}: {finding.message}" for finding in tried.findings)


def diff(ws: Workspace, edit: Edit) -> Iterator[str]:
    """Yield the lines of a unified diff against the base."""
    for path, text in edit.files.items():
        before, after = split(ws.base_text(path) or ""), split(text or "")
        for line in unified_diff(before, after, f"a/{path}", f"b/{path}" if text is not None else "/dev/null"):
            yield line.rstrip("\r\n")


def as_plain(value: Any) -> Any:
    """Return dataclasses, pydantic models and what they hold as what JSON can hold."""
    return _ANY.dump_python(value, mode="json", fallback=tuple)


def as_json(value: Any) -> str:
    """Return dataclasses, pydantic models and what they hold as JSON."""
    return _ANY.dump_json(value, indent=2, fallback=tuple).decode()


def _by_reason(plan: Plan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for left_out in plan.left_out:
        found[left_out.reason].append(": ".join(filter(None, (left_out.repo, left_out.path))))
    return found


def _some(names: Sequence[str], all_of_them: bool) -> Iterable[str]:
    if all_of_them or len(names) <= LISTED:
        return names
    return [*names[:LISTED], f"... and {len(names) - LISTED} more"]


def counted(number: int, one: str, many: str = "") -> str:
    """Return `3 shards`, `1 repository`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def _spent(tokens: tuple[int, int], cached: int) -> str:
    known = f", {counted(cached, 'reply', 'replies')} known from before" if cached else ""
    return f"{tokens[0]} tokens read and {tokens[1]} written{known}"


def _near(url: str) -> str:
    """Return a path as it is seen from here; a URL stays as it is."""
    path = Path(url)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else url


def _first(text: str) -> str:
    return text.strip().partition("\n")[0]
