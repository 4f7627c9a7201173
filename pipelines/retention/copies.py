"""Copies of code beside the store, on this machine: replies of models, the local forge, mirrors, checkouts,
environments."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from operators.folders import abandoned, alone, clear, private
from pipelines.forge import Place
from pipelines.retention.needed import Needed

Add = Callable[[str, str, int], None]
"""Takes kind, name and bytes of what goes."""


def replies(home: Path, before: float, add: Add, *, do: bool) -> None:
    """Remove what models answered, and nobody asked for since."""
    for top in _tops(home):
        touched = set()
        for file in (top / "responses").glob("*/*"):
            with suppress(OSError):  # another process may do the same
                stat = file.stat()
                if stat.st_mtime <= before:
                    add("kept replies", file.name, stat.st_size)
                    touched.add(file.parent)
                    if do:
                        file.unlink()
        for folder in touched if do else ():
            synced(folder)


def forge(
    home: Path, before: float, day: str, mine: Callable[[Place], bool], need: Needed, add: Add, *, do: bool
) -> list[str]:
    """Remove what the local forge has of requests that were merged or closed before: texts, pages, branches; where
    nothing is open and all is in the source as well, the repository. Return what is left to people. `mine`: says of a
    request whether it is in the scope."""
    from pipelines.forges.local import LocalForge

    if not (home / "forge").is_dir():
        return []
    local, told = LocalForge(home / "forge"), []
    for record in local.old(before):
        if not mine((record.repo, record.branch)):
            continue
        size = local.page(record).stat().st_size if local.page(record).exists() else 0
        add("requests of the local forge", record.name, size)
        if do:
            local.empty(record, day)
    for repo, ahead in local.finished(before, need.repos_of):
        if repo in need.repos or not mine((repo, "")):
            continue
        if ahead:
            told.append(
                f"{repo} on the local forge holds what was merged there and is not in its source: fetch it from there "
                "first, and run the job again"
            )
            continue
        add("repositories of the local forge", repo, _size(local.bare_of(repo)))
        if do:
            local.drop(repo)
    return told


def mirrors(home: Path, before: float, need: Needed, add: Add, *, do: bool) -> None:
    """Remove mirrors, checkouts and environments of repositories that no job needs any more."""
    for top in _tops(home):
        for mirror in sorted((top / "mirrors").glob("*.git")):
            stem, gone = mirror.stem, mirror.stem not in need.mirrors
            old = stem in need.planned or _touched(mirror) <= before
            if gone and old:
                places = [one for one in _places(top, stem) if one.exists()]
                size = sum(map(_size, places))
                if not do or _removed(top, stem, places):
                    add("copies of repositories", str(mirror), size)


def trees(add: Add, *, do: bool) -> None:
    """Remove what processes on this machine that were killed have left of checkouts with edits in them."""
    top = private() / "trees"
    if not top.is_dir():
        return
    with alone(top / "lock"):
        for left in sorted(top.glob("w-*")):
            if abandoned(left):
                add("checkouts of killed processes", left.name, _size(left))
                if do:
                    clear(left)
    if do:
        synced(top)


def _removed(top: Path, stem: str, places: list[Path]) -> bool:
    """Remove what there is of a repository, unless a worker of this machine is at it."""
    if top == private():
        from pipelines.cluster.cache import let_go  # which knows whether one is

        if not let_go(stem):
            return False
    with alone((top / "mirrors" / f"{stem}.git").with_suffix(".lock")):
        for place in places:
            clear(place)
            synced(place.parent)
    return True


def _places(top: Path, stem: str) -> Iterator[Path]:
    yield top / "checkouts" / stem
    yield top / "environments" / "cache" / stem
    for made in (top / "environments").glob("*.json"):
        with suppress(OSError, ValueError):
            if json.loads(made.read_text()).get("mirror") == stem:
                yield from (made, made.with_suffix(""))
    yield top / "mirrors" / f"{stem}.git"  # last: what was killed half-way is found again by it


def _tops(home: Path) -> list[Path]:
    """Return the folders that hold such copies: the driver's, and that of workers on this machine."""
    return [home, private()]


def _touched(mirror: Path) -> float:
    times = [one.stat().st_mtime for one in (mirror, mirror / "FETCH_HEAD") if one.exists()]
    return max(times, default=0.0)


def _size(place: Path) -> int:
    if place.is_file():
        return place.stat().st_size
    total = 0
    for folder, _, names in os.walk(place):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - there are many
    return total


def synced(folder: Path) -> None:
    """See to it that what was removed from a folder is so also after the machine has lost its power."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
