"""What workers do with a task. Everything that runs repository code or parses it goes through here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from operators.chain import Chain, changed
from operators.checks.command import Command
from operators.checks.complaints import Complaints
from operators.checks.secrets import Secrets
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
from operators.metered import Meter, Metered
from operators.probe import proven
from operators.proc import git
from operators.refine import Judge, judged, refine, ruled
from operators.responses import Remembering
from operators.shell import Shell
from operators.stage import NoSandbox
from operators.veil import Rules, Veil, tellable, veil_of
from operators.veiled import Discreet, Veiled, hidden, shown
from operators.workspace import Workspace
from pipelines.asking import Through, asked_through, models
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
    meter: Meter | None = None
    """Asked before each call of a model; None: none counts, as in `umbau try`."""

    @property
    def models(self) -> tuple[Model, ...]:
        """Those that may be asked."""
        return models(self.recipe)

    def base(self, repo: str) -> Base:
        """Return the repository's base as this machine has it. Raises NotBuilt."""
        base = self.bases[repo]
        return self.environment.build(base) if self.environment else base


def kit_of(job: Job, recipe: Recipe, bases: Iterable[Base]) -> Kit:
    """Return what the tasks of a job share."""
    settings = job.environment
    environment = Environment(settings.python, tuple(settings.install)) if settings else None
    return Kit(recipe, environment, {base.repo: replace(base, sandbox=job.sandbox) for base in bases})


def runs_commands(kit: Kit) -> bool:
    """Say whether commands are run. What plugins run is not known before they do."""
    steps = kit.recipe.operator.steps if isinstance(kit.recipe.operator, Chain) else (kit.recipe.operator,)
    commands = [one for one in (*steps, *kit.recipe.checks, *kit.recipe.final) if isinstance(one, RUNNING)]
    return bool(commands or kit.environment)


def is_run(args: Iterable[Any]) -> bool:
    """Say whether a call with these arguments runs commands: those of a step or check that is among them."""
    found = chain.from_iterable(arg if isinstance(arg, list | tuple) else (arg,) for arg in args)
    return any(isinstance(one, RUNNING) for one in found)


def wants_sandbox(kit: Kit) -> bool:
    """Say whether commands are to run in a sandbox."""
    return runs_commands(kit) and any(base.sandbox != "none" for base in kit.bases.values())


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
    through it, on a core elsewhere. What comes in and goes out is hidden (operators.veiled)."""
    try:
        base = kit.base(task.shard.repo)
        veil = veil_of(base, task.shard, kit.recipe.rules)
        outcome = _worked(kit, base, replace(task, past=shown(task.past, veil)), veil, call, batches)
        return hidden(outcome, veil)
    except Exception as fault:
        return Outcome(task.shard, task.past, error=tellable(told(fault), kit.recipe.rules.masked))


def _worked(kit: Kit, base: Base, task: Task, veil: Veil, call: Call | None, batches: Batches | None) -> Outcome:
    ws = Workspace(base)
    if task.offered:
        return refine(ws, task.shard, _Offer(task.offered), _sum_judge(kit.recipe, task), attempts=1)
    recipe = asked_through(kit.recipe, _asked(kit, base, task.shard, veil))
    operator, judge, tried = recipe.operator, _judge(recipe.checks), judged
    if call:
        operator, judge = _elsewhere(operator, call), _judge_elsewhere(recipe.checks, call, batches or Batches(1))
        tried = partial(call, judged)
    if recipe.evidence:
        judge = _evidenced(judge, recipe.evidence, _kept(tried, recipe.rules))
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
    return changed(operator, lambda step: step if step.waits else _Elsewhere(step, call))


def _asked(kit: Kit, base: Base, shard: Shard, veil: Veil) -> Through:
    """Return what gives a model as a shard may ask it: told no secret, its replies are remembered, and what it costs is
    counted."""
    folder = str(Path(base.mirror).parents[1] / "responses")

    def through(model: Model) -> Model:
        known = Remembering(Discreet(model, kit.recipe.rules), folder)
        return Veiled(Metered(known, kit.meter, shard.repo, shard.key) if kit.meter else known, veil)

    return through


def _judge(checks: Sequence[Check]) -> Judge:
    return lambda ws, shard, edit: judged(ws, shard, edit, checks)


def _evidenced(judge: Judge, evidence: Evidence, tried: Judged) -> Judge:
    """Return what judges an edit and asks for evidence where it needs some: that waits for a model, so it is done
    here. `tried`: has a generated test judged."""
    return lambda ws, shard, edit: evidenced(ws, shard, judge(ws, shard, edit), evidence, tried)


def _kept(tried: Judged, rules: Rules) -> Judged:
    """Return what has a generated test judged, which holds no secret either."""
    return lambda ws, shard, test, checks: tried(ws, shard, test, [Secrets(rules), *checks])


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
                    found,
                    proof=(*verdict.proof, *found.proof),
                    covered=(*verdict.covered, *found.covered),
                    times={**verdict.times, **found.times},
                    timed=(*verdict.timed, *found.timed),
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
        proof = (*alone.proof, *(whole.proof if alone.passed else ()))
        times, timed = {**alone.times, **whole.times}, (*alone.timed, *whole.timed)
        return Verdict(edit, whole.findings, proof, whole.covered, times=times, timed=timed)

    return judge
