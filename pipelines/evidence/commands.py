"""`umbau verify REQUEST`: whether what is stated of a request is true."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from pipelines.session import FAILED, Json, fail, home, job_of, out, told

verifying = typer.Typer(rich_markup_mode=None)


@verifying.command()
def verify(
    request: Annotated[
        str,
        typer.Argument(
            help="A merge request (URL, REPO/NUMBER or REPO@BRANCH), or the name of a commit or blob: was it ours?"
        ),
    ] = "",
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="A statement in a file instead, as --save writes it.")
    ] = None,
    key: Annotated[
        list[Path] | None,
        typer.Option("--key", metavar="FILE", help="Public key that signed, else the site's own. Repeatable."),
    ] = None,
    job: Annotated[
        str, typer.Option("--job", metavar="JOB", help="Job file, else the job as it was kept with the statement.")
    ] = "",
    replay: Annotated[
        bool, typer.Option("--replay/--no-replay", help="Do again what can be; tests run in the sandbox.")
    ] = True,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Write the signed statement, a DSSE envelope.")
    ] = None,
    json: Json = False,
) -> None:
    """Check what was stated of a merge request: signature, files, commit, job; then do again what can be done again.

    Exit codes: 0 all that could be checked holds, 1 nothing was stated of it, 2 something differs.
    """
    with told():
        if bool(request) == bool(file):
            fail("name a request, or a statement with --file FILE", 64)
        from pipelines.evidence.asked import Look
        from pipelines.evidence.find import found, is_object
        from pipelines.evidence.keys import publics
        from pipelines.site import site
        from pipelines.store import opened

        folder, given = home(), job_of(job, None) if job else None
        with closing(opened(folder)) as store:
            stated, about = found(request, store) if request else ([], "")
            keys = publics(folder, site().evidence_key_from, tuple(key or ()))
            if not keys:
                fail("there is no key to check it with: give one, --key FILE", 64)
            look = Look(store, folder, keys, given, replay)
            done = look.file(str(file), file.read_bytes()) if file else look.verified(about, stated, is_object(request))
        if save:
            save.write_text(f"{done.envelope}\n")
        width = max(len(one.state) for one in done.rows)
        lines = [f"{one.state:<{width}}  {one.what}{f': {one.why}' if one.why else ''}" for one in done.rows]
        shown = {"about": done.about, "digest": done.digest, "good": done.good, "rows": done.rows}
        out(shown if json else [done.about, *lines], json)
        raise typer.Exit(0 if done.good else FAILED)
