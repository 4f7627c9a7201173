"""What the templates of a job may say of a merge request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from importlib.metadata import version
from typing import Any

from operators.data import Covered
from pipelines.data import Change
from pipelines.job import Job
from pipelines.neutral import line, named, prose
from pipelines.owners import Owners

OURS = frozenset({"job", "description", "digest", "version"})  # the job's own words and Umbau's: nothing to neutralise
VERSION = version("umbau")


@dataclass(frozen=True, slots=True)
class Facts:
    """The names that `title`, `body`, `message` and `trailers` may use. `branch`, by which a request is found again
    before anything is known of it, has `job` and `group` alone."""

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
        model=any(verdict.edit.said for verdict in verdicts),
        digest=change.digest,
    )


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
        digest="0123456789abcdef",
    )
    none: Mapping[str, Any] = {"owners": (), "proof": (), "uncovered": (), "covered": 0, "statements": 0}
    least: Mapping[str, Any] = {"shards": 1, "attempts": 1, "overcome": 0, "left_out": 0, "model": False}
    return rich, replace(rich, files=("app/a.py",), **none, **least)


def _places(one: Covered) -> Iterator[str]:
    for first, last in one.missed:
        yield f"{one.path}:{first}" if first == last else f"{one.path}:{first}-{last}"
