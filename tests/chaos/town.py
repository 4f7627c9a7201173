"""A job of some hundred shards over several repositories, where its requests go, and how its driver is run.

Each file is changed by a codemod, then by a model over the network, and judged in the sandbox. What the model says
follows from what it is asked alone, so that every run of the job must end the same.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operators.data import Edit, Shard, Verdict
from operators.workspace import Workspace
from pipelines.console import Watch
from pipelines.driver import Driver
from pipelines.errors import Refused
from pipelines.forges.local import LocalForge
from pipelines.jobfile import load
from pipelines.lanes import InProcess
from pipelines.recipe import recipe
from pipelines.store import opened
from pipelines.store.place import VARIABLE
from tests.chaos.audit import Case, Host, Opened, Told, refs, told
from tests.chaos.nodes import ROOT, Cluster
from tests.chaos.processes import until
from tests.conftest import Checkout
from tests.endpoint import Endpoint, Says
from tests.pipelines.forges.gitlab.double import GitLabDouble
from tests.pipelines.forges.gitlab.state import DEVELOPER

SECRET = "glpat-Sehr.Geheim-chaos"
NAME = "greet"
JOB = """\
name: greet
{forge}
repos: {repos}
select: {{files: ["app/*.py", "lib/*.py"], contains: 'hello\\(\\)'}}
steps:{first}
  - codemod: convert_format_to_fstring.ConvertFormatStringCommand
  - rewrite:
      model: {{url: "{model}", name: scripted, timeout: 30, concurrency: 8}}
      prompt: "Calls of hello() pass the name: hello(name)."
checks: [inside, parses, {{command: "{command}"}}]
attempts: 2
"""
COMMAND = "sleep 0.05; ! grep nme {paths}"
CODE = """\
from app import hello


def greet{number}(name):
    print("{number} of {{}}".format(name))
    return hello()
