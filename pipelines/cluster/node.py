"""What runs on the nodes: tasks, with the repository that they concern at hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from socket import gethostname
from typing import Any

from operators import index, outward
from operators.data import Base, Outcome, Trouble, told
from operators.workspace import Workspace
from pipelines.bundle import unbundled
from pipelines.cluster.cache import full, kept, make_room, measured, using
from pipelines.cluster.parcels import Parcel
from pipelines.data import Task
from pipelines.lanes import Prepared, prepared
from pipelines.work import Kit, work

KNOWN = 64  # repositories whose facts a worker keeps in memory


class NoSpace(Trouble):
    """The disk of a node is full: its id, its name and what was said."""


_known: dict[Any, tuple[str, Kit]] = {}  # by the reference to the base


def work_on(parcel: Parcel, tasks: list[Task]) -> tuple[str, list[Outcome]]:
    """Carry out tasks of one repository. Returns the node as well. Raises NoSpace."""
    try:
        with at_hand(parcel) as kit:
            outcomes = [work(kit, task) for task in tasks]
            _spared([outcome.error for outcome in outcomes])
    except NoSpace:
        raise
    except Exception as fault:  # what InProcess tells of each task as well: the environment cannot be built ...
        outcomes = [Outcome(task.shard, task.past, error=told(fault)) for task in tasks]
    return here(), outcomes


def prepare_there(parcel: Parcel, repo: str) -> tuple[str, Prepared]:
    """Prepare a repository. Returns the node as well. Raises NoSpace."""
    try:
        with at_hand(parcel) as kit:
            found = prepared(kit, repo)
            _spared([str(found[1])] if isinstance(found[1], Exception) else [])
    except NoSpace:
        raise
    except Exception as fault:
        found = repo, RuntimeError(told(fault))
    return here(), found


def called(parcel: Parcel, function: Callable[..., Any], files: Mapping[str, str | None], *args: Any) -> Any:
    """Call a function with the view of a workspace. The base is the parcel's: what checks saw on it may be large, and
    need not travel with each call."""
    with at_hand(parcel) as kit:
        (repo,) = kit.bases
        return function(Workspace(kit.base(repo), files), *args)


def _spared(errors: list[str]) -> None:
    """Raise what was said of a full disk, and only told: it is no fault of who worked there."""
    for error in errors:
        if full(error):
            raise Trouble(error)


@contextmanager
def at_hand(parcel: Parcel) -> Iterator[Kit]:
    """Give the kit with the parcel's repository as this node has it. Raises NoSpace, with the node's id, NotBuilt,
    GitError."""
    _enforced(parcel.outward)  # before the kit brings modules along that somebody else wrote
    try:
        base = _base(parcel.base)
        if parcel.node == here():
            yield replace(_kit(parcel.kit), bases={base.repo: base})
            return
        with using(base):
            kit = _kept(parcel, base)
            yield kit
            measured(kit.bases[base.repo])
    except Exception as fault:
        if full(told(fault)):
            make_room(0)  # but for what is in use
            raise NoSpace(here(), f"{gethostname()}: {told(fault)}") from None
        raise


def _kept(parcel: Parcel, base: Base) -> Kit:
    """Return the kit with a repository that this node keeps, unpacked and with its environment built unless it is
    there."""
    import ray

    token, known = _known.get(parcel.base, ("", None))
    if known and token == kept(base):
        return known
    kit = _kit(parcel.kit)
    own = unbundled(base, lambda: ray.get(parcel.bundle))
    built = replace(kit, environment=None, bases={base.repo: replace(kit, bases={base.repo: own}).base(base.repo)})
    measured(built.bases[base.repo])
    for oldest in list(_known)[: len(_known) + 1 - KNOWN]:
        _known.pop(oldest, None)
    _known[parcel.base] = kept(base), built
    return built


@lru_cache(maxsize=1)
def here() -> str:
    import ray

    node: str = ray.get_runtime_context().get_node_id()
    return node


@lru_cache(maxsize=1)
def _enforced(ref: Any) -> None:
    """Let this worker talk to nobody but whom the driver's site allows, and its own cluster."""
    import ray

    policy: outward.Policy = ray.get(ref)
    outward.enforce(index.here(policy))
    outward.belong(ray.get_runtime_context().gcs_address)


@lru_cache(maxsize=4)
def _kit(ref: Any) -> Kit:
    import ray

    kit: Kit = ray.get(ref)
    return kit


@lru_cache(maxsize=KNOWN)
def _base(ref: Any) -> Base:
    import ray

    base: Base = ray.get(ref)
    return base
