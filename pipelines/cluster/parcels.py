"""What travels to the nodes: the kit once in a run, and with each task what concerns its repository alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from operators import outward
from operators.data import Base, Trouble
from operators.proc import GitError
from pipelines.bundle import bundle
from pipelines.work import Kit

ROOM = 1 << 30  # bytes of bundles that are kept for the next task; what tasks in flight need stays as long as they do
LEAST = 1 << 20  # bytes that each counts at least
BASES = 256  # repositories whose facts are kept there for the next task: the most that may take turns


class NotSent(Trouble):
    """A repository cannot be sent to the nodes; the message says why."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """References to what a task needs. Within a value, so that Ray hands on the references and not what they stand
    for: whoever has the repository fetches nothing."""

    outward: Any
    """Who may be talked to."""
    kit: Any
    base: Any
    bundle: Any
    """None where mirrors are the driver's own."""
    node: str
    """The driver's, where its mirrors are."""


class Bundles:
    """Puts each commit into the object store once, and lets go of the one that was asked for longest ago when all take
    too much room."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._refs: OrderedDict[tuple[str, str], tuple[Any, int]] = OrderedDict()
        self.puts = 0

    def ref(self, base: Base) -> Any:
        """Return a reference to a commit's bundle. Raises GitError, and Ray's errors when there is no room for it."""
        key = base.mirror, base.commit
        if key not in self._refs:
            data = bundle(base)
            self._refs[key] = self._ray.put(data), max(LEAST, len(data))
            self.puts += 1
        self._refs.move_to_end(key)
        while len(self._refs) > 1 and sum(size for _, size in self._refs.values()) > ROOM:
            self._refs.popitem(last=False)
        return self._refs[key][0]


def parcels(ray: Any, kit: Kit, memory: int, node: str, bundles: Bundles | None) -> Callable[[str], Parcel]:
    """Put a kit into the object store and return what makes the parcel of a repository. `memory`: bytes that its
    commands may take; without `bundles` mirrors are where workers are. The parcel raises NotSent."""
    own, may = ray.put(replace(kit, bases={})), ray.put(outward.current())

    @lru_cache(maxsize=BASES)
    def put(repo: str) -> tuple[Any, Base]:
        base = replace(kit.bases[repo], memory=memory)
        return ray.put(base), replace(base, facts={})

    def parcel(repo: str) -> Parcel:
        try:
            ref, base = put(repo)
            return Parcel(may, own, ref, bundles.ref(base) if bundles else None, node)
        except (GitError, OSError, ray.exceptions.RayError) as error:  # the last: no room, on no disk either
            raise NotSent(f"{repo} cannot be sent to the nodes: {error}") from None

    return parcel
