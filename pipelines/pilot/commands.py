"""`umbau pilot JOB`: some shards of a job are done, and tell what all of them would cost."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import typer

from pipelines.session import FAILED, Address, JobArgument, Json, driving, lanes_at, out, stoppable, told, who

piloting = typer.Typer(rich_markup_mode=None)


@piloting.command()
def pilot(
    job: JobArgument,
    shards: Annotated[
        int, typer.Option(min=0, max=100_000, help="How many; without it as many as the job says, or 30.")
    ] = 0,
    repo: Annotated[
        list[str] | None,
        typer.Option(help="Instead of the job's repositories: path, https URL or name==version. Repeatable."),
    ] = None,
    address: Address = "",
    json: Json = False,
) -> None:
    """Do a sample of a job's shards, and tell what all of them would cost and how many would be accepted. The outcomes
    are kept, and no merge request is opened."""
    with told(), driving(job, repo, quiet=json) as driver:
        from pipelines.audit.noting import audited
        from pipelines.neutral import plain
        from pipelines.pilot.piloting import pilot as do
        from pipelines.pilot.told import text

        with stoppable(driver), driver.driving(), audited(driver, "pilot", who()):
            plan = driver.plan()
            driver.adopt(plan)
            trouble = [f"{name}: {why}" for name, why in plan.trouble.items()]
            if not plan.planned:
                out(
                    {"shards": 0, "trouble": plan.trouble} if json else ["there are no shards: umbau plan", *trouble],
                    json,
                )
                raise typer.Exit(FAILED if trouble else 0)
            with closing(lanes_at(address)) as lanes:
                found = do(driver, plan, lanes, shards)
        if found is None:
            out({"paused": driver.paused} if json else driver.paused, json)
            raise typer.Exit(FAILED)
        out(found if json else text(found), json)
        for line in trouble:
            typer.echo(plain(f"not in it: {line}"), err=True)
        raise typer.Exit(FAILED if trouble else found.code)
