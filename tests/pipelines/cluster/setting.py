"""A Ray cluster of several nodes on this machine, and what is run on it."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from operators.data import Edit, Outcome, Shard, Verdict
from operators.folders import clear
from operators.workspace import Workspace
from pipelines.data import Plan, Task
from pipelines.jobfile import parse
from pipelines.lanes import Lanes
from pipelines.plan import plan
from pipelines.recipe import recipe
from pipelines.work import Kit, kit_of

JOB = """\
name: lanes
repos: [{repos}]
select: {{contains: '{contains}'}}
steps: [{step}]
checks: [inside, parses{more}]
attempts: 2
{rest}"""


def job(*repos: Path, contains: str = "x = ", step: str, more: str = "", rest: str = "") -> str:
    listed = ", ".join(f"{{git: {repo}}}" for repo in repos)
    return JOB.format(repos=listed, contains=contains, step=step, more=more, rest=rest)


def used(name: str, **settings: object) -> str:
    """Return the step that one of the operators below is."""
    given = ", ".join(f"{key}: {value}" for key, value in settings.items())
    return f"{{use: {{path: tests.pipelines.cluster.setting.{name}, settings: {{{given}}}}}}}"


@dataclass(frozen=True, slots=True)
class Deadly:
    """Kills the worker: for a shard called `always` each time, for one called `once` the first time."""

    marks: str
    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        mark = Path(self.marks) / shard.name.replace("/", "-")
        if "always" in shard.name or ("once" in shard.name and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return Edit({shard.paths[0]: "x = 2\n"})


@dataclass(frozen=True, slots=True)
class Slow:
    """Takes its time, and notes who did a shard, where, and what was at hand there."""

    marks: str
    seconds: float = 0.0
    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        import time

        time.sleep(self.seconds)
        with (Path(self.marks) / "done").open("a") as marks:
            marks.write(f"{shard.repo} {shard.name} {ws.base.mirror}\n")
        return Edit({shard.paths[0]: "x = 2\n"})


@dataclass(frozen=True, slots=True)
class Phoning:
    """A plugin that tries to talk to somebody, and says how that ended in what it proposes."""

    waits = False

    def propose(self, ws: Workspace, shard: Shard, past: Sequence[Verdict]) -> Edit | None:
        import socket

        said = []
        for to in ("203.0.113.66", "evil.example", "169.254.169.254"):
            try:
                socket.create_connection((to, 80), 5)
            except OSError as error:
                said.append(f"{type(error).__name__}: {error}")
        raise RuntimeError(" | ".join(said))


class Nodes:
    """A head without CPUs and nodes, each with a folder for temporary files of its own, as machines have."""

    def __init__(self, **head: Any) -> None:
        from ray.cluster_utils import Cluster

        self.top = Path(tempfile.mkdtemp(prefix="umbau-nodes-", dir="/tmp"))  # sockets must have short paths
        self.folders: dict[str, Path] = {}
        self._nodes: dict[str, Any] = {}
        self._cluster: Any = Cluster(shutdown_at_exit=False)
        self.add("head", num_cpus=0, include_dashboard=False, **head)

    @property
    def address(self) -> str:
        address: str = self._cluster.address
        return address

    def add(self, name: str, **settings: Any) -> None:
        self.folders[name] = self.top / name
        self.folders[name].mkdir(exist_ok=True)
        env = {"TMPDIR": str(self.folders[name])}
        self._nodes[name] = self._cluster.add_node(**{"object_store_memory": 80 << 20, "env_vars": env, **settings})

    def of(self, process: str) -> str:
        """Return the node that a Ray process runs on, by its title."""
        for found in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if found.read_bytes().startswith(process.encode()):
                    env = found.with_name("environ").read_bytes().split(b"\0")
                    (name,) = [name for name, own in self.folders.items() if f"TMPDIR={own}".encode() in env]
                    return name
            except (OSError, ValueError):
                continue
        raise LookupError(process)

    def kill(self, name: str) -> None:
        """End a node with all that runs on it, as a machine that loses its power."""
        self._cluster.remove_node(self._nodes.pop(name), allow_graceful=False)
        del self.folders[name]

    def behead(self, what: str) -> None:
        """End all of the head, or its GCS, which knows the cluster, or Ray's own process on each node."""
        if what == "GCS":
            self._nodes["head"].kill_gcs_server()
        elif what == "raylets":
            for node in self._nodes.values():
                node.kill_raylet()
        else:
            self.kill("head")

    def mirrors(self, name: str) -> list[str]:
        """Return the repositories that a node has."""
        return sorted(path.stem.split("-")[-2] for path in self.folders[name].glob("umbau-*/mirrors/*.git"))

    def close(self) -> None:
        self._cluster.shutdown()
        clear(self.top)


def planned(text: str, home: Path) -> tuple[Kit, Plan]:
    spec = parse(text.encode(), "job.yaml")
    built = recipe(spec, home / "job.yaml")
    found = plan(spec, built, home, home)
    assert not found.trouble
    return kit_of(spec, built, [repo.base for repo in found.repos]), found


def outcomes(lanes: Lanes, kit: Kit, found: Plan) -> dict[str, Outcome]:
    """Run all of a plan; return outcomes by repository and shard, without how long they took."""
    tasks = [Task(one.shard) for one in found.planned]
    done = [pair for some in lanes.run(kit, tasks) for pair in some]
    assert len({task.shard.key for task, _ in done}) == len(done) == len(tasks), "each once"
    return {f"{task.shard.repo}/{task.shard.name}": replace(outcome, seconds=0) for task, outcome in done}
