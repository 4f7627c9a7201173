"""`umbau report JOB`: what a job did, in one file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from pipelines.session import JobArgument, Json, driving, entry, job_of, out, told

if TYPE_CHECKING:
    from pipelines.driver import Driver
    from pipelines.report.page import Told
    from pipelines.report.rows import Reading

reporting = typer.Typer(rich_markup_mode=None)


@reporting.command()
def report(
    job: JobArgument,
    file: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.html", help="The page; JOB.html here when nothing is said.")
    ] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="A line for each shard.")] = None,
    jsonl: Annotated[
        Path | None, typer.Option("--jsonl", metavar="FILE", help="A JSON object for each shard, with its diff.")
    ] = None,
    compliance: Annotated[
        Path | None,
        typer.Option(
            "--compliance",
            metavar="FILE.md",
            help="What a compliance officer can file: models, licences, places, people.",
        ),
    ] = None,
    bom: Annotated[
        Path | None,
        typer.Option("--bom", metavar="FILE.json", help="An ML-BOM: models, packages, codemods (CycloneDX)."),
    ] = None,
    json: Json = False,
) -> None:
    """Write what a job did, what it cost, what was proved and what is left into one file that opens from disk."""
    with told():
        spec, _ = job_of(job, None)
        with driving(job, None, quiet=True, enter=entry(spec.forge)) as driver:
            from pipelines.report.asked import asked
            from pipelines.report.rows import Reading

            plan = driver.latest()
            reading = Reading(spec.name, plan, driver.store, spec.budget.prices, asked(driver, plan))
            written: dict[str, str] = {}
            if file or not (csv or jsonl or compliance or bom):
                target = file or Path(f"{spec.name}.html")
                _replace(target, lambda to: _page(driver, reading, to))
                written["html"] = str(target)
            if csv or jsonl:
                written |= _tables(reading, csv, jsonl)
            if compliance or bom:
                written |= _filed(driver, reading, compliance, bom)
            out(written if json else [f"{name} is written" for name in written.values()], json)


def _page(driver: Driver, reading: Reading, to: TextIO) -> None:
    from pipelines.report.page import write_page

    write_page(reading, _told(driver, reading), to)


def _told(driver: Driver, reading: Reading) -> Told:
    from pipelines.report.page import Told
    from pipelines.site import site
    from pipelines.store.log import Spent

    log = driver.store.log
    spent = sum(log.spent(reading.job, by_shard=False).values(), Spent())
    return Told(driver.job, log.events(reading.job), spent if spent.calls else None, driver.clock(), site())


def _filed(driver: Driver, reading: Reading, compliance: Path | None, bom: Path | None) -> dict[str, str]:
    from pipelines.asking import models
    from pipelines.catalogue import catalogue
    from pipelines.report.bom import Made, as_json
    from pipelines.report.compliance import as_markdown
    from pipelines.report.totals import Totals

    totals, more, written = Totals(), _told(driver, reading), dict[str, str]()
    for row in reading.rows():
        totals.add(row)
    if compliance:
        _replace(compliance, lambda to: to.write(as_markdown(more.ground(reading, totals))))
        written["compliance"] = str(compliance)
    if bom:
        known = {**catalogue(), **more.site.models}
        made = Made(driver.job, str(driver.folder), totals, models(driver.recipe), known)
        _replace(bom, lambda to: to.write(as_json(made, more.now)))
        written["bom"] = str(bom)
    return written


def _tables(reading: Reading, csv: Path | None, jsonl: Path | None) -> dict[str, str]:
    from pipelines.report.table import write_csv, write_jsonl

    written = {}
    if csv:
        _replace(csv, lambda to: write_csv(reading.rows(), to))
        written["csv"] = str(csv)
    if jsonl:
        _replace(jsonl, lambda to: write_jsonl(reading.rows(), to))
        written["jsonl"] = str(jsonl)
    return written


def _replace(target: Path, write: Callable[[TextIO], object]) -> None:
    """Write a file as a whole: whoever opens it meanwhile sees the old one."""
    new = target.with_name(f".{target.name}.new")
    try:
        with new.open("w", encoding="utf-8", errors="backslashreplace", newline="") as to:
            write(to)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)
