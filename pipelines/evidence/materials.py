"""What a change was made with and from: the steps of a job, and what they depend on."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from operators.chain import Chain
from operators.data import Check, Model, Operator
from operators.embedded import Embedded, weights
from operators.model import Endpoint
from operators.piecewise import ASKING
from pipelines.asking import models, models_of
from pipelines.data import Recipe, Repo, digest
from pipelines.evidence.tree import Descriptor
from pipelines.job import Check as CheckSpec
from pipelines.job import Job, Step
from pipelines.sources import sources

UNKNOWN = "unknown"


def hashed(text: str) -> dict[str, str]:
    return {"sha256": sha256(text.encode(errors="surrogatepass")).hexdigest()}


def steps(job: Job, recipe: Recipe, home: str) -> list[dict[str, Any]]:
    """Return what each step of the job is, by digests. `home`: folder of the job file."""
    built: Sequence[Operator] = recipe.operator.steps if isinstance(recipe.operator, Chain) else ()
    return [_step(step, one, home) for step, one in zip(job.steps, built, strict=True)]


def _step(step: Step, built: Operator, home: str) -> dict[str, Any]:
    settings = {"settings": {"sha256": digest(step.model_dump(mode="json"))}}
    if step.codemod:
        return {"operator": "codemod", "name": step.codemod.name, **settings}
    if step.shell:
        return {"operator": "shell", "command": hashed(step.shell.run), **settings}
    if isinstance(built, ASKING) and step.rewrite:
        return {
            "operator": type(built).__name__.lower(),
            "prompt": hashed(step.rewrite.prompt),
            "system": hashed(built.system()),
            "models": [model.revision for model in models_of([built], None)],
            **settings,
        }
    return {"operator": "plugin", "name": step.use.path if step.use else UNKNOWN, **settings}


def checks(checks: Sequence[Check]) -> list[str]:
    return [type(check).__name__.lower() for check in checks]


def dependencies(job: Job, recipe: Recipe, repo: Repo, home: str, served: Mapping[str, set[str]]) -> list[Descriptor]:
    """Return what a change depends on. `served`: what servers said of the models that answered, by revision."""
    return [
        {"name": repo.name, "uri": _uri(repo), "digest": {"gitCommit": repo.commit}},
        *(_model(model, served.get(model.revision, set())) for model in models(recipe)),
        *_sources(job, home),
        *({"name": name, "uri": f"pkg:pypi/{name}@{version(name)}"} for name in ("umbau", "libcst")),
    ]


def versions() -> dict[str, str]:
    """Return what ran where the statement was made."""
    return {"umbau": version("umbau"), "libcst": version("libcst"), "python": platform.python_version()}


def _uri(repo: Repo) -> str:
    source = repo.source
    if "://" not in source:
        return f"git+file://{source}" if source.startswith("/") else f"pkg:generic/{source or repo.name}"
    parts = urlsplit(source)
    return f"git+{parts._replace(netloc=parts.netloc.rpartition('@')[2]).geturl()}"


def _model(model: Model, served: set[str]) -> Descriptor:
    """Describe a model: weights that lie here are hashed; of others there is only what their server says."""
    told: dict[str, Any] = {"revision": model.revision}
    if isinstance(model, Embedded):
        try:
            files = dict(weights(model.folder))
        except OSError as error:
            return _unhashed("model", "urn:umbau:checkpoint", {**told, "weights": f"{UNKNOWN}: {error.strerror}"})
        return {"name": "model", "digest": {"sha256": digest(files)}, "annotations": {**told, "files": files}}
    told["weights"] = UNKNOWN
    if isinstance(model, Endpoint):
        url = urlsplit(model.url)._replace(netloc=model.server, query="").geturl()
        return _unhashed(model.name, url, {**told, "served": sorted(served) or UNKNOWN})
    return _unhashed(type(model).__name__, "urn:umbau:model", told)


def _unhashed(name: str, uri: str, told: dict[str, Any]) -> Descriptor:
    return {"name": name, "uri": uri, "annotations": told}


def _sources(job: Job, home: str) -> Iterator[Descriptor]:
    """Yield the source of each codemod and plugin, and of what it imports, as far as its author or we wrote it."""
    names = [step.codemod.name for step in job.steps if step.codemod]
    parts: list[Step | CheckSpec] = [*job.steps, *job.checks, *job.final]
    names += [part.use.path for part in parts if part.use]
    found: dict[str, str] = {}
    for name in names:
        found |= sources(name.rpartition(".")[0], home)
    for name, text in sorted(found.items()):
        yield {"name": name, "digest": hashed(text)}
