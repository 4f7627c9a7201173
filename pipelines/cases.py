"""Cases: migrations that somebody has made, with the edit that is known to be right, as rows of a JSON Lines file.

The rows have the shape of TimeMachine-bench (github.com/tohoku-nlp/timemachine-bench): a commit, patches that unpin its
dependencies, the versions to install, and the edit after which tests pass that fail before it.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from operators.data import Base, Trouble
from operators.proc import git
from operators.workspace import Workspace
from pipelines.commit import checked, person
from pipelines.data import Repo
from pipelines.errors import Refused
from pipelines.job import Source

FAULTS = 20  # of a file of cases that are told
_PIN = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[\w.,-]+\])?(?:==([\w.!+-]+)| @ (?:git\+)?https://\S+)")
_UNPINNED = re.compile(r"^-\W*([A-Za-z0-9][\w.-]*)==([\w.!+-]+)", re.M)
_TEST = re.compile(r"(test_.*|.*_tests?|tests?|conftest)\.py")


class BadCases(Refused):
    """The file of cases cannot be used."""

    code = 64


class Misfit(Trouble):
    """A case's patches do not fit its commit."""


def _pinned(text: str) -> str:
    for line in _lines(text):
        if not _PIN.fullmatch(line):
            raise PydanticCustomError("pin", "{line} is no pin, such as `lxml==6.0.0`", {"line": line[:80]})
    return text


def _paths(text: str) -> str:
    for path in text.split(","):
        if not re.fullmatch(r"[^\0-\x1f/-][^\0-\x1f]*", path.strip()) or ".." in path.split("/"):
            raise PydanticCustomError("path", "{path} is no path within the repository", {"path": repr(path[:80])})
    return text


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


class Case(BaseModel):
    """One row. Other keys than these are not looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    repo_name: Annotated[str, Field(pattern=r"^\w[\w.-]*/\w[\w.-]*$")]
    repo_url: str = Field(min_length=1)
    commit_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
    patch: str = ""
    """Unpins the dependencies. All patches have paths without a prefix (`-p0`)."""
    test_patch: str = ""
    gold_patch: str = Field(min_length=1)
    """The edit that is known to be right."""
    dependency_versions: Annotated[str, AfterValidator(_pinned)] = ""
    """All that is installed, one `name==version` a line."""
    test_type: Literal["pytest", "unittest"]
    test_files: Annotated[str, AfterValidator(_paths)]
    """Paths with commas between them."""
    test_count: int = Field(ge=1)
    """Tests that pass with the gold edit."""
    reproduction_target_version: str = ""
    """The Python that the code was written for."""
    migration_target_version: Annotated[str, Field(pattern=r"^(3\.\d+(\.\d+)?)?$")] = ""
    """The Python that it has to run on."""

    @property
    def pins(self) -> tuple[str, ...]:
        return tuple(_lines(self.dependency_versions))

    @property
    def python(self) -> str:
        """The version of Python without its last part, which makes no difference and is seldom to be had."""
        return ".".join(self.migration_target_version.split(".")[:2])

    @property
    def tests(self) -> tuple[str, ...]:
        return tuple(path.strip() for path in self.test_files.split(","))

    @property
    def command(self) -> str:
        """Runs the case's tests by the runner that they are written for, with a report."""
        return self.plain.replace("-m unittest", "-m umbau_unittest", 1)

    @property
    def plain(self) -> str:
        """Runs them as a person would."""
        return f"python -m {self.test_type} {shlex.join(self.tests)}"

    @property
    def task(self) -> str:
        """What moved, in words for a model."""
        then, found = self.reproduction_target_version, map(_PIN.fullmatch, self.pins)
        now = {_same(pin[1]): pin[2] for pin in found if pin and pin[2]}
        moved = {name: (old, now[_same(name)]) for name, old in _UNPINNED.findall(self.patch) if _same(name) in now}
        lines = [f"It was written for Python {then}."] if then else []
        lines += [f"It has to run on Python {self.python}."] if self.python else []
        lines += [f"{name} has moved from {old} to {new}." for name, (old, new) in moved.items() if old != new]
        return "\n".join([*lines, f"Installed are: {', '.join(self.pins) or 'no packages'}."])

    def source(self, folder: Path | None) -> Source:
        """Say where the repository comes from: OWNER/NAME in `folder`, or its own URL."""
        return Source(git=str(folder.resolve() / self.repo_name) if folder else self.repo_url)


