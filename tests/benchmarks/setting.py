"""What the benchmarks share."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pipelines.cluster import OnRay
from pipelines.console import Watch
from pipelines.driver import Driver
from pipelines.forges.local import LocalForge
from pipelines.job import Job
from pipelines.jobfile import parse
from pipelines.recipe import recipe
from pipelines.store import Store

GIT = {
    **{"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
    **{f"GIT_{role}_{what}": "bench" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="umbau-bench-") as made:
        yield Path(made)


def repository(where: Path, files: dict[str, str]) -> Path:
    """Make a git repository of one commit."""
    for path, text in files.items():
        target = where / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    for args in (["init", "--quiet", "--initial-branch=main"], ["add", "--all"], ["commit", "--quiet", "-m", "bench"]):
        subprocess.run(["git", *args], cwd=where, env={**os.environ, **GIT}, check=True)
    return where


@contextmanager
def driver(text: str, home: Path) -> Iterator[Driver]:
    """Give the driver of a job written as YAML."""
    job: Job = parse(text.encode(), "bench.yaml")
    with closing(Store(home / "store.db")) as store:
        file = home / "bench.yaml"
        yield Driver(job, recipe(job, file), home, home, store, LocalForge(home / "forge"), Watch(quiet=True))


@contextmanager
def ray() -> Iterator[OnRay]:
    """Give lanes whose cluster is up already."""
    with closing(OnRay()) as lanes:
        lanes.start()
        yield lanes


class Clock:
    """Measures wall time: `with Clock() as clock: ...; clock.seconds`."""

    seconds = 0.0

    def __enter__(self) -> Clock:
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start


def peak() -> float:
    """Return the most memory this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
