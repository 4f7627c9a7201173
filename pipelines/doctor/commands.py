"""`umbau doctor`: what is promised, and whether it holds here and now."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.session import FAILED, Json, home, out, told

doctor = typer.Typer(rich_markup_mode=None)


@doctor.command("doctor")
def look(
    tests: Annotated[bool, typer.Option("--tests", help="Name the test behind each line.")] = False,
    json: Json = False,
) -> None:
    """Try what is promised about code, secrets and the network, here and now, in a table that can be filed. The exit
    code is 2 when a promise is not kept."""
    with told():
        from pipelines.console.live import printed
        from pipelines.doctor.chapters import chapters
        from pipelines.doctor.table import table

        found = chapters(home())
        if json:
            out(found, json)
        else:
            printed(table(found, tests=tests))
        raise typer.Exit(FAILED if any(one.state == "bad" for part in found for one in part.lines) else 0)
