"""Prepares repositories, each on a core of the node where its shards begin."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pipelines.cluster.deaths import UNTRIED, Deaths, Tried, blame
from pipelines.cluster.flight import Flight
from pipelines.cluster.node import prepare_there
from pipelines.cluster.parcels import NotSent, Parcel
from pipelines.cluster.placement import Placement
from pipelines.lanes import Prepared


def preparing(
    ray: Any,
    place: Placement,
    parcel: Callable[[str], Parcel],
    memory: int,
    deaths: Deaths,
    homes: dict[str, str],
    repos: Iterable[str],
) -> Iterator[Prepared]:
    """Prepare repositories, yielding each one as it is done. One that kills its workers is set aside."""
    left = deque((repo, UNTRIED) for repo in repos)
    flight: Flight[tuple[str, Tried]] = Flight(ray, place)
    task = ray.remote(prepare_there)
    with flight.landed():
        while left or flight:
            while left and len(flight) < 2 * place.cores():
                repo, tried = left.popleft()
                try:
                    options = place.task(memory, homes.get(repo, ""), tried.full)
                    flight.add(task.options(**options).remote(parcel(repo), repo), (repo, tried))
                except NotSent as why:
                    yield repo, why
            for ref, (repo, tried) in flight.done():
                try:
                    homes[repo], found = ray.get(ref)
                    yield found
                except ray.exceptions.RayError as error:
                    kind = blame(ray, error)
                    again = tried.again(kind, error)
                    if not isinstance(again, str):
                        left.append((repo, again))
                    elif kind == "worker":
                        deaths.put_aside(repo, f"preparing it: {again}")
                        yield repo, RuntimeError(deaths.aside[repo])
                    else:
                        yield repo, RuntimeError(again)
