"""An ML-BOM of a job: models, Umbau, its packages and codemods, as CycloneDX 1.6 has it (cyclonedx.org/docs/1.6/json).

Written by hand: cyclonedx-python-lib 11 has no model cards. Its schema is what a test holds it against.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from operators.data import Model, called
from operators.embedded import Embedded
from pipelines.catalogue import Model as Entry
from pipelines.data import digest
from pipelines.job import Job
from pipelines.masking import masked
from pipelines.moments import iso
from pipelines.report.compliance import bare
from pipelines.report.totals import Totals
from pipelines.sources import sources

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Made:
    """What a job's edits were made with."""

    job: Job
    home: str
    """Folder of the job's file, where its own codemods lie."""
    totals: Totals
    models: Sequence[Model]
    """Those that the job names."""
    known: Mapping[str, Entry]
    """What the catalogue and the site say of models."""


def as_json(made: Made, now: float) -> str:
    """Return the BOM as JSON. The same content has the same serial number. `now`: seconds since 1970."""
    needs = _installed("umbau")
    packages = {name: _package(name, distribution(name)) for name in needs}
    own = packages.pop("umbau")
    components = [*_models(made), *_codemods(made), *packages.values()]
    refs = {name: str(one["bom-ref"]) for name, one in packages.items()} | {"umbau": str(own["bom-ref"])}
    links = [
        {"ref": ref, "dependsOn": sorted(refs[one] for one in needs[name] if one in refs)} for name, ref in refs.items()
    ]
    job = {"type": "application", "bom-ref": "job", "name": made.job.name, "description": masked(made.job.description)}
    used = [
        one["bom-ref"] for one in components if one["type"] == "machine-learning-model" or "codemod" in one["bom-ref"]
    ]
    links.append({"ref": "job", "dependsOn": [str(own["bom-ref"]), *used]})
    said: Json = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, digest([components, links]))}",
        "version": 1,
        "metadata": {
            "timestamp": iso(now),
            "tools": {"components": [{"type": "application", "name": "umbau", "version": own["version"]}]},
            "component": job,
            "properties": _properties(
                {"python": platform.python_version(), "packages seen on": "the machine that wrote this"}
            ),
        },
        "components": [own, *components],
        "dependencies": links,
    }
    return json.dumps(said, indent=2) + "\n"


def _models(made: Made) -> Iterator[Json]:
    """Yield each model that was asked, or wrote something that was accepted; of one that has both it once."""
    wrote = made.totals.wrote
    asked = [name for name, _ in made.totals.asked if name not in {bare(one) for one in wrote}]
    objects = {called(one): one for one in made.models}
    for name in dict.fromkeys([*wrote, *asked]):
        yield _model(made, name, objects.get(name))


def _model(made: Made, name: str, model: Model | None) -> Json:
    entry, revision = made.known.get(bare(name)), name.partition("@")[2]
    found: Json = {"type": "machine-learning-model", "bom-ref": f"model:{name}", "name": bare(name) or "unnamed"}
    found |= {"version": revision} if revision else {}
    replies = {server: number for (one, server), number in made.totals.asked.items() if one == bare(name)}
    facts = {f"replies from {server or 'the process itself'}": str(number) for server, number in replies.items()}
    facts |= {"accepted edits with parts of it": str(made.totals.wrote[name])}
    if entry:
        facts |= {"licence condition": entry.licence.condition} if entry.licence.condition else {}
        found |= {"description": entry.about, "licenses": [_licence(entry.licence.name)], "modelCard": _card(entry)}
        if entry.repository:
            url = f"https://huggingface.co/{entry.repository}"
            found["externalReferences"] = [{"type": "model-card", "url": url}]
    if isinstance(model, Embedded):
        files = sorted(Path(model.folder).glob("*.safetensors"))
        found["components"] = [
            {"type": "file", "bom-ref": f"model:{name}/{file.name}", "name": file.name, "hashes": [_hash(file)]}
            for file in files
        ]
    return found | {"properties": _properties(facts)}


def _card(entry: Entry) -> Json:
    card: Json = {
        "modelParameters": {
            "task": "text-generation",
            "architectureFamily": "transformer",
            "modelArchitecture": entry.architectures[0],
        }
    }
    if entry.score:
        measured = {"type": entry.score.benchmark, "value": f"{entry.score.percent:g} %", "slice": entry.score.source}
        card["quantitativeAnalysis"] = {"performanceMetrics": [measured]}
    return card


def _codemods(made: Made) -> Iterator[Json]:
    for name in dict.fromkeys(step.codemod.name for step in made.job.steps if step.codemod):
        text = sources(name.rpartition(".")[0], made.home)
        facts = {"digest of its source": digest(text)} if text else {}
        yield {"type": "library", "bom-ref": f"codemod:{name}", "name": name, "properties": _properties(facts)}


def _installed(root: str) -> dict[str, set[str]]:
    """Return the installed packages that one needs, itself included, each with those that it needs, by their normal
    names. Of an extra, the root's own (but for its tests) or one that is asked for, what is there."""
    needs: dict[str, set[str]] = {}
    todo = [(root, extra) for extra in ("", *(distribution(root).metadata.get_all("Provides-Extra") or ()))]
    done = {(root, "test")}
    while todo:
        name, extra = todo.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        try:
            wanted = [Requirement(one) for one in distribution(name).requires or ()]
        except PackageNotFoundError:  # for another system, or of an extra that nobody wanted here
            continue
        own = needs.setdefault(name, set())
        for one in wanted:
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                own.add(canonicalize_name(one.name))
                todo += [(canonicalize_name(one.name), each) for each in ("", *one.extras)]
        own.discard(name)  # extras that are made of others
    return dict(sorted(needs.items()))


def _package(name: str, found: Distribution) -> Json:
    ref = f"pkg:pypi/{name}@{found.version}"
    facts = found.metadata.json
    told = str(facts.get("license_expression") or facts.get("license") or "")
    said: Json = {"type": "library", "bom-ref": ref, "name": name, "version": found.version, "purl": ref}
    return said | ({"licenses": [_licence(told)]} if told and "\n" not in told else {})


def _licence(name: str) -> Json:
    try:
        return {"expression": canonicalize_license_expression(name)}
    except InvalidLicenseExpression:
        return {"license": {"name": name}}


def _hash(file: Path) -> Json:
    with file.open("rb") as opened:
        return {"alg": "SHA-256", "content": file_digest(opened, "sha256").hexdigest()}


def _properties(facts: Mapping[str, str]) -> list[Json]:
    return [{"name": f"umbau:{name}", "value": value} for name, value in facts.items()]
