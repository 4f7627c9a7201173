"""`umbau merge|close|comment|reopen|revert JOB`: each shows first what it would do, and does it with --yes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.session import FAILED, JobArgument, Json, driving, out, told, who

if TYPE_CHECKING:
    from pipelines.bulk.acts import Bulk, Done
    from pipelines.data import Plan
    from pipelines.driver import Driver
    from pipelines.forge import Request

bulk = typer.Typer(rich_markup_mode=None)
Where = Annotated[
    list[str] | None,
    typer.Option(
        help="Only those of which KEY=GLOB or KEY!=GLOB holds: repo, branch, state, ci, title ... Repeatable."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it. Without, it is only shown.")]


@bulk.command()
def merge(job: JobArgument, where: Where = None, yes: Yes = False, json: Json = False) -> None:
    """Merge open merge requests of a job."""
    from pipelines.bulk.acts import merging

    _do(job, where, yes, json, lambda driver, plan: merging())


@bulk.command()
def close(
    job: JobArgument,
    why: Annotated[str, typer.Option(help="Said on each.")] = "closed by hand",
    where: Where = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Close open merge requests of a job; Umbau does not open them again by itself."""
    from pipelines.bulk.acts import closing

    _do(job, where, yes, json, lambda driver, plan: closing(why))


@bulk.command()
def reopen(job: JobArgument, where: Where = None, yes: Yes = False, json: Json = False) -> None:
    """Open closed merge requests of a job again."""
    from pipelines.bulk.acts import reopening

    _do(job, where, yes, json, lambda driver, plan: reopening())


@bulk.command()
def comment(
    job: JobArgument,
    text: Annotated[str, typer.Argument(help="Markdown; said once on each, however often this is run.")],
    where: Where = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Say something on open merge requests of a job."""
    from pipelines.bulk.acts import commenting
    from pipelines.data import digest  # else the words would stand in the store for ever

    _do(job, where, yes, json, lambda driver, plan: commenting(text, f"bulk {digest(text)}"))


@bulk.command()
def revert(job: JobArgument, where: Where = None, yes: Yes = False, json: Json = False) -> None:
    """Open, for each merged merge request of a job, one that takes it back."""
    from pipelines.bulk.acts import reverting

    def bulk_of(driver: Driver, plan: Plan) -> Bulk:
        return reverting(driver.job, (driver.plan() if yes else plan).repos, driver.notary)

    _do(job, where, yes, json, bulk_of)


def _do(job: str, where: list[str] | None, yes: bool, json: bool, bulk_of: Callable[[Driver, Plan], Bulk]) -> None:
    with told(), driving(job, None, quiet=json) as driver:
        from pipelines.audit.requests import facts_of, marked
        from pipelines.bulk.acts import conditions
        from pipelines.listing import listing
        from pipelines.printed import counted

        wanted = conditions(where or [])
        with driver.store.driving(driver.job.name):
            plan = driver.latest()
            act = bulk_of(driver, plan)
            listed = listing(driver.job, plan, driver.forge, driver.store)
            found = act.fitting(list(listed.requests.values()), wanted)
            unknown = [f"{repo}  {why}" for repo, why in listed.trouble.items()]
            if not yes:
                shown = [*unknown, *(f"{one.repo}  {one.title}  {one.url}" for one in found)]
                note = f"{counted(len(found), 'merge request')} would be {act.did}" + (": add --yes" if found else "")
                out(found if json else [*shown, note], json)
                _told(unknown, json)
                raise typer.Exit(FAILED if unknown else 0)
            name, by = driver.job.name, who()
            asked = {"where": where or [], "requests": len(found)}
            driver.store.audit.note(by, f"bulk: {act.did}", name, asked)

            def noted(request: Request, one: Done) -> None:
                if not one.trouble:
                    driver.store.audit.note(by, act.did, name, facts_of(request), marked(act.did, request), again=True)

            done = act.each(driver.forge, found, driver.store.confirm, noted)
        lines = unknown + [f"{one.repo}  {one.trouble or one.what}  {one.url}" for one in done]
        good = sum(not one.trouble for one in done)
        out(done if json else [*lines, f"{counted(good, 'merge request')} {act.did}"], json)
        _told(unknown, json)
        raise typer.Exit(FAILED if unknown or good < len(done) else 0)


def _told(unknown: list[str], json: bool) -> None:
    """Tell beside the JSON which repositories are not in it."""
    from pipelines.neutral import plain

    for line in unknown if json else ():
        typer.echo(plain(line), err=True)
