"""`umbau audit [JOB]`: who did what, once the whole chain has been found to hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.session import Json, fail, home, name_of, out, told

if TYPE_CHECKING:
    from pipelines.audit.chain import Followed, Row
    from pipelines.store import Store

auditing = typer.Typer(rich_markup_mode=None)
FACTS = 160  # characters of a row's facts in a line


@auditing.command()
def audit(
    job: Annotated[str, typer.Argument(metavar="[JOB]", help="Rows of this job alone: its file or name.")] = "",
    since: Annotated[str, typer.Option(metavar="DATE", help="Rows from then on: 2026-11-30, or with a time.")] = "",
    head: Annotated[
        bool, typer.Option("--head", help="Print number and hash of the last row alone, to be kept elsewhere.")
    ] = False,
    against: Annotated[
        str, typer.Option(metavar="NUMBER:HASH", help="See that this is still a row of the log: nothing was cut off.")
    ] = "",
    json: Json = False,
) -> None:
    """Verify the audit log, and print who did what. Exit code 2 when a row was changed, removed, moved or put in."""
    with told():
        from pipelines.audit.chain import link
        from pipelines.store import opened

        name, start = name_of(job) if job else "", _moment(since)
        kept = link(against) if against else None
        with closing(opened(home())) as store:
            found = store.audit.verify()
            if head:
                out({"head": str(found.last)} if json else str(found.last), json)
            elif json:
                out([{**_said(row), "hash": row.hash} for row in _rows(store, found, name, start)], json)
            else:
                for row in _rows(store, found, name, start):
                    out(_line(row), False)
            if found.wrong:
                fail(f"the audit log does not hold: {found.wrong}. It holds up to row {found.last.number}")
            if kept and store.audit.at(kept.number) != kept.hash:
                gone = "is another" if store.audit.at(kept.number) else "is gone: rows were cut off at the end"
                fail(
                    f"the audit log is not the one that {kept.number}:{kept.hash[:12]}... was kept of: that row {gone}"
                )
        if not json and not head:
            held = f", row {kept.number} is the one that was kept" if kept else ""
            out(f"the chain holds: {found.last.number} rows{held}. Its head is {found.last}", False)


def _rows(store: Store, found: Followed, job: str, start: str) -> Iterator[Row]:
    """Yield the rows that are asked for, as far as the chain holds."""
    for row in store.audit.rows(job):
        if row.number > found.last.number:
            return
        if row.moment >= start:
            yield row


def _said(row: Row) -> dict[str, object]:
    return {name: getattr(row, name) for name in ("number", "moment", "who", "what", "job", "facts")}


def _line(row: Row) -> str:
    facts = ", ".join(f"{key}={value}" for key, value in row.facts.items())
    short = facts if len(facts) <= FACTS else f"{facts[:FACTS]}..."
    when = row.moment.partition(".")[0].replace("T", " ")
    return f"{row.number}  {when}Z  {row.who}  {row.what}{f'  {row.job}' if row.job else ''}  {short}".rstrip()


def _moment(text: str) -> str:
    """Return a date or time, by the local clock where no zone is told, as rows have theirs; "" is before all."""
    if not text:
        return ""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="microseconds")
    except ValueError:
        fail(f"--since {text!r}: write a date such as 2026-11-30, or 2026-11-30T12:00", 64)
