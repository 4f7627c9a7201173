"""From what the YAML says to the operators and checks that do it."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from operators import guard
from operators.chain import Chain
from operators.checks.command import Command
from operators.checks.idempotent import Idempotent
from operators.checks.inside import Inside
from operators.checks.parses import Parses
from operators.checks.scope import Scope
from operators.checks.tests import Tests
from operators.codemod import Codemod
from operators.data import Check, Operator, Skip
from operators.model import Endpoint
from operators.rewrite import Rewrite
from operators.shell import Shell
from pipelines import job as spec
from pipelines.data import Recipe, digest
from pipelines.describe import wording
from pipelines.group import branch
from pipelines.jobfile import BadJob, Problem


def recipe(job: spec.Job, file: Path) -> Recipe:
    """Build what the job asks for. Raises BadJob when a codemod or plugin is not there or refuses its settings."""
    home = str(file.resolve().parent)
    try:
        branch(job, "any")
        wording(job, group="any", repo="any", files=[])
        steps = tuple(_step(step, job, home) for step in job.steps)
        chain = Chain(steps)
        still = Chain(tuple(step for step in steps if not step.waits))
        checks = tuple(_check(check, still, home) for check in job.checks)
        final = tuple(_check(check, still, home) for check in job.final)
    except (ValueError, Skip) as error:
        raise BadJob(str(file), [Problem(str(error))]) from None
    if not any(isinstance(check, Inside) for check in checks):
        checks = (Inside(), *checks)  # no job can do without
    said = job.model_dump(mode="json", include={"steps", "checks", "final", "environment"})
    versions = {name: version(name) for name in ("umbau", "libcst")}
    prompts = [step.system() for step in steps if isinstance(step, Rewrite)]
    models = [str(step.model) for step in steps if isinstance(step, Rewrite)]
    return Recipe(chain, checks, final, job.attempts, digest([said, versions, prompts, models, _sources(job, home)]))


def _step(step: spec.Step, job: spec.Job, home: str) -> Operator:
    if step.codemod:
        return _codemod(step.codemod, job, home)
    if step.rewrite:
        return _rewrite(step.rewrite, job, home)
    if step.shell:
        return Shell(step.shell.run, step.shell.timeout)
    plugin: Operator = _plugin(step.use, home)
    return plugin


def _codemod(step: spec.CodemodStep, job: spec.Job, home: str) -> Codemod:
    why = guard.call("transform:refused", name=step.name, arguments=step.arguments, home=home)
    if why:
        raise ValueError(f"codemod {step.name}: {why}")
    return Codemod(step.name, step.arguments, step.reach, job.select.contains, home)


def _rewrite(step: spec.RewriteStep, job: spec.Job, home: str) -> Rewrite:
    examples = step.examples
    if isinstance(examples, str):
        pairs = guard.call("transform:examples", name=examples, home=home)
    else:
        pairs = [(example.before, example.after) for example in examples]
    left = job.select.contains if step.left is None else step.left
    return Rewrite(step.prompt, _model(step.model), tuple(map(tuple, pairs)), step.reply, left)


def _model(settings: spec.ModelSettings | None) -> Endpoint | None:
    """Fill in from the environment what the job leaves out; None when no endpoint is known."""
    settings = settings or spec.ModelSettings()
    url = settings.url or os.environ.get("UMBAU_MODEL_URL", "")
    name = settings.name or os.environ.get("UMBAU_MODEL", "")
    if not url or not name:
        return None
    return Endpoint(
        url,
        name,
        settings.key_from,
        settings.temperature,
        settings.max_tokens,
        settings.timeout,
        settings.concurrency,
    )


def _check(check: spec.Check, still: Operator, home: str) -> Check:
    if check.inside:
        return Inside(tuple(check.inside.allow))
    if check.parses:
        return Parses()
    if check.scope:
        scope = check.scope
        return Scope(tuple(scope.nodes), tuple(scope.names), scope.statements, scope.imports)
    if check.idempotent:
        return Idempotent(still)
    if check.command:
        return Command(check.command.run, check.command.timeout)
    if check.tests:
        return Tests(check.tests.run, check.tests.timeout)
    plugin: Check = _plugin(check.use, home)
    return plugin


def _plugin(plugin: spec.Plugin | None, home: str) -> Any:
    """Build a class of the job author's own. Raises ValueError."""
    assert plugin, "OneOf has checked that one key is there"
    if home not in sys.path:
        sys.path.append(home)
    module, _, name = plugin.path.rpartition(".")
    try:
        return getattr(import_module(module), name)(**plugin.settings)
    except (ImportError, AttributeError, TypeError) as error:
        raise ValueError(f"{plugin.path}: {error}") from None


def _sources(job: spec.Job, home: str) -> Mapping[str, str]:
    """Return the digest of each codemod's and plugin's source, so that an edited one is run again."""
    names = [step.codemod.name for step in job.steps if step.codemod]
    parts: list[spec.Step | spec.Check] = [*job.steps, *job.checks, *job.final]
    names += [part.use.path for part in parts if part.use]
    return {name: digest(_source(name.rpartition(".")[0], home)) for name in names}


def _source(module: str, home: str) -> str:
    """Return the text of a module without importing it; "" when it is none of the job author's or ours."""
    ours = Path(inspect.getfile(Chain)).parent
    for folder in (Path(home), ours.parent, ours / "codemods"):
        file = Path(folder, *module.split(".")).with_suffix(".py")
        if file.is_file():
            return file.read_text(errors="replace")
    return ""
