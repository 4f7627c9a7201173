"""Tends again and again: what a cron job would do, in one process."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime
from typing import NoReturn

from operators.data import Trouble
from pipelines.driver import Driver
from pipelines.errors import Refused
from pipelines.lanes import Lanes
from pipelines.printed import DONE, counted
from pipelines.retention.due import due
from pipelines.tend import Tended


def watching(driver: Driver, lanes: Lanes, seconds: float, tell: Callable[[str], None]) -> NoReturn:
    """Tend every so many seconds until it is stopped, each time by the repositories as they are then; tell each time in
    one line. What cannot be done this time is tried the next. Raises Refused when the first time cannot be done."""
    first = True
    while True:
        at = datetime.now().astimezone().isoformat(" ", "seconds")
        try:
            with driver.driving():
                tell(f"{at}  {tick(driver, lanes)}")
            due(driver.store, driver.home)
        except (Refused, Trouble) as why:
            if first:
                raise
            tell(f"{at}  {why}")
        first = False
        time.sleep(seconds)


def tick(driver: Driver, lanes: Lanes, only: Collection[str] = ()) -> str:
    """Tend once, by the repositories as they are now, and say in one line what was done; with `only`, these alone, ""
    when none of them is the job's."""
    found = driver.look(only)
    if only and not found.repos and not found.trouble:
        return ""
    _, tended = driver.tend(found, lanes, part=bool(only))
    trouble = {**found.trouble, **driver.short, **driver.trouble}
    told = [driver.paused, *(f"{repo}: {why}" for repo, why in trouble.items())]
    return "; ".join([line(tended), *filter(None, told)])


def line(tended: list[Tended]) -> str:
    """Say in one line what was done."""
    count = Counter(one.action.verb for one in tended if not one.trouble and one.action.verb != "wait")
    done = [f"{number}{DONE[verb]}" for verb, number in count.items()]
    troubles = [f"{one.repo} {one.branch}: {one.trouble.partition(chr(10))[0]}" for one in tended if one.trouble]
    return "; ".join([f"{counted(len(tended), 'merge request')}, {', '.join(done) or 'nothing to do'}", *troubles])
