"""Carries out tasks on Ray, in two lanes. The only module of ours that imports Ray.

The working lane is Ray tasks, one core each: parsing, codemods, checks, test runs; shards of a few milliseconds share
one. The waiting lane is one threaded actor that holds no core: a shard that waits for a model costs a thread.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, redirect_stdout, suppress
from dataclasses import replace
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from operators.data import Outage, Outcome, told
from operators.model import CONCURRENCY, Endpoint
from operators.workspace import Workspace
from pipelines.bare import has
from pipelines.bundle import bundle, unbundled
from pipelines.data import Task
from pipelines.errors import Refused
from pipelines.lanes import LOOK, Done, Prepared, Tell, endpoints, outages, prepared
from pipelines.work import Kit, without_sandbox, work

SECONDS = 0.5  # of work that a batch of shards should hold: some 200 times what Ray spends on a task
MOST = 200  # shards in a batch, all done again when its worker dies
TRIES = 3  # workers that a shard may take down before it counts as failed
OBJECT_STORE = 200 << 20  # bytes, on a laptop; a cluster has its own setting
RAY_ENV = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing leaves the house
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else every worker of `uv run umbau` would start a uv of its own
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_task_oom_retries": str(TRIES),
}


class OnRay:
    """A Ray cluster: one that is started here, or the one at `address`. It is not touched before there is work."""

    def __init__(self, address: str = "", cores: int | None = None) -> None:
        self._address, self._cores_here = address, cores
        self._quiet = ExitStack()

    @cached_property
    def _ray(self) -> Any:
        os.environ.update({name: value for name, value in RAY_ENV.items() if name not in os.environ})
        import ray

        settings: dict[str, Any] = {"address": self._address, "log_to_driver": False, "logging_level": logging.ERROR}
        if self._address:
            _reachable(self._address)  # Ray itself would go on trying for minutes
        else:
            here = {"num_cpus": self._cores_here, "include_dashboard": False, "object_store_memory": OBJECT_STORE}
            settings |= {"address": "local", **here}
        terminate = signal.getsignal(signal.SIGTERM)
        self._quiet.enter_context(redirect_stdout(sys.stderr))  # where results go, Ray prints what its workers die of
        try:
            ray.init(**settings)
        except (OSError, RuntimeError, ValueError) as error:
            what = f"no Ray cluster answers at {self._address}" if self._address else "Ray cannot start here"
            raise Refused(f"{what}: {_first(error)}") from None
        signal.signal(signal.SIGTERM, terminate or signal.SIG_DFL)  # Ray has one of its own, which ends without a word
        return ray

    def start(self) -> None:
        """Bring the cluster up now, and not with the first task."""
        assert self._ray

    def close(self) -> None:
        if "_ray" in self.__dict__:
            self._ray.shutdown()
        self._quiet.close()

    def prepare(self, kit: Kit, repos: Iterable[str]) -> Iterator[Prepared]:
        holder = self._shared(kit)
        task = self._ray.remote(_prepare).options(num_cpus=1, max_retries=TRIES - 1)
        pending = {task.remote(holder, repo): repo for repo in repos}
        for ref, repo in self._each(pending):
            try:
                yield self._ray.get(ref)
            except self._ray.exceptions.RayError as error:
                yield repo, RuntimeError(_died(error))

    def run(self, kit: Kit, tasks: Iterable[Task], tell: Tell = lambda found: None) -> Iterator[Done]:
        first = list(islice(tasks := iter(tasks), 1))
        if not first:
            return
        rest = _chained(first, tasks)
        if kit.recipe.operator.waits and not first[0].offered:
            yield from self._waiting(kit, rest, tell)
        else:
            yield from self._working(kit, rest)

    def without_sandbox(self) -> str:
        why: str = self._ray.get(self._ray.remote(without_sandbox).options(num_cpus=1).remote())
        return why

    def _working(self, kit: Kit, tasks: Iterator[Task]) -> Iterator[Done]:
        holder, wide = self._shared(kit), 2 * self._cores()
        function = self._ray.remote(_work)
        pending: dict[Any, list[Task]] = {}
        alone: deque[Task] = deque()  # whose batch died: one of them did it
        pace = SECONDS  # seconds per shard, smoothed; the first batches are of one
        with self._cancelled(pending):
            while True:
                while len(pending) < wide:
                    if alone:
                        batch, tries = [alone.popleft()], TRIES - 1
                    else:
                        batch, tries = list(islice(tasks, max(1, min(MOST, int(SECONDS / pace))))), 0
                    if not batch:
                        break
                    pending[function.options(num_cpus=1, max_retries=tries).remote(holder, batch)] = batch
                if not pending:
                    return
                done = self._collected(pending, alone)
                if done:
                    mean = sum(outcome.seconds for _, outcome in done) / len(done)
                    pace = max(1e-4, 0.5 * pace + 0.5 * mean)
                    yield done

    def _collected(self, pending: dict[Any, list[Task]], alone: deque[Task]) -> Done:
        (ref,), _ = self._ray.wait(list(pending), num_returns=1)
        batch = pending.pop(ref)
        try:
            return list(zip(batch, self._ray.get(ref), strict=True))
        except self._ray.exceptions.RayError as error:
            if len(batch) > 1:
                alone.extend(batch)
                return []
            return [(batch[0], Outcome(batch[0].shard, batch[0].past, error=_died(error)))]

    def _waiting(self, kit: Kit, tasks: Iterator[Task], tell: Tell) -> Iterator[Done]:
        wide = 2 * _concurrency(kit) + 8 * self._cores()  # in hand: those that wait, and those being judged
        options = {"num_cpus": 0, "max_concurrency": wide + 1, "max_restarts": -1, "max_task_retries": TRIES - 1}
        lane: Any = self._ray.remote(_WaitingLane).options(**options).remote()
        holder, looking = self._shared(kit), _Looking(self._ray, lane, endpoints(kit), tell)
        pending: dict[Any, list[Task]] = {}
        with self._cancelled(pending):
            while True:
                looking.look()
                for task in islice(tasks, wide - len(pending)):
                    pending[lane.work.remote(holder, task)] = [task]
                if not pending:
                    looking.look(wait=LOOK)
                    return
                for ref in self._ray.wait(list(pending), num_returns=1, timeout=LOOK)[0]:
                    (task,) = pending.pop(ref)
                    try:
                        outcome = self._ray.get(ref)
                    except self._ray.exceptions.RayError as error:
                        outcome = Outcome(task.shard, task.past, error=_died(error))
                    yield [(task, outcome)]

    def _each(self, pending: dict[Any, str]) -> Iterator[tuple[Any, str]]:
        while pending:
            (ref,), _ = self._ray.wait(list(pending), num_returns=1)
            yield ref, pending.pop(ref)

    def _shared(self, kit: Kit) -> list[Any]:
        """Put the kit where all workers can get it; in a list, so that Ray hands on the reference and not the kit."""
        bundles = {repo: self._ray.put(bundle(base)) for repo, base in kit.bases.items()} if self._address else {}
        return [self._ray.put((kit, bundles))]

    def _cores(self) -> int:
        resources: dict[str, float] = self._ray.cluster_resources()
        return max(1, int(resources.get("CPU", 1)))

    def _cancelled(self, pending: Mapping[Any, Any]) -> _Cancelled:
        return _Cancelled(self._ray, pending)


class _Cancelled:
    """Takes back what is in flight when the loop is left early."""

    def __init__(self, ray: Any, pending: Mapping[Any, Any]) -> None:
        self._ray, self._pending = ray, pending

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        for ref in self._pending:
            with suppress(Exception):  # it may be done by now
                self._ray.cancel(ref)


class _Looking:
    """Asks the waiting lane now and then, and never waits for the answer, which of the models are away."""

    def __init__(self, ray: Any, lane: Any, models: list[Endpoint], tell: Tell) -> None:
        self._ray, self._lane, self._models, self._tell = ray, lane, models, tell
        self._asked: Any = None
        self._last = time.monotonic()

    def look(self, wait: float = 0.0) -> None:
        """Tell what the lane has answered, and ask again when it is time. `wait`: ask now, and wait so many seconds."""
        if self._models and (wait or (not self._asked and time.monotonic() > self._last + LOOK)):
            self._asked, self._last = self._lane.outages.remote(self._models), time.monotonic()
        if self._asked and self._ray.wait([self._asked], timeout=wait)[0]:
            with suppress(self._ray.exceptions.RayError):  # the lane died; what it had in hand goes on in a new one
                self._tell(self._ray.get(self._asked))
            self._asked = None


class _WaitingLane:
    """Runs as a threaded actor: each shard in hand is a thread, which waits for a model or for a core elsewhere."""

    def __init__(self) -> None:
        import ray

        self._call = ray.remote(_called).options(num_cpus=1, max_retries=TRIES - 1)

    def work(self, holder: list[Any], task: Task) -> Outcome:
        import ray

        def call(function: Callable[..., Any], ws: Workspace, *args: Any) -> Any:
            try:
                return ray.get(self._call.remote(holder, function, ws.base.repo, ws.files, *args))
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None

        return work(_kit(holder[0]), task, call)

    def outages(self, models: list[Endpoint]) -> list[Outage]:
        return outages(models)


def _called(
    holder: list[Any], function: Callable[..., Any], repo: str, files: Mapping[str, str | None], *args: Any
) -> Any:
    """The base is the kit's: what checks saw on it may be large, and need not travel with each call."""
    return function(Workspace(_kit(holder[0]).base(repo), files), *args)


