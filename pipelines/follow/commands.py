"""`umbau watch JOB...`: how jobs go that are driven elsewhere."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated

import typer

from pipelines.errors import Refused
from pipelines.session import Json, home, job_of, out, told

PLAIN = 10.0  # seconds between two looks that are printed one below the other
watching = typer.Typer(rich_markup_mode=None)


@watching.command()
def watch(
    jobs: Annotated[list[str], typer.Argument(metavar="JOB...", help="Job files, or names of jobs in the store.")],
    once: Annotated[bool, typer.Option("--once", help="Look once, and end.")] = False,
    json: Json = False,
) -> None:
    """Watch jobs that are run from another terminal or machine with the same store, until Ctrl-C. With --json, one
    object in a line for each look that shows anything new."""
    with told(), ExitStack() as stack:
        from json import dumps

        from pipelines.follow.followed import Followed, drawn, looked, news
        from pipelines.progress import EVERY
        from pipelines.store.place import VARIABLE
        from pipelines.store.store import Store
        from pipelines.view import WIDEST, shown

        place = os.environ.get(VARIABLE) or home() / "store.db"
        if isinstance(place, Path) and not place.exists():
            raise Refused(f"there is no store {place}: nothing was run here. See UMBAU_HOME and {VARIABLE}")
        store = stack.enter_context(closing(Store(place, upgrade=False)))
        found = [Followed(_named(job), store) for job in jobs]
        if not once and not json and sys.stdout.isatty():
            drawn(found)
        for one in looked(found) if once else news(found, EVERY if json else PLAIN):
            if json:
                print(dumps(one.facts()), flush=True)
            else:
                out((*shown(one.lines(WIDEST)), ""), json)


def _named(job: str) -> str:
    """Return the name of a job, given by that or by its file."""
    is_file = job.endswith((".yaml", ".yml")) or Path(job).is_file()
    return job_of(job, None)[0].name if is_file else job
