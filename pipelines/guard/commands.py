"""`umbau guard JOB`: what was migrated stays migrated. Shows first what it would do, and does it with --yes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.session import FAILED, JobArgument, Json, driving, out, told, who

if TYPE_CHECKING:
    from pipelines.guard.opening import Guarded, Guarding

app = typer.Typer(rich_markup_mode=None)
DID = {"push": "opened", "open": "opened", "rebase": "rebased", "merge": "merged", "close": "closed"}


@app.command()
def guard(
    job: JobArgument,
    repo: Annotated[
        list[str] | None, typer.Option("--repo", help="Only those whose name matches this glob. Repeatable.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, it is only shown.")] = False,
    print_: Annotated[
        Path | None, typer.Option("--print", metavar="DIR", help="Write the files for one repository here.")
    ] = None,
    json: Json = False,
) -> None:
    """Open a merge request in each migrated repository for a check that tells whoever writes the old way again."""
    with told(), driving(job, None, quiet=json) as driver, driver.store.driving(driver.job.name):
        from pipelines.guard.opening import guardings

        guarding = guardings(driver, repo or [])
        found = list(guarding.look())
        if print_ is not None:
            _write(found, print_, json)
        else:
            _do(guarding, found, yes, json)


def _do(guarding: Guarding, found: list[Guarded], yes: bool, json: bool) -> None:
    from pipelines.printed import counted

    new = [one for one in found if one.state == "new"]
    bad = any(one.state == "trouble" for one in found)
    if not yes:
        more = f"{counted(len(new), 'guard')} would be opened{': add --yes' if new else ''}"
        out(found if json else [*map(_line, found), more], json)
        raise typer.Exit(FAILED if bad else 0)
    done = {one.repo: one for one in guarding.open([one.repo for one in found])}
    for one in done.values():
        if not one.trouble and one.action.why == "new":
            facts = {"repo": one.repo, "branch": one.branch, "url": one.url}
            guarding.driver.store.audit.note(who(), "guard opened", guarding.driver.job.name, facts)
    told_of = [one for one in found if one.repo not in done]
    lines = [*map(_line, told_of)]
    for one in done.values():
        did = one.trouble or f"{DID.get(one.action.verb, 'waits')}: {one.action.why}"
        lines.append(f"{one.repo}  {did}  {one.url}".rstrip())
    opened = sum(one.action.why == "new" and not one.trouble for one in done.values())
    out([*told_of, *done.values()] if json else [*lines, f"{counted(opened, 'guard')} opened"], json)
    raise typer.Exit(FAILED if bad or any(one.trouble for one in done.values()) else 0)


def _line(one: Guarded) -> str:
    return f"{one.repo}  {one.state}: {one.why}  {one.url}".rstrip()


def _write(found: list[Guarded], folder: Path, json: bool) -> None:
    from pipelines.errors import Refused

    if len(found) != 1:
        raise Refused(f"--print writes the files for one repository: name it with --repo, of {len(found)} that match")
    one = found[0]
    if one.state == "trouble":
        raise Refused(f"{one.repo}: {one.why}")
    for path, text in one.files.items():
        if text is not None:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    out(one if json else [_line(one), *(f"{folder / path}" for path, text in sorted(one.files.items()) if text)], json)
