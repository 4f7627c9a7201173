"""What workers do with a task. Everything that runs repository code or parses it goes through here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from operators.chain import Chain
from operators.data import Base, Baselined, Check, Edit, Model, Operator, Outcome, Shard, Verdict, told
from operators.environment import Environment
from operators.piecewise import ASKING
from operators.refine import Judge, judged, refine
from operators.responses import Remembering
from operators.workspace import Workspace
from pipelines.data import Recipe, Task

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
        return tuple(model for model in found if model)

    def base(self, repo: str) -> Base:
        """Return the repository's base as this machine has it. Raises NotBuilt."""
        base = self.bases[repo]
        return self.environment.build(base) if self.environment else base


def needs_preparing(kit: Kit) -> bool:
    """Say whether there is anything to build or to look at before the first edit."""
    return bool(kit.environment) or any(_baselines(kit.recipe))


def prepare(kit: Kit, repo: str) -> dict[str, Any]:
    """Build the repository's environment and look at the untouched commit, before anything is tried on it.

    Returns what each check saw, for Base.facts. Raises NotBuilt, BaseBroken, NoCommand, TooLarge, GitError.
    """
    ws = Workspace(kit.base(repo))
    return {check.fact: check.baseline(ws) for check in _baselines(kit.recipe)}


def _baselines(recipe: Recipe) -> list[Baselined]:
    found = [check for check in (*recipe.checks, *recipe.final) if isinstance(check, Baselined)]
    return [check for number, check in enumerate(found) if check not in found[:number]]


def work(kit: Kit, task: Task, call: Call | None = None) -> Outcome:
    """Do a task. Never raises. With `call`, all but waiting for the model is done through it, on a core elsewhere."""
    try:
        base = kit.base(task.shard.repo)
    except Exception as fault:
        return Outcome(task.shard, task.past, error=told(fault))
    ws, recipe = Workspace(base), kit.recipe
    if task.offered:
        return refine(ws, task.shard, _Offer(task.offered), _sum_judge(recipe, task), attempts=1)
    operator = _remembering(recipe.operator, str(Path(base.mirror).parents[1] / "responses"))
    judge = _judge(recipe.checks)
    if call:
        operator, judge = _elsewhere(operator, call), _judge_elsewhere(recipe.checks, call)
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


def _judge_elsewhere(checks: Sequence[Check], call: Call) -> Judge:
    def judge(ws: Workspace, shard: Shard, edit: Edit) -> Verdict:
        verdict: Verdict = call(judged, ws, shard, edit, checks)
        return verdict

    return judge


def _sum_judge(recipe: Recipe, task: Task) -> Judge:
    """Judge a sum: what depends on a file alone was judged with the shard, unless several made the file."""
    beyond = [check for check in recipe.checks if not check.local]
    beyond += [check for check in recipe.final if check not in beyond]

    def judge(ws: Workspace, shard: Shard, edit: Edit) -> Verdict:
        merged = Edit({path: edit.files[path] for path in task.merged})
        own = replace(shard, paths=task.merged, spans=tuple(span for span in shard.spans if span.path in task.merged))
        alone = judged(ws, own, merged, [check for check in recipe.checks if check.local])
        whole = judged(ws, shard, edit, beyond) if alone.passed else alone
        return Verdict(edit, whole.findings, (*alone.proof, *(whole.proof if alone.passed else ())))

    return judge
