"""What workers do with a task. Everything that runs repository code or parses it goes through here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from operators.chain import Chain
from operators.checks.command import Command
from operators.checks.complaints import Complaints
from operators.checks.tests import Tests
from operators.data import (
    Base,
    Baselined,
    Check,
    Edit,
    Model,
    Operator,
    Outcome,
    Postcondition,
    Shard,
    Sharing,
    Verdict,
    told,
)
from operators.environment import Environment
from operators.evidence import Evidence, Judged, evidenced, summed
from operators.piecewise import ASKING
from operators.probe import proven
from operators.proc import git
from operators.refine import Judge, judged, refine, ruled
from operators.responses import Remembering
from operators.shell import Shell
from operators.stage import NoSandbox
from operators.workspace import Workspace
from pipelines.batches import Batches
from pipelines.data import Recipe, Task, digest
from pipelines.job import Job

FACTS = 2  # counts up when what is noted of an untouched commit changes
RUNNING = (Shell, Command, Complaints, Tests)
Call = Callable[..., Any]
"""`call(function, ws, *args)` calls the function on a core elsewhere, with its own view of the same workspace, and
returns what it gives."""


@dataclass(frozen=True, slots=True)
class Kit:
    """What all tasks of a run share; sent to each worker once."""

    recipe: Recipe
    environment: Environment | None = None
    bases: Mapping[str, Base] = field(default_factory=dict)
    """By repository."""

    @property
    def models(self) -> tuple[Model, ...]:
        """Those that may be asked."""
        steps = self.recipe.operator.steps if isinstance(self.recipe.operator, Chain) else ()
        found = [model for step in steps if isinstance(step, ASKING) for model in (step.model, step.fallback)]
        found += [self.recipe.evidence.model] if self.recipe.evidence else []
        return tuple(model for model in found if model)

    def base(self, repo: str) -> Base:
        """Return the repository's base as this machine has it. Raises NotBuilt."""
        base = self.bases[repo]
        return self.environment.build(base) if self.environment else base


def kit_of(job: Job, recipe: Recipe, bases: Iterable[Base]) -> Kit:
    """Return what the tasks of a job share."""
    settings = job.environment
    environment = Environment(settings.python, tuple(settings.install)) if settings else None
    return Kit(recipe, environment, {base.repo: replace(base, sandbox=job.sandbox) for base in bases})


def wants_sandbox(kit: Kit) -> bool:
    """Say whether commands are to run in a sandbox. What plugins run is not known before they do."""
    steps = kit.recipe.operator.steps if isinstance(kit.recipe.operator, Chain) else (kit.recipe.operator,)
    commands = [one for one in (*steps, *kit.recipe.checks, *kit.recipe.final) if isinstance(one, RUNNING)]
    return bool(commands or kit.environment) and any(base.sandbox != "none" for base in kit.bases.values())


def without_sandbox() -> str:
    """Say why nothing can be run in a sandbox here, "" if it can."""
    try:
        proven()
    except NoSandbox as why:
        return str(why)
    return ""


def needs_preparing(kit: Kit) -> bool:
    """Say whether there is anything to build or to look at before the first edit."""
    return bool(kit.environment) or any(_baselines(kit.recipe))


def prepare(kit: Kit, repo: str) -> dict[str, Any]:
    """Build the repository's environment and look at the untouched commit, before anything is tried on it.

    Returns what each check saw, for Base.facts. Raises NotBuilt, BaseBroken, NoCommand, NoSandbox, TooLarge, GitError.
    """
    ws = Workspace(kit.base(repo))
    return {check.fact: check.baseline(ws) for check in _baselines(kit.recipe)}


def facts_name(kit: Kit, base: Base) -> str:
    """Return what the facts of a repository are kept by: its files, what tests them, and in what."""
    tree = git(Path(base.mirror), "rev-parse", f"{base.commit}^{{tree}}").decode().strip()
    commands = [[type(check).__name__, check.fact] for check in _baselines(kit.recipe)]
    environment = kit.environment and [kit.environment.python, kit.environment.install]
    return digest(["facts", version("umbau"), FACTS, tree, commands, environment, base.sandbox])


def _baselines(recipe: Recipe) -> list[Baselined]:
    """Return the checks that look at the untouched commit, one for each thing to be seen."""
    found = [check for check in (*recipe.checks, *recipe.final) if isinstance(check, Baselined)]
    return [*{check.fact: check for check in found}.values()]


def shares(recipe: Recipe) -> bool:
    """Say whether shards can be judged together, if they are done at the same time."""
    return any(isinstance(check, Sharing) for check in recipe.checks)


