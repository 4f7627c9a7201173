"""What of a job travels to a cluster: its file, the codemods and plugins of its author, and lists of repositories."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from shlex import quote

from pipelines.data import digest
from pipelines.discover import listed
from pipelines.errors import Refused
from pipelines.job import Check, Job, Step
from pipelines.jobfile import BadJob, content, problem
from pipelines.reach import models, reachable
from pipelines.repos import NoRepo, address
from pipelines.site import site_file
from pipelines.sources import files
from pipelines.transport import ssh_parts

MOST = 32 << 20  # bytes: Ray itself refuses 512 MiB
DRIVER = ".umbau/driver.sh"
SITE = ".umbau/site.yaml"
_LOCAL = "is a path on this machine, and repositories do not travel: write the URL by which the cluster gets to it"
_WEIGHTS = "weights do not travel: put the folder on each node and write its absolute path, or serve the model (`url`)"
_SECRET = re.compile(rb"://[^\s/:@'\"]+:[^\s/@'\"]+@")
_THEIRS = {*sys.stdlib_module_names, "operators", "pipelines"}  # which no module beside a job takes the place of


@dataclass(frozen=True, slots=True)
class Package:
    job: str
    """Its name."""
    file: str
    """The job file's own name."""
    files: Mapping[str, bytes]
    """Path, relative to the job file's folder, to content."""

    def revision(self, version: str) -> str:
        """Tell one content, run by one version of Umbau, from another."""
        hashes = {path: hashlib.sha256(data).hexdigest() for path, data in self.files.items()}
        return digest([version, self.file, hashes])[:12]

    def write(self, folder: Path) -> None:
        """Put everything into an empty folder, and what starts the driver there."""
        start = (Path(__file__).parent / "driver.sh").read_bytes()
        for path, data in {**self.files, DRIVER: start}.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def entrypoint(self, version: str) -> str:
        return f"exec sh {DRIVER} {quote(version)} {quote(self.file)}"


def packed(job: Job, file: Path) -> Package:
    """Collect what a job refers to, and the site's file, which counts on a cluster that has none of its own. Raises
    BadJob for what cannot travel or may not be talked to, and Refused when it is too much."""
    file = file.resolve()
    found = {file.name: content(file)}
    if site_file().is_file():
        found[SITE] = content(site_file())
    if secret := _SECRET.search(found[file.name]):
        line = found[file.name].count(b"\n", 0, secret.start()) + 1
        raise Refused(f"{file}:{line}: a URL with a password in it would travel with the job and be read by others")
    reachable(job, file)
    for loc, settings in models(job):
        if settings and settings.checkpoint and not Path(settings.checkpoint).is_absolute():
            raise BadJob(str(file), [problem(file, (*loc, "checkpoint"), f"{settings.checkpoint}: {_WEIGHTS}")])
    for number, source in enumerate(job.repos):
        if source.git and (why := _unreachable(source.git)):
            raise BadJob(str(file), [problem(file, ("repos", number, "git"), f"{source.git} {why}")])
        if source.list:
            try:
                found[PurePosixPath(source.list).as_posix()] = _list(source.list, file.parent)
            except ValueError as error:
                raise BadJob(str(file), [problem(file, ("repos", number, "list"), str(error))]) from None
    for module in _modules(job):
        for name, path in files(module, str(file.parent)).items():
            if path.is_relative_to(file.parent) and name.partition(".")[0] not in _THEIRS:
                found[path.relative_to(file.parent).as_posix()] = path.read_bytes()
    if (size := sum(map(len, found.values()))) > MOST:
        largest = max(found, key=lambda path: len(found[path]))
        raise Refused(f"{size >> 20} MiB would travel, and {MOST >> 20} MiB may: {largest} is the largest part")
    return Package(job.name, file.name, dict(sorted(found.items())))


def _list(given: str, folder: Path) -> bytes:
    """Read a list of repositories. Raises ValueError."""
    path = PurePosixPath(given)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(
            f"{given} does not lie below the job file's folder, of which nothing else travels: move it there"
        )
    try:
        data = (folder / path).read_bytes()
    except OSError as error:
        raise ValueError(f"{given} cannot be read: {error.strerror}") from None
    for number, repo in listed(data.decode("utf-8-sig", errors="replace")):
        if why := _unreachable(repo):
            raise ValueError(f"{given}:{number}: {repo} {why}")
    return data


def _unreachable(repo: str) -> str:
    """Return why a cluster cannot get to a repository, or may not be told of it, "" when it can."""
    if "://" not in repo and not ssh_parts(repo):
        return _LOCAL
    try:
        address(repo, Path())
    except NoRepo as why:
        return f"cannot be used: {why}"
    return ""


def _modules(job: Job) -> Iterator[str]:
    """Yield the modules that a job names, whoever wrote them."""
    for step in job.steps:
        if step.codemod:
            yield step.codemod.name.rpartition(".")[0]
        if step.rewrite and isinstance(step.rewrite.examples, str):
            yield step.rewrite.examples
    parts: list[Step | Check] = [*job.steps, *job.checks, *job.final]
    for part in parts:
        if part.use:
            yield part.use.path.rpartition(".")[0]
