"""From what the YAML says to the operators and checks that do it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from operators import guard
from operators.chain import Chain
from operators.checks.api import Api
from operators.checks.command import Command
from operators.checks.complaints import Complaints
from operators.checks.gone import Gone
from operators.checks.honest import Honest
from operators.checks.idempotent import Idempotent
from operators.checks.inside import Inside
from operators.checks.keeps import Keeps
from operators.checks.original import Original
from operators.checks.parses import Parses
from operators.checks.rule import Rule
from operators.checks.scope import Scope
from operators.checks.secrets import Secrets
from operators.checks.tests import Tests
from operators.codemod import Codemod
from operators.data import Check, Model, Operator, Sharing, Skip, told
from operators.density import chosen
from operators.embedded import SHIPPED, SHIPPED_IN, Embedded, lacking
from operators.evidence import Evidence
from operators.model import Endpoint
from operators.piecewise import ASKING, Piecewise
from operators.rewrite import Rewrite
from operators.shell import Shell
from operators.veil import Rules
from pipelines import job as spec
from pipelines.asking import models_of
from pipelines.data import Recipe, digest
from pipelines.describe import rehearse
from pipelines.group import distinct
from pipelines.jobfile import BadJob, problem
from pipelines.masking import rules
from pipelines.reach import reachable
from pipelines.site import site, site_file
from pipelines.sources import sources


def recipe(job: spec.Job, file: Path) -> Recipe:
    """Build what the job asks for. Raises BadJob when a codemod or plugin is not there or refuses its settings."""
    home = str(file.resolve().parent)
    reachable(job, file)
    with _at(file, "merge_request", "branch"):
        distinct(job)
    with _at(file, "merge_request"):
        rehearse(job)
        if not job.merge_request.assisted_by and site().say_model:
            allows = f"only `say_model: false` in {site_file()} allows that"
            raise ValueError(f'`assisted_by: ""` leaves out that a model wrote parts: {allows}')
    steps: list[Operator] = []
    for number, step in enumerate(job.steps):
        with _at(file, "steps", number):
            steps.append(_step(step, job, home))
    still = Chain(tuple(step for step in steps if not (step.waits or isinstance(step, ASKING))))
    checks, final = (_checks(job, name, still, file) for name in ("checks", "final"))
    final = tuple(dict.fromkeys([*map(_whole, final), *(_whole(one) for one in checks if isinstance(one, Sharing))]))
    if not any(isinstance(check, Inside) for check in checks):
        checks = (_inside([], job), *checks)  # no job can do without
    secret = rules()
    checks = (Secrets(secret), *checks)
    learns = any(step.waits and not (isinstance(step, ASKING) and step.model and step.model.bare) for step in steps)
    reply, teachers = None, 0
    for said, built in zip(job.steps, steps, strict=True):
        if said.rewrite and isinstance(built, ASKING):
            reply, teachers = chosen(said.rewrite.reply, built.examples), said.rewrite.learn
    with _at(file, "checks"):
        evidence = _evidence(job, steps, home)
    _afford(job, steps, evidence, file)
    fingerprint = _fingerprint(job, home, steps, evidence, secret)
    operator = Chain(tuple(steps))
    return Recipe(operator, checks, final, job.attempts, fingerprint, learns, reply, teachers, evidence, secret)


def _afford(job: spec.Job, steps: Sequence[Operator], evidence: Evidence | None, file: Path) -> None:
    """Raise BadJob when the budget cannot be meant."""
    known = models_of(steps, evidence)  # a machine that submits jobs may know of none
    gpus = all(isinstance(model, Endpoint) and model.gpus > 0 for model in known)
    problems = [problem(file, ("budget", *place), why) for place, why in job.budget.nonsense(gpus)]
    if problems:
        raise BadJob(str(file), problems)


@contextmanager
def _at(file: Path, *loc: str | int) -> Iterator[None]:
    """Say at which place of the job file something is that cannot be built."""
    try:
        yield
    except (ValueError, Skip) as error:
        raise BadJob(str(file), [problem(file, loc, str(error))]) from None
    except guard.Broken as error:  # the job author's module cannot be imported
        raise BadJob(str(file), [problem(file, loc, str(error).partition("\n")[0])]) from None


def _checks(job: spec.Job, name: str, still: Operator, file: Path) -> tuple[Check, ...]:
    built: list[Check] = []
    for number, check in enumerate(getattr(job, name)):
        with _at(file, name, number):
            built.append(_check(check, job, still, str(file.resolve().parent)))
    return tuple(built)


def _step(step: spec.Step, job: spec.Job, home: str) -> Operator:
    if step.codemod:
        return _codemod(step.codemod, job, home)
    if step.rewrite:
        return _rewrite(step.rewrite, job, home)
    if step.shell:
        return Shell(step.shell.run, step.shell.timeout)
    plugin: Operator = _plugin(step.use, home, "propose", "waits")
    return plugin


def _codemod(step: spec.CodemodStep, job: spec.Job, home: str) -> Codemod:
    why = guard.call("transform:refused", name=step.name, arguments=step.arguments, home=home)
    if why:
        raise ValueError(f"codemod {step.name}: {why}")
    return Codemod(step.name, step.arguments, step.reach, job.select.contains, home)


def _rewrite(step: spec.RewriteStep, job: spec.Job, home: str) -> Rewrite | Piecewise:
    examples = step.examples
    if isinstance(examples, str):
        pairs = guard.call("transform:examples", name=examples, home=home)
    else:
        pairs = [(example.before, example.after) for example in examples]
    left = job.select.contains if step.left is None else step.left
    model, shown = _model(step.model, home), tuple(map(tuple, pairs))
    other = _model(step.fallback, home) if step.fallback else None
    protocol = chosen(step.reply, shown).protocol
    if protocol == "piece":
        if not left:
            raise ValueError("`reply: piece` asks for what a pattern finds: give `left`, or `select.contains`")
        free = [name.removesuffix("=") for check in job.checks if check.keeps for name in check.keeps.free]
        words = tuple(name for name in free if name.isidentifier())
        return Piecewise(step.prompt, model, shown, left, other, words, site().foreign_lines)
    teaches, share, foreign = step.learn > 0, site().share, site().foreign_lines
    return Rewrite(step.prompt, model, shown, protocol, left, other, teaches, share=share, foreign=foreign)


def _model(settings: spec.ModelSettings | None, home: str) -> Model | None:
    """Fill in from the environment what the job leaves out; None when no endpoint is known."""
    settings = settings or spec.ModelSettings()
    url = settings.url or os.environ.get("UMBAU_MODEL_URL", "")
    if settings.checkpoint or (settings.name == SHIPPED and not url):
        folder = str(Path(home, settings.checkpoint) if settings.checkpoint else SHIPPED_IN)
        if why := lacking(folder):
            raise ValueError(why)
        return Embedded(folder, settings.temperature, settings.max_tokens, settings.bare)
    if "?" in url or "@" in urlsplit(url).netloc:  # it is told in messages and logs
        raise ValueError("a model's url holds no user, password or query: the key goes into the variable of `key_from`")
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
        settings.context,
        settings.bare,
        settings.gpus or _gpus(os.environ.get("UMBAU_MODEL_GPUS", "")),
        hosted.revision if (hosted := site().models.get(name)) else "",
    )


def _gpus(given: str) -> float:
    """Read how many GPUs a model has. Raises ValueError."""
    if given and not given.isdecimal():
        raise ValueError(f"UMBAU_MODEL_GPUS is {given!r}, and no number of GPUs such as 8")
    return float(given or 0)


def _check(check: spec.Check, job: spec.Job, still: Operator, home: str) -> Check:
    if check.inside:
        return _inside(check.inside.allow, job)
    if check.parses:
        return Parses()
    if check.honest:
        if why := guard.call("honest:unknown", allow=check.honest.allow):
            raise ValueError(why)
        return Honest(tuple(check.honest.allow))
    if check.api:
        return Api(tuple(check.api.allow))
    if check.scope:
        scope = check.scope
        if why := guard.call("scope:unknown", nodes=scope.nodes):
            raise ValueError(why)
        return Scope(tuple(scope.nodes), tuple(scope.names), scope.statements, scope.imports)
    if check.keeps:
        return Keeps(tuple(check.keeps.free))
    if check.idempotent:
        return Idempotent(still)
    if check.original:
        return Original()
    if check.use:
        plugin: Check = _plugin(check.use, home, "judge", "local")
        return plugin
    return _proof(check)


def _inside(allow: Sequence[str], job: spec.Job) -> Inside:
    names = [glob.rpartition("/")[2] for glob in job.select.files]
    unseen = any(check.honest and "hidden" in check.honest.allow for check in job.checks)
    return Inside(tuple(allow), tuple(name for name in names if name and not set(name) & set("*?[")), unseen)


def _proof(check: spec.Check) -> Check:
    """Build a check of what an edit leads to, rather than of how it looks."""
    if check.gone:
        return Gone(tuple(check.gone.names), check.gone.pattern, check.gone.text)
    if check.rule:
        return Rule(check.rule.removeprefix("ruff:"))
    if check.complaints:
        return Complaints(check.complaints.run, check.complaints.timeout)
    if check.command:
        return Command(check.command.run, check.command.timeout)
    assert check.tests, "OneOf has checked that one key is there"
    least = 0.0 if check.tests.characterise else check.tests.covered  # else Evidence sees to it
    return Tests(check.tests.run, check.tests.timeout, least)


def _evidence(job: spec.Job, steps: Sequence[Operator], home: str) -> Evidence | None:
    """Build what is asked of a model where tests execute too little of an edit. Raises ValueError."""
    tests = next((check.tests for check in job.checks if check.tests and check.tests.characterise), None)
    if not (tests and tests.characterise):
        return None
    said = tests.characterise
    own = next((step.model for step in steps if isinstance(step, ASKING) and step.model), None)
    model = own if own and not said.model else _model(said.model, home)
    if model and model.bare:
        raise ValueError("`characterise` needs a model that can be told what to do: name one under characterise.model")
    return Evidence(tests.run, tests.timeout, tests.covered, model, said.attempts, said.keep)


def _whole(check: Check) -> Check:
    """Return what judges the sum of a merge request: not only the tests that can see it, but all."""
    return replace(check, full=True) if isinstance(check, Tests) else check


def _plugin(plugin: spec.Plugin | None, home: str, *needs: str) -> Any:
    """Build a class of the job author's own, which has what the protocol `needs`. Raises ValueError."""
    assert plugin, "OneOf has checked that one key is there"
    if home not in sys.path:
        sys.path.append(home)
    module, _, name = plugin.path.rpartition(".")
    try:
        built = getattr(import_module(module), name)(**plugin.settings)
    except Exception as error:  # somebody else's program: it can fail in any way
        raise ValueError(f"{plugin.path}: {told(error)}") from None
    missing = [need for need in needs if not hasattr(built, need)]
    if missing:
        raise ValueError(f"{plugin.path} has no {' and no '.join(missing)}: see operators/data.py")
    return built