def _work(holder: list[Any], tasks: list[Task]) -> list[Outcome]:
    return [work(_kit(holder[0]), task) for task in tasks]


def _prepare(holder: list[Any], repo: str) -> Prepared:
    return prepared(_kit(holder[0]), repo)


@lru_cache(maxsize=4)
def _kit(ref: Any) -> Kit:
    """Get the kit on a worker, once for each process, with mirrors that this node has."""
    import ray

    kit, bundles = ray.get(ref)
    here = {
        repo: base if has(Path(base.mirror), base.commit) else unbundled(base, ray.get(bundles[repo]))
        for repo, base in kit.bases.items()
    }
    own: Kit = replace(kit, bases=here)
    return own


def _reachable(address: str) -> None:
    """Raise Refused when nobody listens at `host:port`; other ways to name a cluster are Ray's business."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise Refused(f"no Ray cluster answers at {address}: {error.strerror or error}") from None


def _concurrency(kit: Kit) -> int:
    return max((model.concurrency for model in kit.models), default=CONCURRENCY)


def _chained(first: list[Task], rest: Iterator[Task]) -> Iterator[Task]:
    yield from first
    yield from rest


def _died(error: Exception) -> str:
    cause = getattr(error, "cause", None)  # it did not die, but raised something
    if isinstance(cause, Exception):
        return told(cause)
    return f"the worker died {TRIES} times ({type(error).__name__}: {_first(error)})"


def _first(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no reason given")