@dataclass(frozen=True, slots=True)
class Laid:
    """A case as commits of Umbau's own repository."""

    before: str
    """Fails tests."""
    gold: str
    """With the gold edit: passes them."""
    files: Mapping[str, str | None]
    """The gold edit, its tests left out: those stand in `before` already."""


def read(path: Path) -> list[Case]:
    """Read a JSON Lines file. Raises BadCases with the number of each line that is no case."""
    cases: list[Case] = []
    faults: list[str] = []
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise BadCases(f"{path} cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        try:
            cases += [Case.model_validate_json(line)] if line.strip() else []
        except ValidationError as error:
            faults += [f"{path}:{number}: {_told(fault)}" for fault in error.errors(include_url=False)]
    if not (cases or faults):
        raise BadCases(f"{path} holds no case: each line is one, in JSON: see Evaluate in the README")
    if faults:
        more = [f"... and {len(faults) - FAULTS} more"] if len(faults) > FAULTS else []
        raise BadCases("\n".join([*faults[:FAULTS], *more]))
    return cases


def lay(case: Case, repo: Repo) -> Laid:
    """Make the two commits of a case, by plumbing in our own repository. Raises Misfit, GitError."""
    mirror, start = Path(repo.mirror), repo.commit
    before = _patched(mirror, start, case.patch, "patch")
    before = _patched(mirror, before, case.test_patch, "test_patch")
    gold = _patched(mirror, before, case.gold_patch, "gold_patch")
    changed = _changed(mirror, before, gold)
    tests = [path for path in changed if path in case.tests or _TEST.fullmatch(PurePosixPath(path).name)]
    if tests:
        own = git(
            mirror, "diff-tree", "-r", "-p", "--binary", "--full-index", "--no-prefix", before, gold, "--", *tests
        )
        before = _patched(mirror, before, own.decode(errors="surrogateescape"), "gold_patch")
    then = Workspace(Base(repo.name, gold, repo.mirror))
    return Laid(before, gold, {path: then.base_text(path) for path in changed if path not in tests})


def _patched(mirror: Path, commit: str, patch: str, name: str) -> str:
    """Return the commit that a patch makes of another; an empty patch makes none. git itself refuses paths that lead
    out of the tree."""
    if not patch.strip():
        return commit
    with tempfile.TemporaryDirectory(prefix="umbau-") as folder:
        env = {"GIT_INDEX_FILE": f"{folder}/index"}
        git(mirror, "read-tree", commit, env=env)
        try:
            apply = ("apply", "--cached", "-p0", "--whitespace=nowarn", "-")
            git(mirror, *apply, stdin=patch.encode(errors="surrogateescape"), env=env)
        except Trouble as error:
            raise Misfit(f"`{name}` does not apply: {str(error).partition(chr(10))[0]}") from None
        tree = checked(git(mirror, "write-tree", env=env))
    date = git(mirror, "show", "--no-patch", "--format=%ct", commit).decode().strip()
    return checked(git(mirror, "commit-tree", tree, "-p", commit, "-m", name, env=person(date)))


def _changed(mirror: Path, before: str, gold: str) -> list[str]:
    said = git(mirror, "diff-tree", "-r", "-z", "--name-only", "--no-renames", before, gold)
    return [path for path in said.decode(errors="surrogateescape").split("\0") if path]


def _same(name: str) -> str:
    """Return the one form of a package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _told(fault: ErrorDetails) -> str:
    where = ".".join(map(str, fault["loc"]))
    if fault["type"] == "missing":
        return f"`{where}` is missing"
    return f"`{where}`: {fault['msg']}" if where else fault["msg"]


def wanted(cases: Sequence[Case], names: Sequence[str]) -> list[Case]:
    """Return the cases of these repositories, all when none is named. Raises Refused for a name that none has."""
    if unknown := sorted({*names} - {case.repo_name for case in cases}):
        raise Refused(f"no case is called {', '.join(unknown)}. There are: {', '.join(c.repo_name for c in cases)}")
    return [case for case in cases if not names or case.repo_name in names]