def _fingerprint(job: spec.Job, home: str, steps: Sequence[Operator], evidence: Evidence | None, secret: Rules) -> str:
    """Digest what an outcome depends on besides the shard. Where the model is served, how many calls it takes at a
    time and how long one may last is not part of it: another endpoint of the same model does not redo the job."""
    rewrites = [step for step in steps if isinstance(step, ASKING)]
    models = [step.model and step.model.revision for step in rewrites]
    models += [step.fallback.revision for step in rewrites if step.fallback]
    said = job.model_dump(
        mode="json",
        include={"select": {"contains"}, **dict.fromkeys(("steps", "checks", "final", "environment", "sandbox"), True)},
        exclude={
            "steps": {"__all__": {"rewrite": {"model", "fallback"}}},
            **{key: {"__all__": {"tests": {"characterise"}}} for key in ("checks", "final")},
        },
    )
    model = evidence and evidence.model and evidence.model.revision
    more: list[Any] = [[evidence.attempts, evidence.keep, model, evidence.system()]] if evidence else []
    more += [["share", step.share] for step in steps if isinstance(step, Rewrite) and step.teaches]
    more += [["mask", secret.mask]] if secret.mask else []  # it numbers what stands hidden in outcomes
    versions = {name: version(name) for name in ("umbau", "libcst")}
    parts: list[spec.Step | spec.Check] = [*job.steps, *job.checks, *job.final]
    names = [step.codemod.name for step in job.steps if step.codemod] + [part.use.path for part in parts if part.use]
    own = {name: sources(name.rpartition(".")[0], home) for name in names}
    return digest([said, versions, [step.system() for step in rewrites], models, own, *more])
