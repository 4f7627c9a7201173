"""`umbau purge [JOB]`: shows first what it would remove for good, and does it with --yes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.session import Json, fail, home, name_of, out, told, who

if TYPE_CHECKING:
    from pipelines.retention.purging import Gone

purging = typer.Typer(rich_markup_mode=None)


@purging.command()
def purge(
    job: Annotated[str, typer.Argument(metavar="[JOB]", help="This job alone: its file or name.")] = "",
    older_than: Annotated[
        float | None, typer.Option(metavar="DAYS", min=0, help="Instead of the days that the site says, for all kinds.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, it is only shown.")] = False,
    json: Json = False,
) -> None:
    """Remove for good what models were told and said, edits, findings and copies of code that are old enough. Statuses,
    counts, costs, digests, evidence and the audit log stay; so does code of merge requests that are still open."""
    with told():
        import time

        from pipelines.retention.due import LAST
        from pipelines.retention.purging import Ages
        from pipelines.retention.purging import purge as do
        from pipelines.site import site, site_file
        from pipelines.store import opened

        kept, now, name = site().retention, time.time(), name_of(job) if job else ""
        if older_than is None and kept.prompts is None and kept.code is None:
            fail(f"say --older-than DAYS, or `retention: {{prompts: DAYS, code: DAYS}}` in {site_file()}", 64)
        days = (kept.prompts, kept.code) if older_than is None else (older_than, older_than)
        with closing(opened(home())) as store:
            if name and store.plan(name) is None:
                fail(f"{name} has not been run here: there is nothing of it to purge")
            gone = do(store, home(), Ages.of(*days, now), who(), name, do=yes, now=now)
            if yes and not name and older_than is None:
                store.remember(LAST, now)
        out({**gone.facts, "told": gone.told, "done": yes} if json else text(gone, done=yes), json)


def text(gone: Gone, *, done: bool) -> Iterator[str]:
    for kind, count in sorted(gone.counts.items()):
        yield f"{count:8,}  {kind}, {_bytes(gone.sizes[kind])}"
    for job, count in sorted(gone.kept.items()):
        yield f"{job}: the code of {count:,} shards stays until their merge requests are merged or closed"
    yield from gone.told
    if not gone.counts:
        yield "nothing is old enough"
    elif done:
        yield f"removed for good, and noted in the audit log with the digest of the list: {gone.digest}"
    else:
        yield "this would be removed for good: add --yes"


def _bytes(count: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:,.0f} {unit}" if unit == "bytes" else f"{count:,.1f} {unit}"
        count = count / 1000  # type: ignore[assignment]
    return f"{count:,.1f} GB"
