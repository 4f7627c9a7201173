"""What the templates of a job may say of a merge request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from typing import Any

from operators.data import Covered, Edit
from pipelines.data import Change
from pipelines.job import Job
from pipelines.neutral import line, named, prose
from pipelines.owners import Owners

OURS = frozenset({"job", "description", "digest", "version"})  # the job's own words and Umbau's: nothing to neutralise
VERSION = version("umbau")
UNNAMED = "unnamed-model"
_PROGRAM = re.compile(r"(?:\S*python[\d.]* -m )?([A-Za-z][\w-]*)(?=\s|$)")


@dataclass(frozen=True, slots=True)
class Facts:
    """The names that `title`, `body`, `message` and `trailers` may use; `message` has `title` as well. `branch`, by
    which a request is found again before anything is known of it, has `job` and `group` alone."""

    job: str
    """The job's name."""
    description: str
    """The job's `description`."""
    repo: str
    group: str
    """What the files have in common: a folder, a file, an owner, a symbol."""
    owners: tuple[str, ...]
    """Whom CODEOWNERS names for the files, as it writes them."""
    files: tuple[str, ...]
    """Paths that change."""
    shards: int
    """Parts of the change that were proposed and judged each by itself."""
    attempts: int
    """The most that one of them took."""
    proof: tuple[str, ...]
    """One line for each check that has passed."""
    covered: int
    """Changed statements that passing tests execute, of `statements`."""
    statements: int
    uncovered: tuple[str, ...]
    """Places of the others: `app/a.py:3`, `app/a.py:7-9`."""
    overcome: int
    """Findings of earlier attempts."""
    left_out: int
    """Shards whose accepted edits are not in it, because the sum does not hold with them."""
    model: bool
    """Whether a model wrote parts of it."""
    models: tuple[str, ...]
    """What those are called, the revision of their weights behind an `@` where it is known."""
    servers: tuple[str, ...]
    """Hosts and ports that were asked for it, as far as replies were not known from before; "" for the process that
    did the work."""
    tools: tuple[str, ...]
    """Programs that changed or checked it, such as `libcst`, `pytest`."""
    digest: str
    """Of the content."""
    version: str = VERSION
    """Of Umbau."""

    def in_text(self) -> dict[str, Any]:
        """Return the facts for a title or a commit message."""
        return self._neutral(line)

    def in_markdown(self) -> dict[str, Any]:
        """Return the facts for a body; what has signs that mean something is code there."""
        return {**self._neutral(named), "proof": [prose(one) for one in self.proof]}

    def _neutral(self, neutral: Any) -> dict[str, Any]:
        said: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in said.items():
            if isinstance(value, tuple):
                said[name] = [neutral(one) for one in value]
            elif isinstance(value, str) and name not in OURS:
                said[name] = neutral(value)
        return said


def facts(job: Job, change: Change, owned: Owners) -> Facts:
    verdicts = [verdict for part in change.parts for verdict in part.verdicts]
    statements = [seen for one in change.covered for _, _, seen in one.statements]
    paths = sorted(change.whole)
    return Facts(
        job=job.name,
        description=job.description,
        repo=change.repo.name,
        group=change.group,
        owners=tuple(dict.fromkeys(name for path in paths for name in owned.named(path))),
        files=tuple(paths),
        shards=len(change.parts),
        attempts=max((len(part.verdicts) for part in change.parts), default=0),
        proof=change.proof,
        covered=sum(statements),
        statements=len(statements),
        uncovered=tuple(place for one in change.covered for place in _places(one)),
        overcome=sum(len(verdict.findings) for verdict in verdicts),
        left_out=len(change.dropped),
        model=bool(models := tuple(dict.fromkeys(name for edit in _edits(change) for name in models_of(edit)))),
        models=models,
        servers=tuple(dict.fromkeys(reply.server for edit in _edits(change) for reply in edit.replies)),
        tools=_tools(job),
        digest=change.digest,
    )


def _edits(change: Change) -> Iterator[Edit]:
    """Yield what its content is made of: the accepted edits, and the generated tests that are part of it."""
    for part in change.parts:
        for verdict in part.verdicts[-1:]:
            yield verdict.edit
            yield from (one.edit for one in verdict.evidence[-1:] if one.edit.files.keys() & change.whole.keys())


def models_of(edit: Edit) -> tuple[str, ...]:
    """Return what the models are called that wrote parts of an edit."""
    if edit.models is not None:
        return tuple(dict.fromkeys(edit.models))
    if not edit.said:
        return ()
    # A plugin's, or kept by a version that did not note it.
    return tuple(dict.fromkeys(reply.model for reply in edit.replies if reply.model)) or (UNNAMED,)


def _tools(job: Job) -> tuple[str, ...]:
    runs = [one.run for check in (*job.checks, *job.final) for one in (check.tests, check.complaints) if one]
    found = ["libcst"] if any(step.codemod for step in job.steps) else []
    found += ["ruff"] if any(check.rule for check in (*job.checks, *job.final)) else []
    found += [tool[1] for run in runs if (tool := _PROGRAM.match(run))]
    return tuple(dict.fromkeys(found))


def examples(job: Job) -> tuple[Facts, Facts]:
    """Return facts as they may turn out to be, by which templates are tried before a run: all there, and as little as
    there can be."""
    rich = Facts(
        job=job.name,
        description=job.description,
        repo="platform/billing",
        group="app",
        owners=("@ada", "@platform/web"),
        files=("app/a.py", "app/b.py"),
        shards=2,
        attempts=3,
        proof=("parses: ok", "tests: `pytest` 3 passed"),
        covered=3,
        statements=4,
        uncovered=("app/a.py:7",),
        overcome=2,
        left_out=1,
        model=True,
        models=("devstral-small-2",),
        servers=("models.example.eu:8000",),
        tools=("libcst", "pytest"),
        digest="0123456789abcdef",
    )
    none: Mapping[str, Any] = {
        "owners": (),
        "proof": (),
        "uncovered": (),
        "covered": 0,
        "statements": 0,
        "tools": (),
        "servers": (),
    }
    least: Mapping[str, Any] = {"shards": 1, "attempts": 1, "overcome": 0, "left_out": 0, "model": False, "models": ()}
    return rich, replace(rich, files=("app/a.py",), **none, **least)


def _places(one: Covered) -> Iterator[str]:
    for first, last in one.missed:
        yield f"{one.path}:{first}" if first == last else f"{one.path}:{first}-{last}"