"""


def model(request: dict[str, Any]) -> Says:
    """Do what is asked; with some files only when told a second time, with some never."""
    asked = "\n".join(message["content"] for message in request["messages"] if message["role"] == "user")
    path = re.search(r"^((?:app|lib)/m(\d+)\.py)$", asked, re.M)
    if not path:
        return Says("pong")  # it is asked whether it is there
    kind, again = int(path[2]) % 10, "grep" in asked
    argument = "nme" if kind == 7 or (kind == 3 and not again) else "name"
    last = re.findall(r"^    return hello\(\w*\)$", "\n".join(m["content"] for m in request["messages"]), re.M)[-1]
    line = f"    return hello({argument})"
    return Says(f"{path[1]}\n<<<<<<< SEARCH\n{last}\n=======\n{line}\n>>>>>>> REPLACE\n", after=0.02)


def files(repo: int, shards: int) -> dict[str, str]:
    """Return the files of a repository: so many with a call to be changed, one of them no Python."""
    made = {"app/__init__.py": "def hello(name='world'):\n    return name\n", "README.md": f"# {repo}\n"}
    for number in range(shards):
        made[f"{'lib' if number % 2 else 'app'}/m{number}.py"] = CODE.format(number=1000 * repo + number)
    made["app/m0.py"] = "def broken(:\n    return hello()\n"
    return made


@dataclass(frozen=True, slots=True)
class Poison:
    """Kills every worker that touches a repository, and leaves a mark on its node."""

    repo: str
    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        if shard.repo == self.repo:
            tempfile.mkstemp(prefix="poisoned-")
            os.kill(os.getpid(), signal.SIGKILL)
        return None


@dataclass
class Town:
    """The job, and what there is of it."""

    folder: Path
    home: Path
    job: Path
    endpoint: Endpoint
    sources: list[Checkout]
    double: GitLabDouble | None = None
    wanted: dict[tuple[str, str], Told] = field(default_factory=dict)
    """What an undisturbed run gives."""
    befores: dict[Path, dict[str, str]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    """Of its shards, once they are planned."""
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @classmethod
    @contextmanager
    def built(
        cls,
        folder: Path,
        *,
        repos: int = 6,
        shards: int = 40,
        gitlab: bool = False,
        command: str = COMMAND,
        first: str = "",
        script: Callable[[dict[str, Any]], Says] = model,
        more: Mapping[str, str | bytes] | None = None,
    ) -> Iterator[Town]:
        """Give a town in an empty folder. `first`: a step before the others. `more`: files of each repository
        besides."""
        folder.mkdir(exist_ok=True)
        sources = [Checkout(folder / "src" / f"r{number}") for number in range(1, repos + 1)]
        for number, source in enumerate(sources, 1):
            source.commit({**files(number, shards), **(more or {})}, "start")
        home, job = folder / "home", folder / "job" / "greet.yaml"
        home.mkdir()
        job.parent.mkdir()
        with Endpoint(script=script) as endpoint, GitLabDouble(folder / "gitlab") as double:
            town = cls(folder, home, job, endpoint, sources, double if gitlab else None)
            if gitlab:
                bot = double.user("group_7_bot_0f", bot=True)
                double.token(SECRET, bot)
                for source in sources:
                    double.project(f"town/{source.folder.name}", source.folder, members={bot.id: DEVELOPER})
            forge = f'forge: {{gitlab: "{double.url}"}}' if gitlab else ""
            names = "[{gitlab: {group: town}}]" if gitlab else [{"git": str(source.folder)} for source in sources]
            job.write_text(JOB.format(forge=forge, repos=names, model=endpoint.url, command=command, first=first))
            town.befores = {git: refs(git) for git in town._gits()}
            try:
                yield town
            finally:
                for child in town.children:
                    child.kill()
                    child.wait()

    def _gits(self) -> list[Path]:
        """Return the repositories of people: those that are worked on, and those of GitLab."""
        served = [project.folder for project in self.double.projects.values()] if self.double else []
        return [*(source.folder / ".git" for source in self.sources), *served]

    # What Umbau does.

    def start(self, cluster: Cluster, **more: str) -> subprocess.Popen[bytes]:
        """Start `umbau run` on the cluster, in a process of its own. `more`: of its environment."""
        store = {name: os.environ[name] for name in (VARIABLE, "PGPASSWORD") if name in os.environ}
        env = {
            **cluster.env,
            **store,
            **more,
            "UMBAU_HOME": str(self.home),
            "TMPDIR": str(self.folder),
            "GITLAB_TOKEN": SECRET,
        }
        argv = [sys.executable, "-c", "from pipelines.cli import main; main()", "run", str(self.job)]
        with (self.folder / f"said-{len(self.children)}").open("wb") as said:
            child = subprocess.Popen(
                [*argv, "--address", cluster.address, "--json"],
                env=env,
                cwd=ROOT,
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
            )
        self.children.append(child)
        return child

    def end(self, child: subprocess.Popen[bytes], seconds: float = 400) -> int:
        """Wait for a run to end; return its exit code."""
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.last()}") from None

    def run(self, cluster: Cluster, seconds: float = 400) -> int:
        return self.end(self.start(cluster), seconds)

    def last(self, count: int = 3000) -> str:
        """Return the end of what the last run said."""
        return (self.folder / f"said-{len(self.children) - 1}").read_text(errors="replace")[-count:]

    def done(self) -> int:
        """Return how many shards have their outcome."""
        with closing(opened(self.home)) as store, suppress(Refused):  # it may be busy
            if not self.keys and (plan := store.plan(NAME)):
                self.keys = [one.shard.key for one in plan.planned]
            return len(store.statuses(self.keys))
        return 0

    def opened(self) -> int:
        """Return how many merge requests there are."""
        if self.double:
            return sum(len(project.requests) for project in self.double.projects.values())
        return len([*self.home.glob("forge/*/*.json")])

    def reaches(self, child: subprocess.Popen[bytes], seen: Callable[[], bool], seconds: float = 240) -> None:
        """Wait until something of a run is seen. Fails when it ends before, or takes longer."""
        assert until(lambda: seen() or child.poll() is not None, seconds), f"it takes too long: {self.last()}"
        assert seen(), f"it has ended with {child.poll()}: {self.last()}"

    def settle(self, cluster: Cluster, child: subprocess.Popen[bytes] | None = None, runs: int = 3) -> list[int]:
        """Let a run go to its end, and run the job again as long as shards have failed, which is what one is told to
        do then; return the exit codes. All done is 0, or 1 where some shards are rejected, as they are to be."""
        codes = [self.end(child or self.start(cluster))]
        while codes[-1] == 2 and len(codes) < runs:
            codes.append(self.run(cluster))
        assert codes[-1] in {0, 1}, f"{codes}: {self.last()}"
        return codes

    @contextmanager
    def _driver(self) -> Iterator[Driver]:
        spec = load(self.job)
        with closing(opened(self.home)) as store:
            forge = LocalForge(self.home / "forge")
            built = recipe(spec, self.job)
            yield Driver(spec, built, self.home, self.job.parent, store, forge, Watch(quiet=True))

    def in_process(self) -> dict[tuple[str, str], Told]:
        """Return what comes of the job where all is done here, one after another."""
        with self._driver() as driver:
            plan = driver.plan()
            driver.adopt(plan)
            driver.run(plan, InProcess())
            gathered, _ = driver.tend(plan, InProcess())
            assert not gathered.trouble
            assert not plan.trouble
            return told(plan, driver.store)

    # What there is afterwards.

    def case(
        self,
        wanted: Mapping[tuple[str, str], Told],
        cluster: Cluster | None = None,
        people: Sequence[tuple[str, str, str]] = (),
    ) -> Case:
        """Return all that an audit looks at. `wanted`: what an undisturbed run gives, of more repositories perhaps."""
        here = {source.folder.name: source.folder for source in self.sources}
        wanted = {
            (repo, path): one for (repo, path), one in wanted.items() if repo in here and (here[repo] / path).exists()
        }
        with self._driver() as driver:
            plan = driver.latest()
            gathered = driver.gather(plan, None)
        artefacts = [self.home, self.folder / "job", *sorted(self.folder.glob("said-*"))]
        if cluster:
            artefacts += [path for path in cluster.folder.iterdir() if path.name not in {"driver", "token"}]
        hosts, found = self._hosts()
        keep = [Host("", git, before, "") for git, before in self.befores.items() if git not in {h.git for h in hosts}]
        return Case(plan, gathered, self.home, (*hosts, *keep), found, wanted, (SECRET,), artefacts, people)

    def _hosts(self) -> tuple[list[Host], list[Opened]]:
        if self.double:
            hosts, found = [], []
            for project in self.double.projects.values():
                hosts.append(Host(project.path, project.folder, self.befores[project.folder], "main"))
                for one in project.requests.values():
                    digest = re.search(r"<!-- umbau job=greet digest=(\w+) -->", one.description)
                    assert digest, one.description
                    found.append(Opened(project.path, one.iid, one.source, digest[1], one.state))
            return hosts, found
        records = LocalForge(self.home / "forge").records()
        hosts = []
        for source in (one for one in self.sources if (self.home / "forge" / one.folder.name).exists()):
            before = {name: held for name, held in self.befores[source.folder / ".git"].items() if "heads/main" in name}
            hosts.append(
                Host(source.folder.name, self.home / "forge" / source.folder.name / "repo.git", before, "main")
            )
        return hosts, [Opened(one.repo, one.number, one.branch, one.digest, one.state) for one in records]
