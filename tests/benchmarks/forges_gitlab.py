"""Calls to GitLab's API, of the double of GitLab that the tests use: for each request that is opened, and for a tick
over a thousand open ones; and whether opening hundreds of requests under a limit loses one.

The limit is that of gitlab.com on notes, 60 writes a minute, in time that runs twice as fast: 60 writes in 30 s, and
0.5 s between two writes in place of 1 s; and with writes as fast as they can be, so that the limit is met.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pipelines.forge import ForgeError
from tests.benchmarks.setting import Clock, folder, repository
from tests.pipelines.forges.gitlab.double import GitLabDouble
from tests.pipelines.forges.gitlab.site import NAME, Site, many

OPENED, OPEN, CHANGED = 500, 1000, 10
FASTER = 2
LIMIT = 60, 60 / FASTER


@contextmanager
def site() -> Iterator[Site]:
    with folder() as home, GitLabDouble(home / "gitlab") as double:
        source = repository(home / "source", {"src/a.py": "old = 1\n"})
        yield Site(double, home, source)


def opening(count: int, pace: float) -> None:
    """Open requests as fast as they may be, and count what GitLab holds then."""
    with site() as here:
        here.double.allowed, here.forge = LIMIT, here.again(pace=pace)
        todo = [here.change(branch=f"umbau/modern/part{number}") for number in range(count)]
        with Clock() as clock:
            while todo:  # a tick after another, until nothing is left
                left = []
                for change in todo:
                    with suppress(ForgeError):
                        here.push(change)
                        continue
                    left.append(change)
                todo = left
        found = [one.source for one in here.double.at(NAME).requests.values()]
        calls = len(here.double.calls) / count
        print(f"           {count} opened, {pace:.2f} s between two writes {clock.seconds:8.2f} s")
        print(f"           lost {count - len({*found})}, doubled {len(found) - len({*found})}", end="")
        print(f", told to wait {here.double.refused} times, {calls:.2f} calls each")


def looking(count: int) -> None:
    """Look at open requests, of which few or none have changed."""
    with site() as here:
        many(here, here.repo, count)
        for what, changed in (
            ("the first time", 0),
            ("again", 0),
            ("again", 0),
            ("unchanged", 0),
            ("changed", CHANGED),
        ):
            for number in range(changed):
                here.double.comment("ada", NAME, number + 1, "Why?")
            with Clock() as clock:
                calls = here.calls(here.look)
            print(f"           {count} looked at, {changed or 'none'} of them changed: {what:14}", end="")
            print(f"{len(calls):5} calls {clock.seconds:8.2f} s")


def main(opened: int = OPENED, open_: int = OPEN) -> None:
    print("gitlab")
    looking(open_)
    opening(opened, 1 / FASTER)
    opening(opened, 0.0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