def work(kit: Kit, task: Task, call: Call | None = None, batches: Batches | None = None) -> Outcome:
    """Do a task. Never raises. With `call`, all but waiting for the model, and for the others of a batch, is done
    through it, on a core elsewhere."""
    try:
        base = kit.base(task.shard.repo)
    except Exception as fault:
        return Outcome(task.shard, task.past, error=told(fault))
    ws, recipe = Workspace(base), kit.recipe
    if task.offered:
        return refine(ws, task.shard, _Offer(task.offered), _sum_judge(recipe, task), attempts=1)
    folder = str(Path(base.mirror).parents[1] / "responses")
    operator, judge, tried = _remembering(recipe.operator, folder), _judge(recipe.checks), judged
    if call:
        operator, judge = _elsewhere(operator, call), _judge_elsewhere(recipe.checks, call, batches or Batches(1))
        tried = partial(call, judged)
    if recipe.evidence:
        judge = _evidenced(judge, recipe.evidence, folder, tried)
    shard = replace(task.shard, go=task.go)
    outcome = refine(ws, shard, operator, judge, attempts=recipe.attempts, past=task.past)
    return replace(outcome, shard=task.shard)


@dataclass(frozen=True, slots=True)
class _Offer:
    """Proposes one edit, once."""

    edit: Edit
    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        return None if past else self.edit


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """A step that is carried out through `call`."""

    step: Operator
    call: Call
    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        edit: Edit | None = self.call(_propose, ws, self.step, shard, past)
        return edit


def _propose(ws: Workspace, step: Operator, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
    return step.propose(ws, shard, past)


def _elsewhere(operator: Operator, call: Call) -> Operator:
    if isinstance(operator, Chain):
        return Chain(tuple(_elsewhere(step, call) for step in operator.steps))
    return operator if operator.waits else _Elsewhere(operator, call)


def _remembering(operator: Operator, folder: str) -> Operator:
    if isinstance(operator, Chain):
        return Chain(tuple(_remembering(step, folder) for step in operator.steps))
    if isinstance(operator, ASKING) and operator.model:
        other = operator.fallback and Remembering(operator.fallback, folder)
        return replace(operator, model=Remembering(operator.model, folder), fallback=other)
    return operator


def _judge(checks: Sequence[Check]) -> Judge:
    return lambda ws, shard, edit: judged(ws, shard, edit, checks)


def _evidenced(judge: Judge, evidence: Evidence, folder: str, tried: Judged) -> Judge:
    """Return what judges an edit and asks for evidence where it needs some: that waits for a model, so it is done
    here. `tried`: has a generated test judged."""
    own = replace(evidence, model=evidence.model and Remembering(evidence.model, folder))
    return lambda ws, shard, edit: evidenced(ws, shard, judge(ws, shard, edit), own, tried)


def _judge_elsewhere(checks: Sequence[Check], call: Call, batches: Batches) -> Judge:
    def judge(ws: Workspace, shard: Shard, edit: Edit) -> Verdict:
        if edit.trouble or not edit.files:
            found: Verdict = call(judged, ws, shard, edit, [one for one in checks if isinstance(one, Postcondition)])
            return found
        verdict = Verdict(edit)
        for check, group in _grouped(checks):
            if check:
                verdict = ruled(verdict, batches.judge(check, ws, shard, edit, call))
            else:
                found = call(judged, ws, shard, edit, group)
                verdict = replace(
                    found, proof=(*verdict.proof, *found.proof), covered=(*verdict.covered, *found.covered)
                )
            if not verdict.passed:
                break
        return verdict

    return judge


def _grouped(checks: Sequence[Check]) -> Iterator[tuple[Sharing | None, tuple[Check, ...]]]:
    """Yield each check that batches share, and between them those that a shard is judged by alone, in order."""
    alone: list[Check] = []
    for check in checks:
        if not isinstance(check, Sharing):
            alone.append(check)
            continue
        if alone:
            yield None, tuple(alone)
            alone = []
        yield check, ()
    if alone:
        yield None, tuple(alone)


def _sum_judge(recipe: Recipe, task: Task) -> Judge:
    """Judge a sum: what depends on a file alone was judged with the shard, unless several made the file."""
    beyond = [check for check in recipe.checks if not (check.local or isinstance(check, Sharing))]
    beyond += [check for check in recipe.final if check not in beyond]

    def judge(ws: Workspace, shard: Shard, edit: Edit) -> Verdict:
        merged = Edit({path: edit.files[path] for path in task.merged})
        own = replace(shard, paths=task.merged, spans=tuple(span for span in shard.spans if span.path in task.merged))
        alone = judged(ws, own, merged, [check for check in recipe.checks if check.local])
        whole = judged(ws, shard, edit, beyond) if alone.passed else alone
        if recipe.evidence:
            whole = summed(ws, whole, recipe.evidence, task.evidence)
        return Verdict(edit, whole.findings, (*alone.proof, *(whole.proof if alone.passed else ())), whole.covered)

    return judge
